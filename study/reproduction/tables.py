"""A reproduction as tables for the terminal and the report, and as CSV."""

from __future__ import annotations

from study.report.csv_rows import Cell, CsvRows
from study.report.tables import Table
from study.report.wording import PERCENT, brackets, p_value
from study.reproduction.record import Reproduced, Reproduction, Verdict
from study.sensitivity import Interval, metric_label

_ABSENT = "–"


def reproduction_tables(record: Reproduction) -> tuple[Table, ...]:
    """Show the paper's numbers beside ours, and Challenger against its controls."""
    tables = [_numbers(record)] if record.rows else []
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
            "differs": "; ".join(row.differs),
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
        rows=tuple(_row(row) for row in record.rows),
        note=f"Ours: mean over n replicas on fresh seeds. The paper states neither replicas nor "
        f"intervals of training. Not stated in the paper, and therefore searched or chosen here: "
        f"{record.unknown}",
    )


def _row(row: Reproduced) -> tuple[str, ...]:
    metric = row.paper.metric
    differs = [*row.differs, *([row.paper.note] if row.paper.note else [])]
    return (
        row.paper.row,
        metric_label(metric).axis,
        f"{row.paper.value:g}",
        _ABSENT if row.interval is None else brackets(row.interval, metric),
        _ABSENT if row.interval is None else str(row.interval.n),
        "; ".join(differs) or "nothing that the paper states",
    )


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
