"""Panels of the whole space of a search: importances, interactions, partial dependences."""

from __future__ import annotations

from collections.abc import Sequence

from study.report.csv_rows import Cell, CsvRows
from study.report.formatting import CONFIDENCE_PERCENT, p_value
from study.report.tables import Table
from study.sensitivity import dimension_symbol, metric_label
from study.sensitivity.importance import (
    DimensionShare,
    Importance,
    Interactions,
    PairShare,
    PartialDependence,
    SearchData,
)

_ABSENT = "–"


def importance_table(records: Sequence[Importance]) -> Table:
    """Show every dimension's share by every estimator; the level of chance at last."""
    basis = records[0].basis
    return Table(
        title=f"Importance for {metric_label(basis.metric).name}",
        columns=("Dimension", *(f"{r.estimator.title}: {r.estimator.axis}" for r in records)),
        rows=(
            *(
                (dimension_symbol(name), *(_importance_cell(r, r.get(name)) for r in records))
                for name in basis.dimensions
            ),
            ("Level of chance", *(_format_level(r.level, r.estimator.factor) for r in records)),
        ),
        note=f"{_data_note(basis)} Share [{CONFIDENCE_PERCENT} interval]; p: how often chance alone makes any "
        "dimension at least as important. First order: a dimension alone; total: with all its "
        "interactions.",
    )


def interaction_table(record: Interactions) -> Table:
    """Show every pair's share beyond each of the two alone."""
    return Table(
        title=f"Interactions for {metric_label(record.basis.metric).name}",
        columns=("Pair", f"{record.estimator}: share of the variance [%]"),
        rows=(
            *(
                (f"{dimension_symbol(p.first)} × {dimension_symbol(p.second)}", _pair_cell(p))
                for p in record.pairs
            ),
            ("Level of chance", _format_level(record.level, 100.0)),
        ),
        note=f"{_data_note(record.basis)} Share beyond each dimension alone [{CONFIDENCE_PERCENT} interval]; p: how "
        "often chance alone makes any pair at least as important.",
    )


def importance_rows(records: Sequence[Importance]) -> CsvRows:
    """One row per estimator and dimension."""
    return tuple(
        {
            **_search_cells(record.basis),
            "estimator": record.name,
            "dimension": share.dimension,
            "share": share.value,
            "low": share.low,
            "high": share.high,
            "p_value": share.p_value,
            "chance_level": record.level,
            "is_more_than_chance": share.is_significant,
            "interval": record.interval,
            "chance": record.chance,
        }
        for record in records
        for share in record.shares
    )


def interaction_rows(record: Interactions) -> CsvRows:
    """One row per pair."""
    return tuple(
        {
            **_search_cells(record.basis),
            "estimator": record.estimator,
            "first": pair.first,
            "second": pair.second,
            "share": pair.value,
            "low": pair.low,
            "high": pair.high,
            "p_value": pair.p_value,
            "chance_level": record.level,
            "interval": record.interval,
            "chance": record.chance,
        }
        for pair in record.pairs
    )


def partial_dependence_rows(record: PartialDependence) -> CsvRows:
    """One row per dimension and value."""
    return tuple(
        {
            **_search_cells(record.basis),
            "dimension": curve.dimension,
            "value": value,
            "mean": mean,
            "low": low,
            "high": high,
            "interval": record.interval,
        }
        for curve in record.curves
        for value, mean, low, high in zip(
            curve.places, curve.means, curve.lows, curve.highs, strict=True
        )
    )


def format_percent(value: float, factor: float = 100.0) -> str:
    """Write a share: whole per cent, or two decimals where it is none.

    Example:
        >>> percent(-0.041)
        '−4'
    """
    digits = 0 if factor == 100.0 else 2
    # Adding 0.0 makes a rounded -0 a 0.
    return f"{round(value * factor, digits) + 0.0:.{digits}f}".replace("-", "−")


def _search_cells(basis: SearchData) -> dict[str, Cell]:
    return {
        "arm": basis.arm,
        "metric": basis.metric,
        "sampler": basis.sampler,
        "n": basis.n,
        "replicas": " or ".join(map(str, basis.replicas)),
        "noise_share": basis.noise,
        "is_biased": basis.is_biased,
    }


def _data_note(basis: SearchData) -> str:
    biased = " They are biased: the sampler looked at results." if basis.is_biased else ""
    return f"From n = {basis.n} search trials ({basis.sampler}).{biased}"


def _importance_cell(record: Importance, share: DimensionShare) -> str:
    return _format_share(
        share.value, share.low, share.high, share.p_value, record.estimator.factor
    )


def _pair_cell(pair: PairShare) -> str:
    return _format_share(pair.value, pair.low, pair.high, pair.p_value, 100.0)


def _format_share(value: float, low: float, high: float, p: float | None, factor: float) -> str:
    value_text, low_text, high_text = (format_percent(each, factor) for each in (value, low, high))
    text = f"{value_text} [{low_text}, {high_text}]"
    return text if p is None else f"{text}, {p_value(p)}"


def _format_level(level: float | None, factor: float) -> str:
    return _ABSENT if level is None else format_percent(level, factor)
