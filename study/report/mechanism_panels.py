"""What training does to the filters, and whether that goes along with accuracy."""

from __future__ import annotations

from functools import partial

from study import figures
from study.records.errors import ReportError
from study.report.csv_rows import CsvRows, interval_cells, optional_cells
from study.report.formatting import p_value
from study.report.panel import PanelIterator, ReportPanel, ReportSource, file_stem, try_panel
from study.report.tables import Table
from study.sensitivity import (
    Correlation,
    CosineAndAccuracy,
    CosineOverEpochs,
    Workload,
    arm_label,
    cosine_and_accuracy,
    cosine_over_epochs,
    metric_label,
    workloads,
)


def filter_cosines_over_epochs(source: ReportSource) -> PanelIterator:
    """Show the filter cosine of every layer during training, for every dataset and model."""
    for workload in workloads(source.table):
        title = f"Filter cosine during training on {workload.dataset}, {workload.model}"
        yield try_panel(title, partial(_over_epochs_panel, source, workload, title))


def cosines_and_accuracies(source: ReportSource) -> PanelIterator:
    """Show filter cosine beside accuracy, trial by trial, for every dataset and model."""
    for workload in workloads(source.table):
        title = f"Filter cosine and accuracy on {workload.dataset}, {workload.model}"
        yield try_panel(title, partial(_correlations_panel, source, workload, title))


def _over_epochs_panel(source: ReportSource, workload: Workload, title: str) -> ReportPanel:
    record = cosine_over_epochs(source.table, workload)
    return ReportPanel(
        name=file_stem("filter-cosine-over-epochs", workload.dataset, workload.model),
        title=title,
        arms=tuple(arm.name for arm in workload.arms),
        chart=figures.cosine_over_epochs.chart(record),
        rows=_epoch_rows(record),
        notes=record.notes,
    )


def _epoch_rows(record: CosineOverEpochs) -> CsvRows:
    return tuple(
        {
            "arm": curve.arm,
            "method": curve.method,
            "layer": layer.layer,
            "kind": layer.kind,
            "chance": layer.chance,
            "epoch": point.epoch,
            **interval_cells(point.level),
            **optional_cells("since_initialization", point.change),
        }
        for layer in record.layers
        for curve in layer.curves
        for point in curve.points
    )


def _correlations_panel(source: ReportSource, workload: Workload, title: str) -> ReportPanel:
    records, reasons = [], []
    test = f"test/{source.table.objective.partition('/')[2]}"
    for phase, metric in (("search", source.table.objective), ("final", test)):
        try:
            records.append(cosine_and_accuracy(source.table, workload, phase, metric))  # type: ignore[arg-type]
        except ReportError as error:
            reasons.append(str(error))
    if not records:
        raise ReportError(" ".join(reasons))
    return ReportPanel(
        name=file_stem("filter-cosine-and-accuracy", workload.dataset, workload.model),
        title=title,
        arms=tuple(arm.name for arm in workload.arms),
        chart=figures.cosine_and_accuracy.chart(records),
        tables=(_correlation_table(records),),
        rows=tuple(row for record in records for row in _correlation_rows(record)),
    )


def _correlation_table(records: list[CosineAndAccuracy]) -> Table:
    return Table(
        title="Correlation of the mean filter cosine with accuracy",
        columns=("Trials", "Arm", "r", "p", "n"),
        rows=tuple(
            (
                f"{record.phase}, {metric_label(record.metric).name}",
                name,
                *_correlation_cells(found),
            )
            for record in records
            for name, found in (
                ("all", record.overall),
                *((arm_label(arm.arm, arm.method), arm.correlation) for arm in record.arms),
            )
        ),
        note="Pearson's r over completed trials [95% Fisher interval, as if they were "
        "independent]. Negative: the trials with more diverse filters reach more. Over all arms "
        "it also holds what the arms differ in. A correlation proves no cause.",
    )


def _correlation_cells(found: Correlation | None) -> tuple[str, ...]:
    if found is None:
        return ("too few trials or no spread", "–", "–")
    shown = f"{found.r:.2f} [{found.low:.2f}, {found.high:.2f}]".replace("-", "−")
    return (shown, p_value(found.p_value).removeprefix("p = ").removeprefix("p "), str(found.n))


def _correlation_rows(record: CosineAndAccuracy) -> CsvRows:
    return tuple(
        {
            "phase": record.phase,
            "arm": arm.arm,
            "trial_number": point.number,
            "filter_cosine/mean": point.cosine,
            record.metric: point.accuracy,
        }
        for arm in record.arms
        for point in arm.points
    )
