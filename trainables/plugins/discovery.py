"""Where plug-ins are: files, importable modules, installed packages and a study's copies."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from trainables.decoding import shown
from trainables.errors import PluginError

GROUP: Final = "challenger_study.plugins"
SAVED_LIST: Final = "challenger-plugins.json"
"""File in a folder of copies that lists them: module to digest."""

_MOST_BYTES: Final = 16 << 20
_MOST_FILES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A module with parts, found but not yet imported.

    Attributes:
        module: Name under which it is imported, ``my_parts`` or ``my_lab.parts``.
        root: Folder that holds its top-level module or package.
        digest: SHA-256 of all files of that module or package, in hexadecimal digits.
    """

    module: str
    root: Path
    digest: str

    @property
    def top(self) -> str:
        """Name of the top-level module or package."""
        return self.module.partition(".")[0]


def find_plugin(entry: str, folder: Path | None) -> Plugin:
    """Find a plug-in without importing it.

    Args:
        entry: A file, ``my_parts.py``, or an importable module, ``my_lab.parts``.
        folder: Folder of the study file, to which the file is relative and in which a module
            is looked for first; None if there is none.

    Raises:
        PluginError: If there is no such file or module, it would hide another module, or is too
            large to travel.
    """
    if entry.endswith(".py"):
        return _find_file(entry, folder)
    if not all(part.isidentifier() for part in entry.split(".")):
        raise PluginError(
            f"{shown(entry)} must be a file, such as 'my_parts.py', or a module, such as "
            "'my_lab.parts'."
        )
    top = entry.partition(".")[0]
    if folder is not None and ((folder / top).is_dir() or (folder / f"{top}.py").is_file()):
        root: Path | None = folder
    else:
        root = _installed_root(top)
    if root is None:
        raise PluginError(
            f"{entry!r} must be an importable module, but there is no module {top!r}; install it, "
            "put it beside the study file, or write the name of a file that ends in '.py'."
        )
    return _plugin(entry, root.resolve())


def find_installed() -> tuple[Plugin, ...]:
    """Find the plug-ins that installed packages declare in the entry-point group.

    Raises:
        PluginError: As :func:`find_plugin`; the message names the package.
    """
    found = []
    for package, value in _entry_points():
        try:
            found.append(find_plugin(value, None))
        except PluginError as error:
            raise PluginError(f"plug-in of the installed package {package}: {error}") from None
    return tuple(found)


def saved_plugins(folder: Path) -> tuple[Plugin, ...]:
    """Return the plug-ins of which a folder holds copies; none if it holds no list of them.

    Raises:
        PluginError: If a copy is missing, or not as it was written.
    """
    listing = folder / SAVED_LIST
    if not listing.is_file():
        return ()
    found = []
    for module, digest in read_saved_digests(folder).items():
        plugin = _plugin(module, folder.resolve())
        if plugin.digest != digest:
            raise PluginError(
                f"{folder / plugin.top} must be the plug-in that the study was started with, but "
                f"its content has changed (SHA-256 {plugin.digest[:12]} instead of "
                f"{digest[:12]}); put it back, or start the study again under another name."
            )
        found.append(plugin)
    return tuple(found)


def read_saved_digests(folder: Path) -> dict[str, str]:
    """Read module and digest of the copies in a folder; empty if it holds none.

    Raises:
        PluginError: If the list is damaged.
    """
    listing = folder / SAVED_LIST
    try:
        found = json.loads(listing.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise PluginError(f"{listing} must be readable, but: {error}; restore it.") from None
    pairs = found.items() if isinstance(found, dict) else ()
    if not pairs or not all(isinstance(text, str) for pair in pairs for text in pair):
        raise PluginError(
            f"{listing} must hold a digest for each plug-in, got {shown(found)}; restore it."
        )
    return dict(pairs)


def plugin_files(root: Path, top: str) -> list[str]:
    """List the files of a top-level module or package, relative to its folder."""
    if (root / f"{top}.py").is_file() and not (root / top / "__init__.py").is_file():
        return [f"{top}.py"]
    found: list[str] = []
    for path in sorted((root / top).rglob("*")):
        relative = path.relative_to(root)
        is_hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
        if path.is_file() and not is_hidden:
            found.append(relative.as_posix())
        if len(found) > _MOST_FILES:
            raise PluginError(
                f"plug-in {top!r} in {root} must have at most {_MOST_FILES} files, because it is "
                "copied to every study; move data out of it."
            )
    return found


class PluginFinder(MetaPathFinder):
    """Finder of the top-level modules of plug-ins, each in its own folder."""

    def __init__(self) -> None:
        self.roots: dict[str, Path] = {}

    def find_spec(
        self,
        fullname: str,
        path: object = None,  # noqa: ARG002 (importlib's)
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return where the module of a plug-in is, None for any other module."""
        root = self.roots.get(fullname)
        return None if root is None else PathFinder.find_spec(fullname, [str(root)], target)


FINDER: Final = PluginFinder()


@functools.cache
def _entry_points() -> tuple[tuple[str, str], ...]:
    found = entry_points(group=GROUP)
    return tuple(sorted((str(one.dist and one.dist.name), one.module) for one in found))


def _find_file(entry: str, folder: Path | None) -> Plugin:
    if folder is None:
        raise PluginError(f"{entry!r} is a file, but this study file lies in no folder.")
    path = (folder / entry).resolve()
    top = path.stem
    if not top.isidentifier():
        raise PluginError(
            f"{entry!r} must be named like a Python module, of letters, digits and '_'; rename it."
        )
    if not path.is_file():
        raise PluginError(f"{entry!r} must be a file, but there is no {path}.")
    other = _installed_origin(top)
    if other is not None and Path(other).resolve() != path:
        raise PluginError(
            f"{entry!r} would hide the module {top!r} ({other}) from all others; rename the file."
        )
    return _plugin(top, path.parent)


def _installed_origin(top: str) -> str | None:
    """Return where a module comes from if it is no plug-in, None if there is none."""
    for finder in sys.meta_path:
        spec = None if finder is FINDER else finder.find_spec(top, None)
        if spec is not None:
            return spec.origin or next(iter(spec.submodule_search_locations or ()), "built in")
    return None


def _installed_root(top: str) -> Path | None:
    origin = _installed_origin(top)
    if origin is None or not Path(origin).exists():
        return None
    path = Path(origin)
    is_package = path.is_dir() or path.name == "__init__.py"
    return (path.parent if path.is_file() else path).parent if is_package else path.parent


def _plugin(module: str, root: Path) -> Plugin:
    top = module.partition(".")[0]
    digest, size = hashlib.sha256(), 0
    files = plugin_files(root, top)
    if not files:
        raise PluginError(f"{root} must hold the plug-in {top!r}, but does not; put it there.")
    for path in files:
        try:
            content = (root / path).read_bytes()
        except OSError as error:
            raise PluginError(
                f"{root / path} must be readable, but: {error.strerror}; change its mode."
            ) from None
        size += len(content)
        if size > _MOST_BYTES:
            raise PluginError(
                f"plug-in {top!r} in {root} must have at most {_MOST_BYTES >> 20} MiB, because it "
                "is copied to every study; move data out of it."
            )
        digest.update(path.encode() + b"\0" + str(len(content)).encode() + b"\0" + content)
    return Plugin(module=module, root=root, digest=digest.hexdigest())
