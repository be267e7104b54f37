"""Tables of transferred configurations, importances, cost, and the paper's reference values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from study.records.labels import arm_label, dimension_symbol, metric_label
from study.records.trial_table import TrialTable
from study.report.formatting import (
    ABSENT,
    CONFIDENCE_PERCENT,
    STATE_NAMES,
    format_corrected,
    format_interval,
    format_p_value,
    format_params,
    format_percent,
    join_words,
)
from study.report.tables import Table, tabulate
from study.sensitivity import (
    TRANSFER_METRICS,
    Cost,
    Transfer,
    TransferRow,
    TransferTarget,
    Workload,
)
from study.sensitivity.importance import (
    DimensionShare,
    Importance,
    Interactions,
    PairShare,
    SearchData,
)


def transfer_table(record: Transfer, target: TransferTarget) -> Table:
    """Build the table of the configurations' test metrics, or reasons for missing results."""
    return Table(
        title=f"Configurations tried on {arm_label(target.arm, record.method)}: {target.dataset}, "
        f"{target.model}",
        columns=(
            "Chosen by",
            *(head for metric in TRANSFER_METRICS for head in _metric_columns(metric)),
            "n",
            "Parameters",
            "Found on",
        ),
        rows=tuple(_transfer_row(record, row) for row in target.rows),
        note=f"Mean over n replicas on fresh seeds [{CONFIDENCE_PERCENT} Student's t interval of "
        "the mean]; differences over replicas with the same seed; p of the paired t test, "
        "Holm-corrected over the configurations for each metric. A configuration is the searched "
        "parameters; "
        "everything else, also what an arm holds fixed, is the target's own.",
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
        # The note replaces the missing result, or the difference to the own choice.
        cells[2 if row.values else 0] = row.note.rstrip(".")
    return (
        f"{name} (own choice)" if row.kind == "own" else name,
        *cells,
        str(len(row.seeds)) if row.values else ABSENT,
        ABSENT if row.params is None else format_params(row.params),
        join_words(row.source_datasets),
    )


def _metric_cells(row: TransferRow, metric: str) -> Iterator[str]:
    value = row.get(metric)
    yield ABSENT if value is None else format_interval(value.interval, metric)
    yield format_corrected(None if value is None else value.to_base, metric)
    yield format_corrected(None if value is None else value.to_own, metric)


def importance_table(records: Sequence[Importance]) -> Table:
    """Build the table of every dimension's share by every estimator, the chance level last."""
    data = records[0].data
    return Table(
        title=f"Importance for {metric_label(data.metric).name}",
        columns=("Dimension", *(f"{r.estimator.title}: {r.estimator.axis}" for r in records)),
        rows=(
            *(
                (
                    dimension_symbol(name),
                    *(_format_share(r.get(name), r.estimator.factor) for r in records),
                )
                for name in data.dimensions
            ),
            ("Chance level", *(_format_level(r.level, r.estimator.factor) for r in records)),
        ),
        note=f"{_data_note(data)} Share [{CONFIDENCE_PERCENT} interval]; p: probability that "
        "chance alone makes any dimension at least as important. First order: a dimension "
        "alone; total: with all its interactions.",
    )


def interaction_table(record: Interactions) -> Table:
    """Build the table of every pair's share beyond each of the two alone."""
    return Table(
        title=f"Interactions for {metric_label(record.data.metric).name}",
        columns=("Pair", f"{record.name}: share of the variance [%]"),
        rows=(
            *(
                (
                    f"{dimension_symbol(pair.first)} × {dimension_symbol(pair.second)}",
                    _format_share(pair, 100.0),
                )
                for pair in record.shares
            ),
            ("Chance level", _format_level(record.level, 100.0)),
        ),
        note=f"{_data_note(record.data)} Share beyond each dimension alone "
        f"[{CONFIDENCE_PERCENT} interval]; p: probability that chance alone makes any "
        "pair at least as important.",
    )


def _data_note(data: SearchData) -> str:
    biased = " They are biased: the sampler used the results." if data.is_biased else ""
    return f"From n = {data.n} search trials ({data.sampler}).{biased}"


def _format_share(share: DimensionShare | PairShare, factor: float) -> str:
    value, low, high = (format_percent(x, factor) for x in (share.value, share.low, share.high))
    text = f"{value} [{low}, {high}]"
    return text if share.p_value is None else f"{text}, {format_p_value(share.p_value)}"


def _format_level(level: float | None, factor: float) -> str:
    return ABSENT if level is None else format_percent(level, factor)


def cost_table(record: Cost) -> Table:
    """Build the table of hours by arm, phase and state, the sum last."""
    table = tabulate(
        "Hours by arm, phase and state",
        record.rows,
        [
            ("Arm", lambda row: row.arm),
            ("Phase", lambda row: row.phase),
            ("State", lambda row: STATE_NAMES[row.state]),
            ("Trials", lambda row: str(row.trials)),
            ("Training [h]", lambda row: format_hours(row.hours)),
            ("CPU [h]", lambda row: format_hours(row.cpu_hours)),
            ("GPU [h]", lambda row: format_hours(row.gpu_hours)),
        ],
        "Training: summed over trials, all replicas of a trial together. GPU: time on a GPU times "
        "the trial's share of it. The work of a lost process after its last report is not "
        "counted."
        + (f" {record.unmeasured} trials report no usage." if record.unmeasured else ""),
    )
    hours = (sum(row.hours for row in record.rows), record.cpu_hours, record.gpu_hours)
    trials = str(sum(row.trials for row in record.rows))
    return replace(table, rows=(*table.rows, ("all", "", "", trials, *map(format_hours, hours))))


def format_hours(value: float) -> str:
    """Return hours with three significant digits or so: ``0.034``, ``2.41``, ``310``."""
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
    """Return the paper's tinyMNIST rows for a workload of handwritten digits."""
    if not workload.dataset.lower().startswith(("mnist", "digits")):
        return None
    epochs = " or ".join(str(n) for n in sorted({arm.epochs for arm in workload.arms}))
    return Table(
        title="For reference: tinyMNIST in the paper",
        columns=_PAPER_COLUMNS,
        rows=_PAPER_ROWS,
        note="Tomani and Cremers, arXiv:2205.15094, tables 1 and 2: VGG11 of full width on MNIST "
        "with 3 samples per class and the full test set; replicas and intervals are not stated "
        f"there. This study has another scale ({workload.dataset}, {workload.model}, {epochs} "
        "epochs): only the direction of a difference may be compared, not the levels.",
    )


def environment_table(table: TrialTable) -> Table:
    """Return the table of versions, hardware and commit."""
    return Table(
        title="Environment",
        columns=("What", "Which"),
        rows=tuple(sorted(table.environment.items())),
        note="Of the process that started the study.",
    )
