"""Does a swept dimension have any effect at all? One exact test per curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from study.sensitivity.over_dimension import DimensionCurve
from study.sensitivity.permutation import block_test


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEffect:
    """What the values of a dimension do to a metric, beyond what the seeds do.

    Attributes:
        p_value: Chance of means as far apart as these, were the values all alike.
        share: Share of the variance within a seed that the value explains (partial η²), from 0
            to 1.
        by_chance: That share to expect where the value does not matter: 1/n.
        values: Number of values k.
        n: Number of seeds.
        least_p: Smallest p value that so few values and seeds can give: (k!)^(1-n), since
            renaming the values changes nothing.
    """

    p_value: float
    share: float
    by_chance: float
    values: int
    n: int
    least_p: float


def sweep_effect(curve: DimensionCurve) -> SweepEffect:
    """Test whether a metric depends on the swept dimension, by permutation within seeds.

    One test for the whole curve, so that the choice of its lowest and highest value needs no
    correction.

    Args:
        curve: A curve whose points share their seeds.
    """
    values = np.array([point.replicas for point in curve.points])
    purpose = (curve.study, curve.arm, curve.dimension, curve.metric)
    count, n = values.shape
    return SweepEffect(
        p_value=block_test(values, *purpose),
        share=_share(values),
        by_chance=1 / n,
        values=count,
        n=n,
        least_p=float(math.factorial(count)) ** (1 - n),
    )


def _share(values: Float[np.ndarray, "value seed"]) -> float:
    within = values - values.mean(axis=0)
    total = float((within**2).sum())
    between = len(within[0]) * float((within.mean(axis=1) ** 2).sum())
    return between / total if total > 0 else 0.0
