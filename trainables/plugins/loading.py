"""Plug-ins that this process has imported: their parts, files and errors."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from trainables.errors import PluginError
from trainables.metrics import Score
from trainables.names import printable
from trainables.plugins.contract import Part, defined_parts, line_of, registry
from trainables.plugins.discovery import FINDER, Plugin, plugin_files


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """An imported plug-in and its parts."""

    plugin: Plugin
    parts: tuple[Part, ...]


_LOADED: Final[dict[str, LoadedPlugin]] = {}


def load_plugins(plugins: Iterable[Plugin]) -> tuple[LoadedPlugin, ...]:
    """Import plug-ins and make their parts known.

    What another study loaded in this process goes where it contradicts them: another content of
    the same module, another part of the same name.

    Raises:
        PluginError: If one cannot be imported, a part lacks something of its contract, or a name
            is taken.
    """
    found: dict[str, LoadedPlugin] = {}
    for plugin in plugins:
        if plugin.module not in found:
            found[plugin.module] = _load(plugin, {one.plugin.top for one in found.values()})
    return tuple(found.values())


def contents(module: str) -> dict[str, bytes]:
    """Return the files of a loaded plug-in's top-level module or package, by relative path."""
    plugin = _LOADED[module].plugin
    return {
        path: (plugin.root / path).read_bytes() for path in plugin_files(plugin.root, plugin.top)
    }


def loaded_modules() -> set[str]:
    """Return the top-level modules and packages of all loaded plug-ins."""
    return {one.plugin.top for one in _LOADED.values()}


def loaded_metrics() -> tuple[Score, ...]:
    """Return the metrics of all loaded plug-ins."""
    parts = (part for one in _LOADED.values() for part in one.parts)
    return tuple(part.value for part in parts if part.kind == "metric")


def used_plugins(value: object) -> dict[str, str]:
    """Return module and digest of the loaded plug-ins whose parts occur in a record.

    A text ``module:function`` counts as the use of that module.
    """
    tops = set(_tops(value))
    loaded = (one.plugin for one in _LOADED.values())
    return {one.module: one.digest for one in loaded if one.top in tops}


@contextmanager
def errors_located(top: str, what: str) -> Iterator[None]:
    """Turn any exception of a plug-in's code into a PluginError with its file and line.

    Args:
        top: Top-level module or package of the plug-in.
        what: What was done, for an exception that the plug-in's files have no line of.
    """
    try:
        yield
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        # A border: a plug-in's code may raise anything.
        where = _location(error, top) or what
        said = printable(str(error), longest=300)
        raise PluginError(f"{where}: {type(error).__name__}: {said}") from error


def unload_all() -> None:
    """Forget every plug-in, so that only built-in parts are known."""
    for top in loaded_modules():
        _unload(top)


def _load(plugin: Plugin, beside: set[str]) -> LoadedPlugin:
    known = _LOADED.get(plugin.module)
    if known is not None and known.plugin.digest == plugin.digest:
        return known
    relatives = [one.plugin for one in _LOADED.values() if one.plugin.top == plugin.top]
    if any(one.digest != plugin.digest for one in relatives):
        if plugin.top in beside:
            raise PluginError(
                f"two plug-ins are called {plugin.top!r}, in {relatives[0].root} and "
                f"{plugin.root}; rename one of them."
            )
        _unload(plugin.top)
    try:
        found = LoadedPlugin(plugin=plugin, parts=defined_parts(_imported(plugin)))
        for part in found.parts:
            _require_free(part, plugin, beside)
    except PluginError:
        if not any(one.plugin.top == plugin.top for one in _LOADED.values()):
            _unload(plugin.top)
        raise
    _LOADED[plugin.module] = found
    for part in found.parts:
        registry(part.kind)[part.name] = part.value
    return found


def _imported(plugin: Plugin) -> ModuleType:
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
    FINDER.roots[plugin.top] = plugin.root
    importlib.invalidate_caches()
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        with errors_located(plugin.top, f"plug-in {plugin.module}"):
            return importlib.import_module(plugin.module)
    finally:
        sys.dont_write_bytecode = writes_bytecode


def _unload(top: str) -> None:
    for module in [name for name, one in _LOADED.items() if one.plugin.top == top]:
        for part in _LOADED.pop(module).parts:
            if registry(part.kind).get(part.name) is part.value:
                del registry(part.kind)[part.name]
    FINDER.roots.pop(top, None)
    for name in [one for one in sys.modules if one == top or one.startswith(f"{top}.")]:
        del sys.modules[name]


def _require_free(part: Part, plugin: Plugin, beside: set[str]) -> None:
    other = registry(part.kind).get(part.name)
    if other is None or other is part.value:
        return
    owner = next(
        (one for one in _LOADED.values() if any(p.value is other for p in one.parts)), None
    )
    if owner is not None and owner.plugin.top not in {*beside, plugin.top}:
        _unload(owner.plugin.top)
        return
    taken = "built in" if owner is None else f"of plug-in {owner.plugin.module}"
    raise PluginError(
        f"{line_of(part.value)}: {part.kind} {part.name!r} must have a name of its own, but there "
        f"is one of that name, {taken}; rename it."
    )


def _location(error: BaseException, top: str) -> str | None:
    """Return file and line of the last step of an error within a plug-in's files."""
    root = FINDER.roots.get(top)
    if root is None:
        return None
    paths = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        paths.append((error.filename or "", error.lineno))
    for name, line in reversed(paths):
        path = Path(name)
        if path in (root / f"{top}.py",) or (root / top) in path.parents:
            return f"{path.relative_to(root)}:{line}"
    return None


def _tops(value: object) -> Iterator[str]:
    """Yield the top-level modules of a record's classes and of its texts ``module:name``."""
    if isinstance(value, str):
        yield value.partition(":")[0].partition(".")[0] if ":" in value else ""
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tops(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tops(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value).__module__.partition(".")[0]
        for field in dataclasses.fields(value):
            yield from _tops(getattr(value, field.name))
