"""Several arms side by side: over one dimension, and by rank over several datasets."""

from __future__ import annotations

from functools import partial

from study import figures
from study.report.csv_rows import CsvRows, curve_rows
from study.report.exhibit import Exhibit, Made, Source, attempt, stem
from study.report.sections.outcome import main_metric
from study.report.tables import Table
from study.sensitivity import (
    AverageRanks,
    arm_curves,
    arm_label,
    average_ranks,
    dimension_symbol,
    settings,
    shared_sweeps,
)

ACCURACIES = ("test/accuracy", "test/auc")
COSINE = ("filter_cosine/mean",)


def arms_over_dimensions(source: Source) -> Made:
    """Show accuracy and AUC, and the filter cosine, of all arms that sweep the same dimension."""
    for dimension in shared_sweeps(source.table):
        for name, metrics in (("accuracy and AUC", ACCURACIES), ("filter cosine", COSINE)):
            title = (
                f"{name[0].upper()}{name[1:]} of several arms over {dimension_symbol(dimension)}"
            )
            yield attempt(title, partial(_over_dimension, source, dimension, metrics, title))


def ranks(source: Source) -> Made:
    """Rank the methods over the datasets; nothing where the study has only one."""
    if len(settings(source.table)) > 1:
        title = "Methods by rank over the datasets"
        yield attempt(title, partial(_ranks, source, title))


def _over_dimension(
    source: Source, dimension: str, metrics: tuple[str, ...], title: str
) -> Exhibit:
    record = arm_curves(source.table, dimension, metrics)
    curves = [curve for group in record.curves for curve in group]
    return Exhibit(
        name=stem("arms-over", dimension, metrics[0]),
        title=title,
        arms=tuple(dict.fromkeys(curve.arm for curve in curves)),
        chart=figures.arm_curves.chart(record),
        rows=curve_rows(curves),
        notes=record.notes,
    )


def _ranks(source: Source, title: str) -> Exhibit:
    record = average_ranks(source.table, main_metric(source.table))
    return Exhibit(
        name="ranks",
        title=title,
        arms=tuple(arm.name for arm in source.table.arms),
        chart=figures.ranks.chart(record),
        tables=(_rank_table(record),),
        rows=_rank_rows(record),
        notes=record.notes,
    )


def _rank_table(record: AverageRanks) -> Table:
    return Table(
        title=f"Ranks by {record.metric}",
        columns=("Method", "Mean rank", *record.settings),
        rows=tuple(
            (
                arm_label(one.method, one.method),
                f"{one.rank:.2f}",
                *(f"{rank:g}" for rank in one.ranks),
            )
            for one in record.methods
        ),
        note=f"1 is best; each method by its mean over replicas. Mean ranks at least "
        f"{record.critical_difference:.2f} apart differ at 5% (Nemenyi).",
    )


def _rank_rows(record: AverageRanks) -> CsvRows:
    return tuple(
        {
            "method": one.method,
            "metric": record.metric,
            "mean_rank": one.rank,
            "critical_difference": record.critical_difference,
            "p_value": record.p_value,
            **{
                f"rank/{name}": rank for name, rank in zip(record.settings, one.ranks, strict=True)
            },
        }
        for one in record.methods
    )
