"""Figures of a report: the subjects of each, its chart, caption and notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from study.figures.rendering import Chart
from study.records.trial_table import TrialTable
from study.sensitivity import (
    Workload,
    arm_label,
    control_of,
    dimension_symbol,
    swept_dimensions,
    workloads,
)

Place: TypeAlias = Literal["result", "sensitivity", "filters", "searches", "method"]
"""Sections of a report's page, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSource:
    """The study that panels are made of.

    Attributes:
        folder: Folder of the study, to which the trials' folders are relative.
        allow_biased: Whether global claims are shown even where the sampler used results.
    """

    table: TrialTable
    folder: Path
    allow_biased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The subject of one panel: an arm, a workload, a dimension.

    Attributes:
        title: Heading in a report.
        name: Parts of the stem of its files.
        arms: Names of its arms.
        read: Returns the record; raises ReportError where it cannot be made.
    """

    title: str
    name: tuple[str, ...]
    arms: tuple[str, ...]
    read: Callable[[], Any]


def has_base(table: TrialTable, arm: str) -> bool:
    """Return whether an arm has a Base to be compared with."""
    return control_of(table, table.arm(arm), "base") is not None


def noted(record: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the notes of a record, if it has any."""
    return getattr(record, "notes", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The functions of one kind of figure.

    Attributes:
        subjects: The subjects in a study, in order.
        chart: The chart of a record.
        caption: Its n, unit, interval and missing parts, in sentences.
        place: Section of the page that shows it.
        is_folded: Whether the page shows it on demand only: levels below their differences.
        notes: Missing parts of a record, in sentences.
    """

    subjects: Callable[[ReportSource], Iterable[Subject]]
    chart: Callable[[Any], Chart]
    caption: Callable[[Any], str]
    place: Place = "result"
    is_folded: bool = False
    notes: Callable[[Any], tuple[str, ...]] = noted


Subjects = Callable[[ReportSource], Iterator[Subject]]


def per_workload(
    title: str,
    name: str,
    read: Callable[[TrialTable, Workload], Any],
    of: Callable[[TrialTable], Iterable[Workload]] = workloads,
) -> Subjects:
    """Return a subject per workload: ``title``, on its dataset and model if there are several."""

    def subjects(source: ReportSource) -> Iterator[Subject]:
        is_one = len(workloads(source.table)) == 1
        for workload in of(source.table):
            where = "" if is_one else f" on {workload.dataset}, {workload.model}"
            yield Subject(
                title=f"{title}{where}",
                name=(name, workload.dataset, workload.model),
                arms=tuple(arm.name for arm in workload.arms),
                read=partial(read, source.table, workload),
            )

    return subjects


def per_arm(title: str, name: str, read: Callable[[TrialTable, str], Any]) -> Subjects:
    """Return a subject per arm that has dimensions; ``{arm}`` in the title is its name."""

    def subjects(source: ReportSource) -> Iterator[Subject]:
        for arm in source.table.arms:
            if arm.dimensions:
                yield Subject(
                    title=title.format(arm=arm_label(arm.name, arm.method)),
                    name=(arm.name, name),
                    arms=(arm.name,),
                    read=partial(read, source.table, arm.name),
                )

    return subjects


def per_sweep(title: str, name: str, read: Callable[[TrialTable, str, str], Any]) -> Subjects:
    """Return a subject per arm and dimension that it sweeps: its name, ``title``, the symbol."""

    def subjects(source: ReportSource) -> Iterator[Subject]:
        for arm in source.table.arms:
            for dimension in swept_dimensions(source.table, arm):
                label, symbol = arm_label(arm.name, arm.method), dimension_symbol(dimension)
                yield Subject(
                    title=f"{label}: {title} {symbol}",
                    name=(arm.name, name, dimension),
                    arms=(arm.name,),
                    read=partial(read, source.table, arm.name, dimension),
                )

    return subjects
