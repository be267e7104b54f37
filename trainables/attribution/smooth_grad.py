"""SmoothGrad: a gradient attribution averaged over noisy copies of the inputs, by Captum."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.captum_call import captum_call, points_per_pass
from trainables.attribution.noise import Noise, seeded_globals
from trainables.attribution.target import Target

Averaged = Literal["gradient", "saliency", "input_x_gradient"]


def smooth_grad(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    noise: Noise,
    of: Averaged = "gradient",
) -> Float[Tensor, "batch channel *grid"]:
    """Average the gradient of a class score over noisy copies of each sample.

    One copy without noise gives the gradient itself. A feature of value 0 may have any
    relevance; only for ``input_x_gradient`` without noise is it 0.

    The model and the global generators are left untouched. Costs ``n_samples`` forward and
    backward passes, and one forward pass more if ``target`` is a function, which chooses the
    class for the sample without noise.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalised as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        noise: Number of copies, σ and seed.
        of: What is averaged: the ``gradient``, its magnitude (``saliency``), or noisy
            ``input_x_gradient``.

    Returns:
        Detached means. Signed sensitivities in logit units per input unit for ``gradient``,
        unsigned ones for ``saliency``, and signed relevances in logit units, of which positive
        is evidence for the class, for ``input_x_gradient``.

    References:
        Smilkov et al., arXiv:1706.03825, section 3.
    """

    def build(attr: ModuleType, model: nn.Module) -> Any:  # noqa: ANN401 (Captum's)
        averaged = attr.InputXGradient if of == "input_x_gradient" else attr.Saliency
        return attr.NoiseTunnel(averaged(model))

    options = {} if of == "input_x_gradient" else {"abs": of == "saliency"}
    with seeded_globals(noise.seed, inputs.device):
        return captum_call(
            build,
            model,
            inputs,
            target,
            nt_type="smoothgrad",
            nt_samples=noise.n_samples,
            nt_samples_batch_size=min(noise.n_samples, points_per_pass(inputs)),
            stdevs=float(noise.noise),
            **options,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothGrad(Noise):
    """SmoothGrad as a setting.

    The paper takes 50 copies and noise of 10 to 20 % of the range of an image. 10 keep training
    affordable, and 0.3 is 9 % of the range of a standardised digit.

    Attributes:
        of: What is averaged: see :func:`smooth_grad`.
    """

    name: ClassVar[str] = "smooth_grad"
    of: Averaged = "gradient"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Accept every differentiable model."""

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`smooth_grad`."""
        return smooth_grad(model, inputs, target, noise=self, of=self.of)
