"""One self-contained HTML page: everything it shows is inside the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
from markupsafe import Markup

from study.report.exhibit import Exhibit
from study.report.paper import reference_table
from study.report.picture import Picture
from study.report.script import STILL_POLICY, figure_data, script
from study.report.summary import Summary
from study.report.tables import Table, failures_table
from study.sensitivity import settings
from study.trial_table import TrialTable

_TOGETHER = re.compile(r"\[[+−\d][^\]]*\]|\b\w+ [<=] [\d.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """An exhibit as the template needs it: its picture is an address that holds the image."""

    name: str
    title: str
    caption: str
    picture: str
    data: Markup
    tables: tuple[Table, ...]


def render_page(
    table: TrialTable,
    summary: Summary,
    exhibits: Sequence[Exhibit],
    pictures: Mapping[str, Picture | None],
) -> str:
    """Render the page; it loads nothing, from the network or from disk.

    Args:
        table: Trials of the study.
        summary: The written summary, with what is missing.
        exhibits: Figures and tables, in order.
        pictures: Name of an exhibit to its figure, rendered.
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
    scripts = script() if any(exhibit.chart for exhibit in exhibits) else None
    return environment.get_template("page.html.j2").render(
        table=table,
        summary=summary,
        exhibits=[_show(exhibit, pictures.get(exhibit.name)) for exhibit in exhibits],
        references=[reference for reference in references if reference is not None],
        failures=failures if failures.rows else None,
        policy=STILL_POLICY if scripts is None else scripts.policy,
        # Markup: the policy lets these run and no others, whatever a name may smuggle in.
        own=None if scripts is None else Markup(scripts.own),
        plotly=None if scripts is None else scripts.plotly,
    )


def _unbroken(text: str) -> str:
    """Keep an interval in brackets, and a symbol with its number, on one line."""
    return _TOGETHER.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _show(exhibit: Exhibit, picture: Picture | None) -> _Shown:
    return _Shown(
        name=exhibit.name,
        title=exhibit.title,
        caption=exhibit.words,
        picture="" if picture is None else picture.address,
        # Markup: no character of it can end the element that it stands in.
        data=Markup("" if exhibit.chart is None else figure_data(exhibit.chart)),
        tables=exhibit.tables,
    )
