"""Views of a study's runs that MLflow's page offers under "Views": which runs, charts and columns.

MLflow's page shows neither a metric nor a chart of use until they are selected. A saved view is a
tag of the experiment (MLflow 3.17); a version that does not know it ignores it.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from study.records.labels import dimension_symbol
from study.tracking.logged_metrics import ENDS, LoggedMetrics, difference_keys, main_test_metric

VIEW_TAG: Final = "mlflow.sharedViewState."
"""Prefix of a view's tag; the rest is its key in ``?viewStateShareKey=``."""

CHART_VIEW: Final = "over-"
"""Beginning of the keys of views that are for MLflow's page of charts."""

WORKFLOW: Final = "workflowType=machine_learning"
"""MLflow 3.17 shows the side bar of language-model projects unless an address says otherwise."""

# What MLflow's databases hold of an experiment's tag.
_TAG_LENGTH: Final = 5000

# MLflow's own names of columns.
_NAME: Final = "attributes.`Run Name`"
_CREATED: Final = "attributes.start_time"
# In pixels: of a run's name, and of other columns without their head, and per letter of it.
_NAME_WIDTH: Final = 330
_MARGIN: Final = 70
_LETTER: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewedStudy:
    """Facts about a study that its views need.

    Attributes:
        objective: Metric key by which trials are compared.
        is_higher_better: Its direction.
        dimensions: What is searched, in order.
        swept: What is swept by final trials.
        workloads: Pairs of dataset and model, each with arms of its own.
        logged: Metrics of its runs, for charts; None before there are results.
    """

    objective: str
    is_higher_better: bool
    dimensions: tuple[str, ...]
    swept: tuple[str, ...] = ()
    workloads: tuple[tuple[str, str], ...] = ()
    logged: LoggedMetrics | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """Charts of a view under a title.

    Attributes:
        columns: Charts side by side.
        height: Of a chart, in pixels.
    """

    title: str
    charts: tuple[dict[str, Any], ...]
    columns: int = 2
    height: int = 330


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One view.

    Attributes:
        key: Its name in an address.
        name: Its name for people.
        filter: Which runs, in MLflow's language.
        order_by: Column that sorts them.
        is_ascending: Whether the least comes first.
        columns: What is shown of them, in order.
        sections: Its charts.
    """

    key: str
    name: str
    filter: str
    order_by: str
    is_ascending: bool
    columns: tuple[str, ...]
    sections: tuple[_Section, ...] = ()


def view_tags(study: ViewedStudy) -> dict[str, str]:
    """Return the experiment's tags that make the views of a study: tag to its JSON."""
    views = (*_chart_views(study), *_table_views(study))
    return {f"{VIEW_TAG}{view.key}": _tag(view, place, study) for place, view in enumerate(views)}


def is_first_view(tag: str, value: str) -> bool:
    """Return whether a tag is the first of the views that :func:`view_tags` makes."""
    if not tag.startswith(VIEW_TAG):
        return False
    try:
        envelope = json.loads(value)
    except ValueError:
        return False  # a view that somebody saved with another version of MLflow
    return isinstance(envelope, dict) and envelope.get("updatedAt") == 0


def view_address(experiment_id: str, view: str) -> str:
    """Return the page of a view, or without one of all runs, below MLflow's address.

    A view that is chosen in MLflow's menu opens on its table, so that charts need their address.
    """
    chart = "&compareRunsMode=CHART" if view.startswith(CHART_VIEW) else ""
    shown = f"&viewStateShareKey={quote(view)}{chart}" if view else ""
    return f"#/experiments/{experiment_id}/runs?{WORKFLOW}{shown}"


def view_links(tags: Mapping[str, str], experiment_id: str) -> str:
    """Return links to the views of charts and to the first table, as one line of Markdown.

    Args:
        tags: What :func:`view_tags` returns.
        experiment_id: MLflow's id of the experiment.
    """
    views = {tag.removeprefix(VIEW_TAG): json.loads(text)["name"] for tag, text in tags.items()}
    tables = [view for view in views if not view.startswith(CHART_VIEW)]
    shown = [view for view in views if view not in tables[1:]]
    links = (f"[{_plain(views[v])}]({view_address(experiment_id, v)})" for v in shown)
    return " · ".join(links)


def _plain(name: str) -> str:
    """Drop what has a meaning in a Markdown link."""
    return re.sub(r"[\\\[\]()<>`*_|]", " ", name)


