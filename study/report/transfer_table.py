"""The settings tried on one target, as a table."""

from __future__ import annotations

from collections.abc import Iterator

from study.report.tables import Table
from study.report.wording import PERCENT, brackets, listed, p_value, parameters
from study.sensitivity import (
    TRANSFER_METRICS,
    CorrectedDifference,
    Transfer,
    TransferRow,
    TransferTarget,
    arm_label,
    metric_label,
)

_ABSENT = "–"


def transfer_table(record: Transfer, target: TransferTarget) -> Table:
    """Show each setting's test metrics and differences; a setting without them says why."""
    return Table(
        title=f"Settings tried on {arm_label(target.arm, record.method)}: {target.dataset}, "
        f"{target.model}",
        columns=(
            "Chosen by",
            *(head for metric in TRANSFER_METRICS for head in _heads(metric)),
            "n",
            "Parameters",
            "Found on",
        ),
        rows=tuple(_row(record, row) for row in target.rows),
        note=f"Mean over n replicas on fresh seeds [{PERCENT} Student's t interval of the mean]; "
        "differences over replicas with the same seed; p of the paired t test, Holm-corrected "
        "over the settings of a column. A setting is what was searched; all else, also what an "
        "arm holds fixed, is the target's own.",
    )


def _heads(metric: str) -> tuple[str, ...]:
    label = metric_label(metric)
    return (
        label.axis,
        f"Minus Base [{label.difference_unit}]",
        f"Minus own choice [{label.difference_unit}]",
    )


def _row(record: Transfer, row: TransferRow) -> tuple[str, ...]:
    name = arm_label(row.source, record.method)
    cells = [cell for metric in TRANSFER_METRICS for cell in _cells(row, metric)]
    if row.note:
        # In words where numbers would stand: beside them if there are any.
        place = 2 if row.values else 0
        cells[place] = row.note.rstrip(".")
    return (
        f"{name} (own choice)" if row.kind == "own" else name,
        *cells,
        str(len(row.seeds)) if row.values else _ABSENT,
        _ABSENT if row.params is None else parameters(row.params),
        listed(row.found_on),
    )


def _cells(row: TransferRow, metric: str) -> Iterator[str]:
    value = row.get(metric)
    yield _ABSENT if value is None else brackets(value.interval, metric)
    yield _difference(None if value is None else value.to_base, metric)
    yield _difference(None if value is None else value.to_own, metric)


def _difference(corrected: CorrectedDifference | None, metric: str) -> str:
    if corrected is None:
        return _ABSENT
    shown = brackets(corrected.difference.interval, metric, is_signed=True)
    return f"{shown}, {p_value(corrected.p_holm)}"
