"""Percentile bootstrap intervals of a metric over the test samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.batch import Labels, soft_labels
from trainables.checks import require
from trainables.errors import ConfigError

# Resamples that are drawn and checked for their classes at once.
_CHUNK_SIZE = 100
# Attempts per requested resample before a search for resamples with every class ends.
_MAX_ATTEMPTS_PER_RESAMPLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """Settings of a bootstrap.

    Attributes:
        n_resamples: Number of resamples, each as large as the split, with replacement.
        quantiles: Lower and upper quantile; the defaults leave 2.5 % on either side.
        require_every_class: Whether only resamples count that hold every class of the split.
            Otherwise a metric that compares classes leaves out those that are absent.
    """

    n_resamples: int = 1000
    quantiles: tuple[float, float] = (0.025, 0.975)
    require_every_class: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.n_resamples >= 1, "n_resamples", "must be at least 1", self.n_resamples)
        low, high = self.quantiles
        rule = "must be [low, high] with 0 ≤ low < high ≤ 1"
        require(0 <= low < high <= 1, "quantiles", rule, self.quantiles)


# That of the PTB-XL benchmark; the interval covers 90 %, though papers call it 95 %.
BENCHMARK = Resampling(n_resamples=100, quantiles=(0.05, 0.95), require_every_class=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapInterval:
    """A percentile interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        n_resamples: Resamples used; fewer than requested where a metric had no value in some, or
            where hardly any held every class.
        classes_dropped: Mean number of classes per resample that were left out of a comparison
            (no sample or every sample of the resample has them) though the split has both.
    """

    low: float
    high: float
    n_resamples: int
    classes_dropped: float


def bootstrap_interval(
    metric: Callable[[Tensor, Tensor], Tensor],
    logits: Float[Tensor, "sample classes"],
    targets: Labels,
    generator: torch.Generator,
    resampling: Resampling = Resampling(),
) -> BootstrapInterval:
    """Compute the percentile interval of a metric under resampling of the test samples.

    It covers the choice of the test samples alone; replicas cover initialization, shuffling and
    training samples. Costs one evaluation of the metric per resample.

    Args:
        metric: Function of logits and targets, such as :func:`trainables.metrics.auc`.
        logits: Predictions of one model.
        targets: Their labels.
        generator: Source of the resamples, on the device of the logits.
        resampling: Settings.

    Raises:
        ConfigError: If no resample can be used.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    is_class = soft_labels(targets, logits.shape[1], torch.float64).double()
    drawn = _resample(is_class, generator, resampling)
    values = [metric(logits[rows], targets[rows]).double() for rows in drawn.indices]
    found = torch.stack(values) if values else is_class.new_empty(0)
    has_value = found.isfinite()
    if not has_value.any():
        raise ConfigError(_no_resample_message(len(targets), len(found)))
    quantiles = found.new_tensor(resampling.quantiles)
    low, high = found[has_value].quantile(quantiles).tolist()
    return BootstrapInterval(
        low=low,
        high=high,
        n_resamples=int(has_value.sum()),
        classes_dropped=float(drawn.classes_dropped[has_value].mean()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resamples:
    indices: Int[Tensor, "resample sample"]
    classes_dropped: Float[Tensor, " resample"]


def _resample(
    is_class: Float[Tensor, "sample classes"], generator: torch.Generator, resampling: Resampling
) -> _Resamples:
    parts: list[_Resamples] = []
    attempts = 0
    while attempts < _MAX_ATTEMPTS_PER_RESAMPLE * resampling.n_resamples:
        parts.append(_resample_chunk(is_class, generator, resampling.require_every_class))
        attempts += _CHUNK_SIZE
        if sum(len(part.indices) for part in parts) >= resampling.n_resamples:
            break
    n = resampling.n_resamples
    return _Resamples(
        indices=torch.cat([part.indices for part in parts])[:n],
        classes_dropped=torch.cat([part.classes_dropped for part in parts])[:n],
    )


def _resample_chunk(
    is_class: Tensor, generator: torch.Generator, require_every_class: bool
) -> _Resamples:
    count = len(is_class)
    indices = torch.randint(
        count, (_CHUNK_SIZE, count), generator=generator, device=is_class.device
    )
    times = is_class.new_zeros(_CHUNK_SIZE, count)
    times.scatter_add_(1, indices, times.new_ones(()).expand_as(indices))
    positives = times @ is_class
    lost = _comparable(is_class.sum(0), count) & ~_comparable(positives, count)
    counts = torch.ones_like(indices[:, 0], dtype=torch.bool)
    if require_every_class:
        counts = ((positives > 0) | (is_class.sum(0) == 0)).all(1)
    return _Resamples(indices=indices[counts], classes_dropped=lost.double().sum(1)[counts])


def _comparable(positives: Tensor, count: int) -> Tensor:
    return (positives > 0) & (positives < count)


def _no_resample_message(n_samples: int, n_resamples: int) -> str:
    if n_resamples == 0:
        return (
            f"no resample of {n_samples} samples held every class of the split; some of them are "
            "too rare: set require_every_class to False."
        )
    return (
        f"the metric has no finite value in any of {n_resamples} resamples of {n_samples} "
        "samples; the split lacks a class, or the predictions are not finite."
    )