def _chart_views(study: ViewedStudy) -> Iterator[_View]:
    logged = study.logged
    if logged is None:
        return
    tested = main_test_metric(study.objective)
    for dimension in study.swept:
        if not logged.over(dimension):
            continue
        for number, workload in enumerate(study.workloads):
            is_only = len(study.workloads) == 1
            yield _View(
                key=f"{CHART_VIEW}{dimension}{f'-{number}' if number else ''}",
                name=f"Sensitivity to {dimension_symbol(dimension)}"
                + ("" if is_only else f" · {', '.join(workload)}"),
                filter="tags.kind = 'arm'" + ("" if is_only else _of_workload(*workload)),
                order_by=_columns("metrics", (tested,))[0],
                is_ascending=not study.is_higher_better,
                columns=_result_columns(study),
                sections=tuple(_sensitivity(logged, dimension)),
            )
    yield _View(
        key=f"{CHART_VIEW}epochs",
        name="Filter cosine and learning over epochs",
        filter="tags.is_chosen = 'true'",
        order_by=_columns("metrics", (tested,))[0],
        is_ascending=not study.is_higher_better,
        columns=_columns("metrics", (tested, study.objective)),
        sections=tuple(_over_epochs(logged, study.objective)),
    )
    if study.dimensions:
        yield _search_charts(study)


def _sensitivity(logged: LoggedMetrics, dimension: str) -> Iterator[_Section]:
    """Yield the curves over a dimension; the single layers have a section of their own."""
    symbol, axis = dimension_symbol(dimension), logged.axes[dimension]
    layers = set(logged.layers[1:])
    for title, is_layer in (
        (f"Sensitivity to {symbol}, with 95 % intervals", False),
        (f"Filter cosine of each layer over {symbol}", True),
    ):
        curves = [one for one in logged.over(dimension) if (one.metric in layers) == is_layer]
        if curves:
            charts = tuple(_line(curve.keys, axis) for curve in curves)
            yield _Section(title=title, charts=charts, columns=3 if is_layer else 2)


def _over_epochs(logged: LoggedMetrics, objective: str) -> Iterator[_Section]:
    if logged.layers:
        mean, *layers = logged.layers
        charts = (_line(_with_ends(mean)), *(_line((layer,)) for layer in layers))
        yield _Section(title="Filter cosine over epochs", charts=charts, columns=3)
    learned = (_line(_with_ends(objective)), _line(_with_ends("train/loss")))
    yield _Section(title="Learning over epochs", charts=learned)


def _search_charts(study: ViewedStudy) -> _View:
    """Return the search as parallel coordinates, and the objective over every dimension."""
    parallel = {
        "type": "PARALLEL",
        "selectedParams": list(study.dimensions),
        # MLflow colors the lines by the last axis.
        "selectedMetrics": [study.objective],
        "showAllRuns": False,
    }
    scatter = tuple(
        {
            "type": "SCATTER",
            "xaxis": {"type": "PARAM", "key": dimension},
            "yaxis": {"type": "METRIC", "key": study.objective},
        }
        for dimension in study.dimensions
    )
    over = f"{study.objective} over each dimension"
    return _View(
        key=f"{CHART_VIEW}search",
        name="Search as parallel coordinates",
        filter="tags.phase = 'search'",
        order_by=_columns("metrics", (study.objective,))[0],
        is_ascending=not study.is_higher_better,
        columns=(
            *_columns("metrics", (study.objective,)),
            *_columns("params", study.dimensions),
        ),
        sections=(
            _Section(title="Search", charts=(parallel,), columns=1, height=420),
            _Section(title=over, charts=scatter, columns=3),
        ),
    )


def _table_views(study: ViewedStudy) -> Iterator[_View]:
    is_ascending = not study.is_higher_better
    params = _columns("params", study.dimensions)
    objective = _columns("metrics", (study.objective, f"{study.objective}_std"))
    tested = _columns("metrics", _with_ends(main_test_metric(study.objective)))
    cost = _columns("metrics", ("cost/trained_s",))
    yield _View(
        key="arms",
        name="Arms",
        filter="tags.kind = 'arm'",
        order_by=tested[0],
        is_ascending=is_ascending,
        columns=_result_columns(study),
    )
    yield _View(
        key="tree",
        name="Arms with their trials",
        filter="",
        # MLflow shows children below their parents in this order alone.
        order_by=_CREATED,
        is_ascending=False,
        columns=(*tested, *objective, *cost, *params, *_columns("tags", ("phase", "state"))),
    )
    yield _View(
        key="search",
        name="Search trials",
        filter="tags.phase = 'search'",
        order_by=objective[0],
        is_ascending=is_ascending,
        columns=(*objective, *cost, *params, *_columns("tags", ("arm", "state"))),
    )
    yield _View(
        key="final",
        name="Final trials",
        filter="tags.phase = 'final'",
        order_by=tested[0],
        is_ascending=is_ascending,
        columns=(*tested, *objective, *cost, *params, *_columns("tags", ("arm", "is_chosen"))),
    )
    for dimension in study.swept:
        # The dimension as a metric: MLflow sorts params as text, 10 before 2.
        value = _columns("metrics", (dimension,))
        yield _View(
            key=f"trials-{dimension}",
            name=f"Final trials over {dimension_symbol(dimension)}",
            filter=f"tags.`over/{dimension}` = 'true'",
            order_by=value[0],
            is_ascending=True,
            columns=(*value, *tested, *objective, *_columns("tags", ("arm",))),
        )


