"""What makes a page's figures answer: Plotly, packed, and a script that unpacks and calls it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from plotly.offline import get_plotlyjs

from study.figures import interactive
from study.figures.chart import Chart

_LOADS = ("default-src 'none'", "img-src data: blob:", "style-src 'unsafe-inline'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The scripts of a page.

    Attributes:
        own: Unpacks Plotly and draws the figures.
        plotly: Plotly's script as gzip in base64: 2 MB instead of 4.8.
        policy: What a browser lets the page load and run: nothing from anywhere, and no script
            but these two, by their hashes.
    """

    own: str
    plotly: str
    policy: str


STILL_POLICY = "; ".join(_LOADS)
"""The policy of a page without scripts."""


@cache
def script() -> Script:
    """Give the scripts of a page with figures."""
    own = files("study.report").joinpath("page.js").read_text(encoding="utf-8")
    plotly = get_plotlyjs()
    packed = gzip.compress(plotly.encode("utf-8"), mtime=0)
    return Script(
        own=own,
        plotly=base64.b64encode(packed).decode("ascii"),
        policy="; ".join((*_LOADS, f"script-src {_hashes([own, plotly])}")),
    )


def figure_data(chart: Chart) -> str:
    """Write a chart as JSON for the page's script: the data, and a layout per width.

    No character in it can end the element that it stands in.
    """
    wide, narrow = interactive.draw(chart), interactive.draw(chart, is_narrow=True)
    figure = {"data": wide["data"], "wide": wide["layout"], "narrow": narrow["layout"]}
    return json.dumps(figure, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def _hashes(scripts: Sequence[str]) -> str:
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in scripts)
    return " ".join(f"'sha256-{base64.b64encode(one).decode('ascii')}'" for one in digests)
