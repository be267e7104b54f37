"""Views of a study's runs that MLflow's page offers under "Views": which runs, columns, order.

MLflow's table of runs shows no metric and no param until they are selected. A saved view is
a tag of the experiment (MLflow 3.17); a version that does not know it ignores it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

VIEW_TAG: Final = "mlflow.sharedViewState."
"""Prefix of a view's tag; the rest is its key in ``?viewStateShareKey=``."""

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
    """

    objective: str
    is_higher_better: bool
    dimensions: tuple[str, ...]
    swept: tuple[str, ...] = ()

    @property
    def test_metric(self) -> str:
        """The objective's own test metric."""
        return f"test/{self.objective.partition('/')[2]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One view.

    Attributes:
        key: Its name in an address.
        name: Its name for people.
        filter: Which runs, in MLflow's language.
        order_by: Column that sorts them.
        columns: What is shown of them, in order.
        group_by: Param by whose values runs are averaged, or None.
    """

    key: str
    name: str
    filter: str
    order_by: str
    columns: tuple[str, ...]
    group_by: str | None = None


def view_tags(study: ViewedStudy) -> dict[str, str]:
    """Return the experiment's tags that make the views of a study: tag to its JSON."""
    return {
        f"{VIEW_TAG}{view.key}": _tag(view, place, study)
        for place, view in enumerate(_views(study))
    }


def _views(study: ViewedStudy) -> Iterator[_View]:
    params = _columns("params", study.dimensions)
    objective = _columns("metrics", (study.objective, f"{study.objective}_std"))
    tested = _columns("metrics", (study.test_metric, f"{study.test_metric}_std"))
    difference = _columns(
        "metrics",
        [f"{study.test_metric}_minus_base{end}" for end in ("", "_ci_low", "_ci_high")],
    )
    cost = _columns("metrics", ("cost/trained_s",))
    yield _View(
        key="arms",
        name="Arms",
        filter="tags.kind = 'arm'",
        order_by=tested[0],
        columns=(
            *tested,
            *difference,
            *_columns("metrics", (f"best/{study.objective}",)),
            *cost,
            *_columns("tags", ("method", "dataset")),
            *_columns("tags", [f"best_params/{name}" for name in study.dimensions]),
        ),
    )
    yield _View(
        key="tree",
        name="Arms with their trials",
        filter="",
        # MLflow shows children below their parents in this order alone.
        order_by=_CREATED,
        columns=(*tested, *objective, *cost, *params, *_columns("tags", ("phase", "state"))),
    )
    yield _View(
        key="search",
        name="Search trials",
        filter="tags.phase = 'search'",
        order_by=objective[0],
        columns=(*objective, *cost, *params, *_columns("tags", ("arm", "state"))),
    )
    yield _View(
        key="final",
        name="Final trials",
        filter="tags.phase = 'final'",
        order_by=tested[0],
        columns=(*tested, *objective, *cost, *params, *_columns("tags", ("arm", "is_chosen"))),
    )
    for dimension in study.swept:
        yield _View(
            key=f"over-{dimension}",
            name=f"Final trials by {dimension}",
            filter="tags.phase = 'final'",
            order_by=tested[0],
            columns=(*tested, *objective, *params, *_columns("tags", ("arm",))),
            group_by=dimension,
        )


def _tag(view: _View, place: int, study: ViewedStudy) -> str:
    state = {
        "searchFilter": view.filter,
        "orderByKey": view.order_by,
        "orderByAsc": view.order_by != _CREATED and not study.is_higher_better,
        "selectedColumns": view.columns,
        "columnOrder": (_NAME, *view.columns),
        "columnWidths": {
            _NAME: _NAME_WIDTH,
            **{column: _width(column) for column in view.columns},
        },
        "groupBy": view.group_by and _grouped_by(view.group_by),
    }
    # The times order the menu and are not shown; later ones come first.
    time_ms = -place
    envelope = {"name": view.name, "createdAt": time_ms, "updatedAt": time_ms}
    return json.dumps({**envelope, "state": json.dumps(state)}, sort_keys=True)


def _width(column: str) -> int:
    return _MARGIN + _LETTER * len(column.partition("`")[2])


def _grouped_by(param: str) -> dict[str, object]:
    return {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "param", "groupByData": param}],
    }


def _columns(kind: str, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{kind}.`{key}`" for key in keys)
