"""Where the searches have been, and what the study cost."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from study import figures
from study.report.cost_table import cost_table
from study.report.csv_rows import CsvRows
from study.report.exhibit import Exhibit, Made, Missing, Source, attempt, stem
from study.sensitivity import SearchPoints, arm_label, cost, search_points
from study.trial_table import ArmRow


def explored_regions(source: Source) -> Made:
    """Show, for every arm that searches, its trials over each dimension and as lines."""
    for arm in source.table.arms:
        if not arm.dimensions:
            continue
        name = arm_label(arm.name, arm.method)
        title = f"Where the search of {name} has been"
        slices = attempt(title, partial(_slices, source, arm, title))
        yield slices
        # Said once: what one lacks the other lacks too.
        if not isinstance(slices, Missing):
            title = f"Search of {name}, all dimensions side by side"
            yield attempt(title, partial(_coordinates, source, arm, title))


def costs(source: Source) -> Made:
    """Show the CPU and GPU hours by arm, phase and state of the trials."""
    yield attempt("What the study cost", partial(_cost, source))


def _cost(source: Source) -> Exhibit:
    record = cost(source.table)
    return Exhibit(
        name="cost",
        title="What the study cost",
        arms=tuple(arm.name for arm in source.table.arms),
        tables=(cost_table(record),),
        rows=tuple(asdict(row) for row in record.rows),
    )


def _slices(source: Source, arm: ArmRow, title: str) -> Exhibit:
    record = search_points(source.table, arm.name)
    return Exhibit(
        name=stem(arm.name, "search-slices"),
        title=title,
        arms=(arm.name,),
        chart=figures.search_points.slices(record),
        rows=_rows(record),
    )


def _coordinates(source: Source, arm: ArmRow, title: str) -> Exhibit:
    record = search_points(source.table, arm.name)
    return Exhibit(
        name=stem(arm.name, "search-coordinates"),
        title=title,
        arms=(arm.name,),
        chart=figures.search_points.coordinates(record),
        rows=_rows(record),
    )


def _rows(record: SearchPoints) -> CsvRows:
    return tuple(
        {
            "arm": record.arm,
            "trial_number": point.number,
            "state": point.state,
            record.objective: point.value,
            "is_best": point.number == record.best,
            **{f"params/{name}": value for name, value in point.params.items()},
        }
        for point in record.points
    )
