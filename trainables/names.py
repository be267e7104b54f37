"""Names in messages: the closest known name, and names with control characters escaped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 80


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the closest known name, or all, as the end of an error message.

    Example:
        >>> suggestion("tpo_k", ["top_k", "alpha"])
        "did you mean 'top_k'?"
        >>> suggestion("x", ["top_k", "alpha"])
        'known: alpha, top_k.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name[:_LONGEST], names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}."


def printable(text: str, longest: int = _LONGEST) -> str:
    r"""Return at most ``longest`` characters of a text, with control characters escaped.

    Example:
        >>> printable("a\x1b[31m")
        'a\\x1b[31m'
    """
    cut = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut
    )
