"""A reproduction as tables for the terminal and the report, and as CSV."""

from __future__ import annotations

from study.report.csv_rows import Cell, CsvRows
from study.report.tables import Table
from study.report.wording import PERCENT, brackets, p_value
from study.reproduction.record import Reproduced, Reproduction, Verdict
from study.sensitivity import Interval, metric_label

_ABSENT = "–"
_WORDS = {
    "dataset": "data",
    "evaluation": "evaluation",
    "replicas": "replicas",
    "search": "trials",
    "sensitivity": "sweep",
}


def reproduction_tables(record: Reproduction) -> tuple[Table, ...]:
    """Show the paper's numbers beside ours, what differs, and Challenger against its controls."""
    tables = [_numbers(record)] if record.rows else []
    if any(record.differs.values()):
        tables.append(_differences(record))
    if record.verdicts:
        tables.append(_verdicts(record))
    return tuple(tables)


def reproduction_csv(record: Reproduction) -> CsvRows:
    """Give one row per printed number, with what it was run with."""
    return tuple(
        {
            "preset": record.preset,
            "scale": record.scale,
            "row": row.paper.row,
            "arm": row.paper.arm,
            "metric": row.paper.metric,
            "paper": row.paper.value,
            "factor": metric_label(row.paper.metric).factor,
            **_ends(row.interval),
            "differs": "; ".join(record.differs.get(row.paper.arm, ())),
            "note": row.paper.note,
            **{f"environment/{key}": value for key, value in record.environment.items()},
        }
        for row in record.rows
    )


def _ends(interval: Interval | None) -> dict[str, Cell]:
    if interval is None:
        return {}
    return {"ours": interval.mean, "low": interval.low, "high": interval.high, "n": interval.n}


def _numbers(record: Reproduction) -> Table:
    return Table(
        title=f"{record.preset} at scale {record.scale}, beside the paper",
        columns=("Row", "Metric", "Paper", f"Ours [{PERCENT} interval]", "n", "Differs in"),
        rows=tuple(_row(record, row) for row in record.rows),
        note=f"Ours: mean over n replicas on fresh seeds. The paper states neither replicas nor "
        f"intervals of training. Not stated in the paper, and therefore searched or chosen here: "
        f"{record.unknown}",
    )


def _row(record: Reproduction, row: Reproduced) -> tuple[str, ...]:
    metric = row.paper.metric
    words = dict.fromkeys(map(_word, record.differs.get(row.paper.arm, ())))
    differs = [", ".join(words)] if words else []
    differs += [row.paper.note] if row.paper.note else []
    return (
        row.paper.row,
        metric_label(metric).axis,
        f"{row.paper.value:g}",
        _ABSENT if row.interval is None else brackets(row.interval, metric),
        _ABSENT if row.interval is None else str(row.interval.n),
        "; ".join(differs) or "nothing that the paper states",
    )


def _differences(record: Reproduction) -> Table:
    arms_of: dict[tuple[str, ...], list[str]] = {}
    for arm, differs in record.differs.items():
        if differs:
            arms_of.setdefault(differs, []).append(arm)
    return Table(
        title="What differs from the setting that stands for the paper's",
        columns=("Arms", "Setting there → here"),
        rows=tuple((", ".join(arms), "; ".join(differs)) for differs, arms in arms_of.items()),
        note="Settings that the paper does not state are the preset's at scale full.",
    )


def _word(difference: str) -> str:
    """Say in a word what a difference is about: ``model.width 1 → 0.25`` is the width."""
    path = difference.split(" ")[0]
    return _WORDS.get(path.split(".")[0], path.rpartition(".")[2])


def _verdicts(record: Reproduction) -> Table:
    return Table(
        title="Challenger against its controls",
        columns=("Arm", "Against", "Metric", f"Difference [{PERCENT} interval]", "Outcome"),
        rows=tuple(_verdict(verdict) for verdict in record.verdicts),
        note="Paired by seed; better or worse where the interval leaves out 0 and Holm's "
        "corrected p is below 0.05.",
    )


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    difference = verdict.difference
    if difference is None:
        shown = _ABSENT
    else:
        interval = brackets(difference.difference.interval, verdict.metric, is_signed=True)
        shown = f"{interval}, {p_value(difference.p_holm)}"
    return (
        verdict.arm,
        verdict.against.capitalize(),
        metric_label(verdict.metric).title,
        shown,
        verdict.outcome,
    )
