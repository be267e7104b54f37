"""Texts of users as their targets need them: one function for each target.

A study's name, labels of data, names of plug-ins, reasons of failures and paths are texts of
users. They reach pages and pictures (HTML, SVG), Markdown, CSV files and terminals.
"""

from __future__ import annotations

import re

# The brackets of an interval stay as they are: only those of a link are escaped.
_SPECIAL = re.compile(r"([\\`*_|~<]|&(?=#?\w+;)|\](?=[(\[]))")
_BLOCK = re.compile(r"\A( *)([-+=>#]|\[(?=[^\]]*\]:)|\d+(?=[.)](?: |$)))")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Return a text with its control characters escaped, for terminals, XML and HTML.

    Line feeds and no-break spaces stay. What turns the direction of writing is escaped too.

    Example:
        >>> visible("a\x1b[31m")
        'a\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or c in "\n\N{NO-BREAK SPACE}"
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def escape_markdown(text: str) -> str:
    r"""Return a text for Markdown, on one line: nothing in it is markup, HTML or a new block.

    Example:
        >>> escape_markdown("# a_b\n<script>")
        '\\# a\\_b \\<script>'
    """
    line = _SPECIAL.sub(r"\\\1", " ".join(visible(text).split("\n")))
    return _BLOCK.sub(lambda found: f"{found[1]}{_escaped_block(found[2])}", line)


def escape_formula(text: str) -> str:
    """Return a cell of a CSV file that no spreadsheet takes for a formula.

    Example:
        >>> escape_formula("=1+1"), escape_formula("-0.5"), escape_formula("a=b")
        ("'=1+1", '-0.5', 'a=b')
    """
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _escaped_block(start: str) -> str:
    """Return the start of a list or heading with what makes it one escaped."""
    return f"{start}\\" if start.isdigit() else f"\\{start}"
