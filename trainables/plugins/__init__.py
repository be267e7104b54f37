"""Plug-ins: modules whose datasets, models, methods, attributions and metrics are known by name.

A study file names files beside it and importable modules; an installed package declares modules in
the entry-point group ``challenger_study.plugins``. Of such a module, every class that is derived
from a base class of :mod:`trainables.parts`, and every :class:`~trainables.metrics.Score`, becomes
a part: it is known by its name wherever a built-in one is.

A plug-in is imported under the name of its top-level module or package, of which all files are
hashed. A study keeps a copy of them, from which its workers and later commands import it.
"""

from trainables.plugins.contract import Part, PartKind, line_of
from trainables.plugins.discovery import (
    GROUP,
    SAVED_LIST,
    Plugin,
    find_installed,
    find_plugin,
    read_saved_digests,
    saved_plugins,
)
from trainables.plugins.loading import (
    LoadedPlugin,
    contents,
    errors_located,
    load_plugins,
    loaded_metrics,
    loaded_modules,
    unload_all,
    used_plugins,
)

__all__ = [
    "GROUP",
    "SAVED_LIST",
    "LoadedPlugin",
    "Part",
    "PartKind",
    "Plugin",
    "contents",
    "errors_located",
    "find_installed",
    "find_plugin",
    "line_of",
    "load_plugins",
    "loaded_metrics",
    "loaded_modules",
    "read_saved_digests",
    "saved_plugins",
    "unload_all",
    "used_plugins",
]
