"""One self-contained HTML page: everything it shows is inside the file."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from study import figures
from study.report.exhibit import Exhibit
from study.report.paper import reference_table
from study.report.summary import Summary
from study.report.tables import Table, failures_table
from study.sensitivity import settings
from study.trial_table import TrialTable

_TOGETHER = re.compile(r"\[[+−\d][^\]]*\]|\b\w+ [<=] [\d.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """An exhibit as the template needs it: its figure is an address that holds the image."""

    name: str
    title: str
    caption: str
    image: str
    tables: tuple[Table, ...]


def render_page(table: TrialTable, summary: Summary, exhibits: Sequence[Exhibit]) -> str:
    """Render the page; it loads nothing, from the network or from disk.

    Args:
        table: Trials of the study.
        summary: The written summary, with what is missing.
        exhibits: Figures and tables, in order.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("study.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    references = [reference_table(setting) for setting in settings(table)]
    failures = failures_table(table)
    return environment.get_template("page.html.j2").render(
        table=table,
        summary=summary,
        exhibits=[_show(exhibit) for exhibit in exhibits],
        references=[reference for reference in references if reference is not None],
        failures=failures if failures.rows else None,
    )


def _unbroken(text: str) -> str:
    """Keep an interval in brackets, and a symbol with its number, on one line."""
    return _TOGETHER.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _show(exhibit: Exhibit) -> _Shown:
    return _Shown(
        name=exhibit.name,
        title=exhibit.title,
        caption=exhibit.caption,
        image="" if exhibit.figure is None else _address(exhibit),
        tables=exhibit.tables,
    )


def _address(exhibit: Exhibit) -> str:
    assert exhibit.figure is not None
    kind, mime = ("svg", "image/svg+xml") if exhibit.is_vector else ("png", "image/png")
    content = figures.render(exhibit.figure, kind, has_caption=False)
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
