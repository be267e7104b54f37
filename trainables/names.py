"""Look a name up, or say which names there are and which one was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say what the user probably meant, as the end of an error message.

    Example:
        >>> suggestion("tpo_k", ["top_k", "alpha"])
        "did you mean 'top_k'?"
        >>> suggestion("x", ["top_k", "alpha"])
        'known: alpha, top_k.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}."
