"""How a trained model bears the loss of parts of its inputs: the occlusion test."""

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
"""In which order positions are hidden."""

# The mean of standardized data, and the vector of no word.
_FILL_VALUE = 0.0
# A backward pass keeps every activation, of the networks here about 2 MB per view.
_VIEWS_PER_PASS = 256


def occlusion_metrics(
    model: nn.Module,
    samples: Samples,
    fractions: tuple[float, ...],
    generator: torch.Generator,
) -> dict[str, float]:
    """Measure a model on samples of which a share of the positions is hidden, by either order.

    A position is a pixel, a token or a time step: all of its channels are set to 0. A share is
    one of the sample's own positions, rounded to a whole number (half to even); padding is
    neither counted nor hidden. ``random`` hides positions drawn for each sample;
    ``most_relevant`` those of the highest ε-LRP relevance of the true class, summed over the
    channels as RelDrop ranks them (:func:`trainables.batch.true_class` says which class that
    is for multi-label data). Relevances are those of the whole sample, computed once; of equal
    ones the first in the input goes first. A larger share hides what a smaller one does, and
    more. Where a sample is seen through several views, such as windows of a record, each is
    occluded by its own relevances; then its score is the highest over the views, as ever.

    The relevances are the model's own: ``most_relevant`` compares how models stand the loss of
    what each of them relies on. The random positions follow from the generator and the data
    alone, so that models which are given equal generators are met with equal occlusions.

    Runs the model in eval mode and restores its mode; gradients of parameters and batch
    statistics are left untouched. Costs one forward and one input-only backward pass, and two
    forward passes per share.

    Args:
        model: Trained network.
        samples: Samples to test it on.
        shares: Shares that are hidden in turn, each in (0, 1].
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
    """Name the metric that an occlusion test gives: accuracy, or macro AUC if multi-label."""
    return "auc" if is_multi_label(targets) else "accuracy"


def descending_ranks(
    scores: Float[Tensor, "view position"], valid_mask: Bool[Tensor, "view position"] | None
) -> Int[Tensor, "view position"]:
    """Give each position its place by decreasing score, from 0; padding comes last."""
    allowed = scores if valid_mask is None else scores.masked_fill(~valid_mask, -torch.inf)
    order = allowed.argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1)


def occlusion_mask(
    rank: Int[Tensor, "view position"],
    valid_mask: Bool[Tensor, "view position"] | None,
    fraction: float,
) -> Bool[Tensor, "view position"]:
    """Tell which positions are hidden: the first of each view, up to the share of its own."""
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
