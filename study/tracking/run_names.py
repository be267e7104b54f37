"""What a trial's run is called in MLflow's lists."""

from __future__ import annotations

from study.dimension_labels import dimension_symbol
from study.trial_table import ParamValue, TrialRow


def trial_name(row: TrialRow) -> str:
    """Say arm, phase and number, and the point: ``challenger final 3 · K=5 α=0.8``.

    Reads what is known of a trial when it is asked for, so that its name never changes.
    """
    name = f"{row.arm} {row.phase} {row.number}"
    point = " ".join(f"{dimension_symbol(key)}={_short(row.params[key])}" for key in row.params)
    return f"{name} · {point}" if point else name


def _short(value: ParamValue) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
