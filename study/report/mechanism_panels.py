"""Panels of the filter cosine during training, and of its correlation with accuracy."""

from __future__ import annotations

from functools import partial

from study import figures
from study.records.errors import ReportError
from study.report.panel import PanelIterator, ReportPanel, ReportSource, file_stem, try_panel
from study.report.tables import correlation_table
from study.sensitivity import Workload, cosine_and_accuracy, cosine_over_epochs, workloads


def filter_cosines_over_epochs(source: ReportSource) -> PanelIterator:
    """Show the filter cosine of every layer during training, for every dataset and model."""
    for workload in workloads(source.table):
        title = f"Filter cosine during training on {workload.dataset}, {workload.model}"
        yield try_panel(title, partial(_over_epochs_panel, source, workload, title))


def cosines_and_accuracies(source: ReportSource) -> PanelIterator:
    """Show accuracy over filter cosine, trial by trial, for every dataset and model."""
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
        records=(record,),
        notes=record.notes,
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
        tables=(correlation_table(records),),
        records=tuple(records),
    )
