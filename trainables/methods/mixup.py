"""MixUp: training on averages of two samples and of their labels."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.batch import Batch, Labels, is_multi_label, soft_labels
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.fields import Positive, SearchRange, Symbol
from trainables.methods.method import Method
from trainables.replica_rng import ReplicaRNG

# Zhang et al. (arXiv:1710.09412): 0.1 to 0.4 on ImageNet, 1 on CIFAR; above that it underfits
# but where labels are wrong.
Concentration: TypeAlias = Annotated[
    Positive,
    SearchRange(0.1, 2.0, log=True),
    Symbol("a", "Concentration of the mixing share, a"),
]
PROBABILITY = Symbol("p", "Probability of a change, p")

_OUTPUTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def sample_symmetric_beta(
    concentration: float, count: int, rng: ReplicaRNG
) -> Float[Tensor, " count"]:
    """Draw ``count`` float64 numbers from Beta(a, a), each exactly from two uniform draws.

    With U and V uniform on (0, 1), w = (U^(-1/a) - 1)·cos²(2πV) is T²/2a for T of Student's
    distribution with 2a degrees of freedom (Bailey's polar method), and (1 ± √(w / (1 + w))) / 2
    is Beta(a, a), the sign being the cosine's. Without rejection it need not wait for the
    device; torch's own Beta uses the global generator. For ``concentration`` a < 1 the draws
    concentrate at 0 and 1, for a > 1 at 1/2.

    References:
        Bailey, Mathematics of Computation 62 (1994); Devroye, Proceedings of the 1996 Winter
        Simulation Conference, p. 265 (the symmetric beta).
    """
    u, v = rng.rand(2, count, batch_dim=1, dtype=torch.float64)
    cosine = (2 * math.pi * v).cos()
    squared = (-u.log() / concentration).expm1() * cosine.square()
    # (1 - s) / 2 for s = √(w / (1 + w)) without cancellation; w may be infinite, or 0.
    root = 1 / (1 + 1 / squared).sqrt()
    tail = 1 / (2 * (1 + squared) * (1 + root))
    return torch.where(cosine < 0, tail, 1 - tail)


def mix(
    values: Float[Tensor, "batch first *rest"],
    pairs: Int[Tensor, " batch"],
    share: Float[Tensor, " batch"],
) -> Float[Tensor, "batch first *rest"]:
    """Average each sample with its partner: λ·x + (1 - λ)·x of the partner."""
    kept = share.to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return kept * values + (1 - kept) * values[pairs]


def mix_labels(
    model: nn.Module, labels: Labels, pairs: Int[Tensor, " batch"], like: Tensor, share: Tensor
) -> Float[Tensor, "batch classes"]:
    """Average each sample's labels with its partner's, in the type of ``like``.

    Class indices become class probabilities, the number of classes being that of the model's
    last linear layer; multi-labels are mixed directly. ``share`` is λ, the weight of a sample's
    own labels.
    """
    n_classes = 0 if is_multi_label(labels) else n_outputs(model)
    return mix(soft_labels(labels, n_classes, like.dtype), pairs, share)


def n_outputs(model: nn.Module) -> int:
    """Return the number of outputs of the last linear layer, without a forward pass.

    Raises:
        ConfigError: If the model has no linear layer.
    """
    for layer in reversed(list(model.modules())):
        if isinstance(layer, _OUTPUTS):
            return int(layer.weight.shape[0])
    raise ConfigError(
        f"the model must have a linear layer that gives its logits, got {type(model).__name__}; "
        "mixing reads the number of classes off it."
    )


@record
class Mixup(Method):
    """MixUp: averages of two samples, x̃ = λx + (1 - λ)x', and labels, ỹ = λy + (1 - λ)y'.

    One λ ~ Beta(a, a) and one permutation of the partners per batch, as in the authors' code.
    Inputs may have any shape. Class indices become probabilities; the labels of multi-label
    data, 0 or 1 per class, are mixed directly.

    Attributes:
        concentration: a > 0, α in the paper. The nearer to 0, the less is mixed.

    References:
        Zhang et al., ICLR 2018, arXiv:1710.09412, eq. 2 and figure 1.
    """

    name: ClassVar[str] = "mixup"
    label: ClassVar[str] = "MixUp"
    concentration: Concentration = 0.2

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        rng: ReplicaRNG,
    ) -> Batch:
        """Mix a batch with a permutation of itself; costs no pass through the model.

        Raises:
            ConfigError: If labels are class indices and the model has no linear layer.
        """
        inputs = batch.inputs
        share = batch.repeat_per_sample(
            sample_symmetric_beta(self.concentration, batch.n_replicas, rng)
        )
        pairs = rng.randperm(len(batch))
        mixed = mix_labels(model, batch.targets, pairs, inputs, share)
        changed = mix(inputs, pairs, share)
        return Batch(inputs=changed, targets=mixed, n_replicas=batch.n_replicas)
