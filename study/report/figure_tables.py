"""Tables of text of the figures' records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from study.report import tables
from study.report.summary_tables import importance_table, interaction_table, transfer_table
from study.report.tables import Table
from study.sensitivity import OCCLUSION_ORDERS, Robustness


def tables_of(figure: str, record: Any) -> tuple[Table, ...]:  # noqa: ANN401
    """Return the tables of a figure's record; most figures have none."""
    build = _TABLES.get(figure)
    return () if build is None else build(record)


def _occlusion_tables(record: Robustness) -> tuple[Table, ...]:
    shown = [
        show(record, order)
        for order in OCCLUSION_ORDERS
        for show in (tables.occlusion_table, tables.occlusion_difference_table)
    ]
    return tuple(table for table in shown if table.rows)


_TABLES: Mapping[str, Callable[[Any], tuple[Table, ...]]] = MappingProxyType(
    {
        "rank_diagram": lambda record: (tables.rank_table(record),),
        "sweep_curve": lambda curves: tuple(map(tables.curve_table, curves)),
        "importance_bars": lambda record: (importance_table(record.records),),
        "interaction_bars": lambda record: (interaction_table(record),),
        "transfer_dots": lambda record: tuple(
            transfer_table(record, target) for target in record.targets
        ),
        "occlusion_lines": _occlusion_tables,
        "layer_differences": lambda record: (tables.filter_cosine_table(record),),
        "layers_over_dimension": lambda record: tuple(map(tables.curve_table, record.curves)),
        "cosine_scatter": lambda records: (tables.correlation_table(records),),
        "trial_history": lambda record: (tables.history_table(record),),
    }
)
