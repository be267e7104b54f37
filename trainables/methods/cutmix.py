"""CutMix: a rectangle of another image is pasted in, and labels are mixed by its area."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.batch import Batch
from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.fields import SearchRange, Share
from trainables.methods.method import Method
from trainables.methods.mixup import PROBABILITY, Concentration, mix_labels, sample_symmetric_beta
from trainables.methods.rectangles import (
    Rectangles,
    check_images,
    image_size,
    rand,
    randint_below,
    rectangle_mask,
)
from trainables.replica_rng import ReplicaRNG


@record
class Cutmix(Method):
    """CutMix: one rectangle of another image is pasted into every image of a batch.

    The rectangle covers a fraction 1 - λ of the image, λ ~ Beta(a, a), around a uniform center,
    and is clipped at the image's borders; the labels are mixed by the area that was pasted. One
    rectangle, one permutation of the partners and one coin per batch.

    The rule is that of ``torchvision.transforms.v2.CutMix``, edges and rounding included. That
    class draws from the global generator on the CPU: seeding it from a stream on a GPU would
    make every step wait for the device.

    Attributes:
        concentration: a > 0, α in the paper.
        probability: Probability that a batch is changed, in [0, 1].

    References:
        Yun et al., ICCV 2019, arXiv:1905.04899, eqs. 1 and 2. Its settings are a = 1
        and a probability of 1 on ImageNet, 0.5 on CIFAR.
    """

    name: ClassVar[str] = "cutmix"
    label: ClassVar[str] = "CutMix"
    concentration: Concentration = 1.0
    # Yun et al. use 0.5 on CIFAR and 1 on ImageNet.
    probability: Annotated[Share, SearchRange(0.1, 1.0), PROBABILITY] = 1.0

    def check(self, info: DatasetInfo) -> None:
        """Raise a ConfigError for other data than images."""
        check_images(info, "name", self.name, "mixup")

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        rng: ReplicaRNG,
    ) -> Batch:
        """Mix a batch with a permutation of itself; costs no pass through the model.

        The targets are probabilities whether or not the batch is changed.

        Raises:
            ConfigError: If labels are class indices and the model has no linear layer.
        """
        inputs = batch.inputs
        pairs = rng.randperm(len(batch))
        rectangle = self._rectangle(image_size(inputs), rng)
        pasted = batch.repeat_per_sample(rectangle_mask(rectangle, image_size(inputs)))
        share = 1 - pasted.double().mean((1, 2))
        mixed = torch.where(pasted[:, None], inputs[pairs], inputs)
        labels = mix_labels(model, batch.targets, pairs, inputs, share)
        return Batch(inputs=mixed, targets=labels, n_replicas=batch.n_replicas)

    def _rectangle(self, grid: tuple[int, int], rng: ReplicaRNG) -> Rectangles:
        kept = sample_symmetric_beta(self.concentration, rng.n_replicas, rng)
        is_changed = rand((rng.n_replicas,), rng) < self.probability
        # An empty rectangle for an unchanged batch.
        half_side = torch.where(is_changed, 0.5 * (1 - kept).sqrt(), 0.0)
        top, bottom = _edges(grid[0], half_side, rng)
        left, right = _edges(grid[1], half_side, rng)
        return Rectangles(top=top, bottom=bottom, left=left, right=right)


def _edges(
    length: int, half_side: Float[Tensor, " count"], rng: ReplicaRNG
) -> tuple[Int[Tensor, " count"], Int[Tensor, " count"]]:
    half = (half_side * length).long()
    center = randint_below(torch.full_like(half, length), rng)
    return (center - half).clamp_min(0), (center + half).clamp_max(length)
