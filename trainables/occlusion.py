"""The occlusion test: metrics of a trained model on partly hidden inputs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trainables.attribution import epsilon_lrp
from trainables.attribution.gradients import eval_mode
from trainables.batch import Labels, is_multi_label, true_class
from trainables.datasets import Samples
from trainables.evaluation import index_batches, max_logits_over_views
from trainables.methods.reldrop import position_relevance
from trainables.metrics import METRICS

ORDERS = ("random", "most_relevant")
"""Orders in which positions are hidden."""

# The mean of standardized data, and the vector of no word.
_FILL_VALUE = 0.0
# A backward pass stores every activation, about 2 MB per view for the networks here.
_VIEWS_PER_PASS = 256


def occlusion_metrics(
    model: nn.Module,
    samples: Samples,
    fractions: tuple[float, ...],
    generator: torch.Generator,
) -> dict[str, float]:
    """Evaluate a model on samples with a fraction of their positions hidden, in either order.

    A position is a pixel, a token or a time step: all of its channels are set to 0. Fractions
    are of the sample's own positions, rounded to a whole number (half to even); padding is
    neither counted nor hidden. ``random`` hides positions drawn for each sample;
    ``most_relevant`` those of the highest ε-LRP relevance of the true class (see
    :func:`trainables.batch.true_class` for multi-label data), summed over the channels as in
    RelDrop. Relevances are computed once, for the whole sample; ties are broken by position. A
    larger fraction hides a superset of a smaller one. Each view of a sample, such as a window of
    a record, is occluded by its own relevances, and the score is the highest over the views.

    The relevances are the model's own: ``most_relevant`` compares models without the inputs that
    each of them relies on. The random positions depend on the generator and the data alone, so
    that equal generators give equal occlusions for all models.

    Runs the model in eval mode and restores its mode; gradients of parameters and batch
    statistics are left untouched. Costs one forward and one input-only backward pass, and two
    forward passes per fraction.

    Args:
        model: Trained network.
        samples: Samples to test it on.
        fractions: Hidden fractions, each in (0, 1].
        generator: Source of the random positions, on the device of the samples.

    Returns:
        ``occlusion/random/0.25``, … to the metric of :func:`occlusion_metric`.
    """
    if not fractions:
        return {}
    parts: dict[str, list[Tensor]] = {}
    with eval_mode(model):
        for indices in index_batches(samples, _samples_per_pass(samples)):
            for key, logits in _occluded(model, samples, indices, fractions, generator):
                parts.setdefault(key, []).append(logits)
    compute = METRICS[occlusion_metric(samples.targets)].compute
    values = [compute(torch.cat(logits), samples.targets) for logits in parts.values()]
    return dict(zip(parts, torch.stack(values).tolist(), strict=True))


def occlusion_metric(targets: Labels) -> str:
    """Return the metric of an occlusion test: accuracy, or macro AUC for multi-label data."""
    return "auc" if is_multi_label(targets) else "accuracy"


def descending_ranks(
    scores: Float[Tensor, "view position"], valid_mask: Bool[Tensor, "view position"] | None
) -> Int[Tensor, "view position"]:
    """Return each position's rank by decreasing score, from 0; padding comes last."""
    allowed = scores if valid_mask is None else scores.masked_fill(~valid_mask, -torch.inf)
    order = allowed.argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1)


def occlusion_mask(
    rank: Int[Tensor, "view position"],
    valid_mask: Bool[Tensor, "view position"] | None,
    fraction: float,
) -> Bool[Tensor, "view position"]:
    """Return which positions are hidden: the first in rank, up to the fraction of each view."""
    if valid_mask is None:
        valid_mask = torch.ones_like(rank, dtype=torch.bool)
    own = valid_mask.sum(1, keepdim=True)
    return rank < (fraction * own.double()).round()


def _occluded(
    model: nn.Module,
    samples: Samples,
    indices: Int[Tensor, " batch"],
    fractions: tuple[float, ...],
    generator: torch.Generator,
) -> Iterator[tuple[str, Float[Tensor, "batch classes"]]]:
    views = samples.views(indices)
    inputs = views.flatten(0, 1)
    relevance = _relevance(model, inputs, samples.targets[indices], len(views))
    chance = torch.rand(relevance.shape, generator=generator, device=generator.device)
    valid_mask = samples.valid_mask(indices)
    own = None if valid_mask is None else valid_mask.flatten(0, 1).flatten(1)
    for order, scores in zip(ORDERS, (chance, relevance), strict=True):
        rank = descending_ranks(scores.flatten(1), own)
        for fraction in fractions:
            mask = occlusion_mask(rank, own, fraction).reshape(relevance.shape)
            left = inputs.masked_fill(mask if inputs.ndim == 2 else mask[:, None], _FILL_VALUE)
            with torch.no_grad():
                logits = max_logits_over_views(model, left.reshape(views.shape))
            yield f"occlusion/{order}/{fraction}", logits


def _relevance(
    model: nn.Module, inputs: Float[Tensor, "view first *rest"], targets: Labels, n_views: int
) -> Float[Tensor, "view position *more"]:
    # Views come first: all samples through the first, then all through the second.
    labels = targets.repeat(n_views, *[1] * (targets.ndim - 1))
    return position_relevance(epsilon_lrp(model, inputs, true_class(labels)))


def _samples_per_pass(samples: Samples) -> int:
    first = torch.zeros(1, dtype=torch.long, device=samples.targets.device)
    return max(1, _VIEWS_PER_PASS // len(samples.views(first)))
