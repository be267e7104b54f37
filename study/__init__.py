"""Hyperparameter studies: study files, search, trials, results, figures and reports.

``Study`` and ``open_study`` are the way in from Python.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.api import Study, open_study

__all__ = ["Study", "__version__", "open_study"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (of any type)
    """Return a public name when it is needed.

    Commands start without torch, and nodes run an archive that is not installed and so has no
    version.
    """
    if name == "__version__":
        return version("challenger-study")
    if name in {"Study", "open_study"}:
        from study import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
