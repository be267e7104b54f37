"""ε-LRP by zennit in place of ours, where zennit is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from trainables.attribution import EpsilonLrp
from trainables.attribution.attribution import Target
from trainables.attribution.gradients import eval_mode, resolve_target
from trainables.decoding import record


def has_zennit() -> bool:
    return find_spec("zennit") is not None


@record
class ZennitLrp(EpsilonLrp):
    """The same relevances, propagated layer by layer by zennit's ε rule.

    Batch norms that follow a convolution are merged into it by zennit's own canonizer.
    """

    name: ClassVar[str] = "zennit_lrp"

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute with one forward pass, and one more forward and backward of each layer."""
        from zennit.attribution import Gradient  # type: ignore[import-untyped]

        def explained(logits: Tensor) -> Tensor:
            classes = resolve_target(target, logits)
            return logits * functional.one_hot(classes, logits.shape[1])

        with (
            eval_mode(model),
            torch.enable_grad(),
            Gradient(model=model, composite=_composite(self.epsilon)) as attributor,
        ):
            _, relevance = attributor(inputs.detach().clone(), explained)
        return relevance.detach()  # type: ignore[no-any-return]


def _composite(epsilon: float) -> object:
    from zennit.canonizers import SequentialMergeBatchNorm  # type: ignore[import-untyped]
    from zennit.composites import LayerMapComposite  # type: ignore[import-untyped]
    from zennit.rules import Epsilon, Norm, Pass  # type: ignore[import-untyped]
    from zennit.types import (  # type: ignore[import-untyped]
        Activation,
        AvgPool,
        BatchNorm,
        Convolution,
        Linear,
    )

    rules = [
        (Activation, Pass()),
        (AvgPool, Norm()),
        (Convolution, Epsilon(epsilon)),
        (Linear, Epsilon(epsilon)),
        (BatchNorm, Epsilon(epsilon)),
    ]
    return LayerMapComposite(rules, canonizers=[SequentialMergeBatchNorm()])
