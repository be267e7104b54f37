"""How the settings that were found elsewhere do on each target."""

from __future__ import annotations

from collections.abc import Iterator

from study.errors import ReportError
from study.report.sections.outcome import main_metric
from study.report.sections.section import Section
from study.report.wording import PERCENT, amount, certainty, gap, number
from study.sensitivity import (
    TRANSFER_METRICS,
    Transfer,
    TransferRow,
    TransferTarget,
    TransferValue,
    arm_label,
    metric_label,
    transfer,
    transfer_methods,
)
from study.trial_table import TrialTable


def section(table: TrialTable) -> Section:
    """State for each target its own choice and each setting from elsewhere, in one sentence."""
    return Section(title="Settings found elsewhere", statements=tuple(_statements(table)))


def _statements(table: TrialTable) -> Iterator[str]:
    for method in transfer_methods(table):
        try:
            record = transfer(table, method)
        except ReportError as error:
            yield f"{arm_label(method, method)}: nothing can be said yet; {error}"
            continue
        metric = main_metric(table)
        for target in record.targets:
            yield _statement(
                record, target, metric if metric in TRANSFER_METRICS else TRANSFER_METRICS[0]
            )


def _statement(record: Transfer, target: TransferTarget, metric: str) -> str:
    own, *others = target.rows
    parts = [
        _own(record, target, own.get(metric)),
        *(_other(record, row, row.get(metric)) for row in others),
    ]
    return f"{_name(record, target.arm)} on {target.dataset}: {'; '.join(parts)}."


def _own(record: Transfer, target: TransferTarget, value: TransferValue | None) -> str:
    row = target.rows[0]
    whose = "its own choice"
    if row.source != target.arm:
        whose = f"the choice of {_name(record, row.source)}, its own search,"
    if value is None:
        return f"{whose} has {row.note.rstrip('.')}"
    return (
        f"{whose} reached a {metric_label(value.metric).name} of {_level(value)}, "
        f"{value.interval.n} replicas)"
    )


def _other(record: Transfer, row: TransferRow, value: TransferValue | None) -> str:
    whose = f"that of {_name(record, row.source)}"
    if row.note:
        verb = "has" if value is None and not row.is_illegal else "is"
        return f"{whose} {verb} {row.note.rstrip('.')}"
    assert value is not None
    return f"{whose} {_level(value)}){_against_own(value)}"


def _level(value: TransferValue) -> str:
    low, high = (number(x, value.metric) for x in (value.interval.low, value.interval.high))
    return f"{amount(value.interval.mean, value.metric)} ({PERCENT} interval {low} to {high}"


def _against_own(value: TransferValue) -> str:
    corrected = value.to_own
    if corrected is None:
        return ""
    mean, how_sure = corrected.difference.interval.mean, certainty(corrected, value.metric)
    if not corrected.is_shown:
        shown = gap(mean, value.metric, is_signed=True)
        return f", no difference to the own choice shown: {shown} ({how_sure})"
    side = "above" if mean > 0 else "below"
    return f", {gap(abs(mean), value.metric)} {side} the own choice ({how_sure})"


def _name(record: Transfer, name: str) -> str:
    return arm_label(name, record.method)
