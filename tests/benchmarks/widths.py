"""Table 1 on 30 digits over width, normalization, initialization and learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path
from statistics import mean
from types import MappingProxyType
from typing import Final

from study.config.run_options import RunOptions
from study.results.build import load_trial_table
from study.storage.layout import StorageRoot
from tests.benchmarks.regimes import Setting

REPLICAS: Final = MappingProxyType({"1/8": 20, "1/4": 6, "1/2": 3, "1": 6})
"""Seeds at each width, as many as it has time for."""

# One step from black to white in either normalization, as in the settings of ``regimes``.
_STRENGTHS: Final = MappingProxyType({"unit": 1.0, "standardize": 3.25})
_INITIALIZATIONS: Final = ("torch", "kaiming")
_RATES: Final = (3e-4, 1e-3, 3e-3)


def width_settings(width: str, root: Path) -> Iterator[Setting]:
    """Yield the settings of a width, all twelve or, at full width, the one that 1/2 chose.

    Args:
        width: One of :data:`REPLICAS`.
        root: Folder with the studies of the width 1/2, which the full width needs.

    Raises:
        StorageError: If one of them is missing.
    """
    if width == "1":
        chosen = _chosen(root)
        yield Setting(
            name=chosen.name.replace(_prefix("1/2"), _prefix(width)),
            changed={**chosen.changed, "model.width": 1.0},
            replicas=REPLICAS[width],
        )
        return
    for normalization, initialization, rate in product(_STRENGTHS, _INITIALIZATIONS, _RATES):
        strength = _STRENGTHS[normalization]
        yield Setting(
            name=f"{_prefix(width)}{normalization}-{initialization}-{rate:g}",
            changed={
                "model.width": float(Fraction(width)),
                "dataset.normalization": normalization,
                "model.initialization": initialization,
                "training.optimizer.lr": rate,
                "training.eval_every": 300,
                "search.space.alpha": strength,
                "search.space.beta": strength,
            },
            replicas=REPLICAS[width],
        )


def _prefix(width: str) -> str:
    return f"width-{width.replace('/', '-')}-"


def _chosen(root: Path) -> Setting:
    """Return the setting in which Challenger's validation accuracy is highest at width 1/2."""
    options = RunOptions(storage=StorageRoot(root=root), executor="inline")

    def accuracy(setting: Setting) -> float:
        row = load_trial_table(setting.name, options).chosen("challenger")
        found = None if row is None else row.last("val/accuracy")
        if found is None:
            raise ValueError(f"study {setting.name} has no final trial of Challenger")
        return mean(found)

    return max(width_settings("1/2", root), key=accuracy)