def _result_columns(study: ViewedStudy) -> tuple[str, ...]:
    tested = main_test_metric(study.objective)
    return (
        *_columns("metrics", _with_ends(tested)),
        *_columns("metrics", difference_keys(tested)),
        *_columns("metrics", (f"best/{study.objective}", "cost/trained_s")),
        *_columns("tags", ("method", "dataset")),
        *_columns("tags", [f"best_params/{name}" for name in study.dimensions]),
    )


def _with_ends(metric: str) -> tuple[str, ...]:
    return (metric, *(f"{metric}{end}" for end in ENDS))


def _of_workload(dataset: str, model: str) -> str:
    """Return the clause of a filter; a quote, which MLflow cannot escape, may be any letter."""
    escaped = [
        name.translate({ord(quote): "_" for quote in "'\"`\\"}) for name in (dataset, model)
    ]
    return " AND tags.dataset LIKE '{}' AND tags.model LIKE '{}'".format(*escaped)


def _line(keys: Sequence[str], axis: str | None = None) -> dict[str, Any]:
    """Draw metrics of every run over the epochs, or over another metric at the same steps."""
    return {
        "type": "LINE",
        "metricKey": keys[0],
        "selectedMetricKeys": list(keys),
        "xAxisKey": "step" if axis is None else "metric",
        "selectedXAxisMetricKey": axis or "",
        "useGlobalXaxisKey": False,
        # MLflow smooths curves otherwise, which shows others than the data.
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
        "displayPoints": True,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
    }


def _tag(view: _View, place: int, study: ViewedStudy) -> str:
    state: dict[str, Any] = {
        "searchFilter": view.filter,
        "orderByKey": view.order_by,
        "orderByAsc": view.is_ascending,
        "selectedColumns": view.columns,
        "columnOrder": (_NAME, *view.columns),
        "columnWidths": {
            _NAME: _NAME_WIDTH,
            **{column: _width(column) for column in view.columns},
        },
        "groupBy": None,
    }
    if view.sections and study.logged is not None:
        state |= _chart_state(view.sections, study.logged.sections)
    # The times order the menu and are not shown; later ones come first.
    time_ms = -place
    envelope = {"name": view.name, "createdAt": time_ms, "updatedAt": time_ms}
    text = json.dumps(state, separators=(",", ":"))
    tag = json.dumps({**envelope, "state": text}, sort_keys=True)
    if len(tag) > _TAG_LENGTH:
        # As MLflow's own page shortens it.
        packed = "deflate;" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
        tag = json.dumps({**envelope, "state": packed}, sort_keys=True)
    return tag


def _chart_state(sections: Sequence[_Section], generated: Sequence[str]) -> dict[str, Any]:
    """Show our sections, and fold those that MLflow makes of every metric it finds."""
    shown = [
        _section(f"section-{place}", each.title, columns=each.columns, cardHeight=each.height)
        for place, each in enumerate(sections)
    ]
    names = dict.fromkeys(("", "Model metrics", "System metrics", *generated))
    folded = [_section(f"folded-{place}", name) for place, name in enumerate(names)]
    charts = [
        {
            "uuid": f"chart-{place}-{number}",
            "metricSectionId": f"section-{place}",
            "deleted": False,
            "isGenerated": False,
            **chart,
        }
        for place, section in enumerate(sections)
        for number, chart in enumerate(section.charts)
    ]
    return {
        "runsHiddenMode": "SHOW_ALL",
        "runListHidden": True,
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "compareRunSections": [*shown, *folded],
        "compareRunCharts": charts,
    }


def _section(uuid: str, name: str, **size: int) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name": name,
        "display": bool(size),
        "isReordered": bool(size),
        "deleted": False,
        "isGenerated": False,
        **size,
    }


def _width(column: str) -> int:
    return _MARGIN + _LETTER * len(column.partition("`")[2])


def _columns(kind: str, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{kind}.`{key}`" for key in keys)
