"""Hyperparameter studies: study files, search, trials, results, figures and reports."""

from importlib.metadata import version


def __getattr__(name: str) -> str:
    """Read ``__version__`` when it is needed: nodes run an archive that is not installed."""
    if name == "__version__":
        return version("challenger-study")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
