"""The self-contained HTML page of a report, with the script that draws its figures."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import jinja2
import vl_convert
from markupsafe import Markup

from study.figures.rendering import to_json
from study.figures.theme import config, on_dark_paper
from study.records.escaping import visible
from study.records.trial_table import TrialTable
from study.report.arrangement import arrange, facts
from study.report.markdown import Summary
from study.report.panel import RenderedFigure, ReportPanel
from study.report.tables import Table

_BASE_POLICY = ("default-src 'none'", "img-src data: blob:", "style-src 'unsafe-inline'")


EXPORT = "window.vegaEmbed = vegaEmbed;"
"""Statement that exports Vega-Embed to the page's script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageScript:
    """The scripts of a page.

    Attributes:
        own: Script that unpacks Vega and draws the charts.
        vega: Vega, Vega-Lite and Vega-Embed as one script, as gzip in base64: 0.4 MB of 0.9.
        theme: Configuration of the charts and their colors on dark paper, as JSON.
        policy: Content security policy: nothing is loaded, and only these two scripts run, by
            their hashes. Vega's expressions are interpreted, since compiling them would need
            ``unsafe-eval``.
    """

    own: str
    vega: str
    theme: str
    policy: str


STATIC_POLICY = "; ".join(_BASE_POLICY)
"""The policy of a page without scripts."""


@cache
def page_script() -> PageScript:
    """Return the scripts of a page with charts; bundling takes seconds, once per process."""
    own = files("study.report").joinpath("page.js").read_text(encoding="utf-8")
    vega = vl_convert.javascript_bundle(EXPORT)
    packed = gzip.compress(vega.encode("utf-8"), mtime=0)
    theme = {"config": config(), "dark": on_dark_paper()}
    return PageScript(
        own=own,
        vega=base64.b64encode(packed).decode("ascii"),
        theme=json.dumps(theme, separators=(",", ":")).replace("<", "\\u003c"),
        policy="; ".join((*_BASE_POLICY, f"script-src {_script_hashes([own, vega])}")),
    )


def _script_hashes(scripts: Sequence[str]) -> str:
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in scripts)
    return " ".join(f"'sha256-{base64.b64encode(one).decode('ascii')}'" for one in digests)


_UNBREAKABLE = re.compile(r"\[[+−\d][^\]]*\]|\b\w+ [<=] [\d.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _PanelView:
    """A panel for the template, with its image as a data URI."""

    name: str
    title: str
    caption: str
    is_folded: bool
    picture: str
    data: Markup
    tables: tuple[Table, ...]


def render_page(
    table: TrialTable,
    summary: Summary,
    panels: Sequence[ReportPanel],
    rendered: Mapping[str, RenderedFigure | None],
) -> str:
    """Render the page; it loads nothing, from the network or from disk.

    The first screen is the verdict, the arms minus Base and the main arm's first sweep; the rest
    follows in five sections.

    Args:
        table: Trials of the study.
        summary: The summary, with missing parts.
        panels: Figures and tables, in order.
        rendered: Name of a panel to its rendered figure.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("study.report", "."),
        autoescape=True,
        finalize=_finalized,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["keep_on_one_line"] = _keep_on_one_line
    scripts = page_script() if any(panel.spec for panel in panels) else None
    arranged = arrange(table, summary.sections, panels, summary.verdict.arm)
    views = {panel.name: _panel_view(panel, rendered.get(panel.name)) for panel in panels}
    return environment.get_template("page.html.j2").render(
        table=table,
        summary=summary,
        facts=facts(table),
        arranged=arranged,
        views=views,
        policy=STATIC_POLICY if scripts is None else scripts.policy,
        # Markup: the policy admits only these scripts, whatever a name may inject.
        own=None if scripts is None else Markup(scripts.own),
        vega=None if scripts is None else scripts.vega,
        theme=None if scripts is None else Markup(scripts.theme),
    )


def _finalized(value: object) -> object:
    """Return what the template writes, without control characters."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _keep_on_one_line(text: str) -> str:
    """Replace spaces in intervals and in symbols with numbers by no-break spaces."""
    return _UNBREAKABLE.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _panel_view(panel: ReportPanel, picture: RenderedFigure | None) -> _PanelView:
    return _PanelView(
        name=panel.name,
        title=panel.title,
        caption=panel.caption,
        is_folded=panel.is_folded,
        picture="" if picture is None else picture.data_uri,
        # Markup: no character of it can end its element.
        data=Markup("" if panel.spec is None else to_json(panel.spec)),
        tables=panel.tables,
    )
