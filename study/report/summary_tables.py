"""Tables of transferred configurations, of cost, and of the paper's reference values."""

from __future__ import annotations

from collections.abc import Iterator

from study.report.formatting import (
    CONFIDENCE_PERCENT,
    STATE_NAMES,
    format_interval,
    format_params,
    join_words,
    p_value,
)
from study.report.tables import Table
from study.sensitivity import (
    TRANSFER_METRICS,
    CorrectedDifference,
    Cost,
    Transfer,
    TransferRow,
    TransferTarget,
    Workload,
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
            *(head for metric in TRANSFER_METRICS for head in _metric_columns(metric)),
            "n",
            "Parameters",
            "Found on",
        ),
        rows=tuple(_transfer_row(record, row) for row in target.rows),
        note=f"Mean over n replicas on fresh seeds [{CONFIDENCE_PERCENT} Student's t interval of the mean]; "
        "differences over replicas with the same seed; p of the paired t test, Holm-corrected "
        "over the settings of a column. A setting is what was searched; all else, also what an "
        "arm holds fixed, is the target's own.",
    )


def _metric_columns(metric: str) -> tuple[str, ...]:
    label = metric_label(metric)
    return (
        label.axis,
        f"Minus Base [{label.difference_unit}]",
        f"Minus own choice [{label.difference_unit}]",
    )


def _transfer_row(record: Transfer, row: TransferRow) -> tuple[str, ...]:
    name = arm_label(row.source, record.method)
    cells = [cell for metric in TRANSFER_METRICS for cell in _metric_cells(row, metric)]
    if row.note:
        # In words where numbers would stand: beside them if there are any.
        place = 2 if row.values else 0
        cells[place] = row.note.rstrip(".")
    return (
        f"{name} (own choice)" if row.kind == "own" else name,
        *cells,
        str(len(row.seeds)) if row.values else _ABSENT,
        _ABSENT if row.params is None else format_params(row.params),
        join_words(row.source_datasets),
    )


def _metric_cells(row: TransferRow, metric: str) -> Iterator[str]:
    value = row.get(metric)
    yield _ABSENT if value is None else format_interval(value.interval, metric)
    yield _difference_cell(None if value is None else value.to_base, metric)
    yield _difference_cell(None if value is None else value.to_own, metric)


def _difference_cell(corrected: CorrectedDifference | None, metric: str) -> str:
    if corrected is None:
        return _ABSENT
    shown = format_interval(corrected.difference.interval, metric, is_signed=True)
    return f"{shown}, {p_value(corrected.p_holm)}"


def cost_table(record: Cost) -> Table:
    """Show hours by arm, phase and state, the sum last."""
    total = (
        "all",
        "",
        "",
        str(sum(row.trials for row in record.rows)),
        hours(sum(row.hours for row in record.rows)),
        hours(record.cpu_hours),
        hours(record.gpu_hours),
    )
    unmeasured = (
        f" {record.unmeasured} trials do not say what they used." if record.unmeasured else ""
    )
    return Table(
        title="Hours by arm, phase and state",
        columns=("Arm", "Phase", "State", "Trials", "Training [h]", "CPU [h]", "GPU [h]"),
        rows=(
            *(
                (
                    row.arm,
                    row.phase,
                    STATE_NAMES[row.state],
                    str(row.trials),
                    hours(row.hours),
                    hours(row.cpu_hours),
                    hours(row.gpu_hours),
                )
                for row in record.rows
            ),
            total,
        ),
        note="Training: trials one after the other, all replicas of a trial together. GPU: time "
        "on a GPU times the trial's share of it. What a lost process did after its last report "
        f"is not counted.{unmeasured}",
    )


def hours(value: float) -> str:
    """Write hours, with minutes where there are few: ``0.034``, ``2.41``, ``310``."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


_PAPER_COLUMNS = (
    "Paper",
    "Accuracy [%]",
    "NLL",
    "Brier score",
    "ECE",
    "Filter cosine, mean",
    "layer 1",
    "layer 2",
    "layer 3",
)
_PAPER_ROWS = (
    ("Base", "46.99", "7.670", "0.096", "0.454", "0.106", "0.019", "0.191", "0.089"),
    ("Challenger", "71.06", "3.130", "0.052", "0.242", "0.0724", "0.022", "0.107", "0.043"),
)


def reference_table(workload: Workload) -> Table | None:
    """Give the paper's tinyMNIST rows for a setting on handwritten digits, else None."""
    if not workload.dataset.lower().startswith(("mnist", "digits")):
        return None
    epochs = " or ".join(str(n) for n in sorted({arm.epochs for arm in workload.arms}))
    return Table(
        title="For reference: tinyMNIST in the paper",
        columns=_PAPER_COLUMNS,
        rows=_PAPER_ROWS,
        note=(
            "Tomani and Cremers, arXiv:2205.15094, tables 1 and 2: VGG11 of full width on MNIST "
            "with 3 samples per class and the full test set; replicas and intervals are not "
            f"stated there. This study is of another scale ({workload.dataset}, {workload.model}, "
            f"{epochs} epochs): levels are not comparable, at most the direction of a "
            "difference is."
        ),
    )
