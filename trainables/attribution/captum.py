"""Attributions by Captum: each a class of Captum, its options and the models it supports."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.attribution.attribution import Attribution, Target
from trainables.attribution.gradients import target_classes
from trainables.attribution.support import (
    RELU_OPS,
    RESHAPING,
    SupportedModels,
    captum_call,
    points_per_pass,
)
from trainables.decoding import record
from trainables.fields import Amount, Positive
from trainables.seeding import seeded_global_rng

AveragedAttribution: TypeAlias = Literal["gradient", "saliency", "input_x_gradient"]

_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)

# Captum's default rules hold for these, and for no one-dimensional convolution or batch norm.
_STABILIZED = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
_LRP = SupportedModels(
    module_types=(
        *_STABILIZED, *_POOLS, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.ReLU, nn.Dropout, nn.Tanh,
    ),
    called_once=(nn.Module,),
    functional_ops=RESHAPING | {"relu"},
)  # fmt: skip

# Activations for which Captum rescales; not softmax, which no classifier here contains.
_RESCALED = (
    nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, *_POOLS,
)  # fmt: skip
# Layers and operations that are affine in eval mode, for which the gradient is exact.
_AFFINE = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    nn.Flatten, nn.Unflatten, nn.Identity,
)  # fmt: skip
_DEEP_LIFT = SupportedModels(
    module_types=_RESCALED + _AFFINE,
    called_once=_RESCALED,
    functional_ops=RESHAPING | {"add", "sub", "mean", "sum", "addmm", "mm", "bmm", "convolution"},
)

_RELU_RULES = SupportedModels(called_once=(nn.ReLU,), refused_ops=RELU_OPS)


@record
class CaptumAttribution(Attribution):
    """An attribution by one of Captum's classes, on a copy that shares the model's weights.

    The model is left untouched. A ``target`` that is a function costs one forward pass more.
    """

    captum_class: ClassVar[str]
    supported: ClassVar[SupportedModels | None] = None
    """Models that Captum explains rightly; None for every differentiable model."""

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Raise a ConfigError for a model that Captum would explain wrongly or not at all."""
        if self.supported is not None:
            self.supported.check(self.name, model, inputs)

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Return the attributions of one class score per sample, detached."""
        return captum_call(self._build, model, inputs, target, **self._options(inputs))

    def _build(self, attr: ModuleType, model: nn.Module) -> Any:  # noqa: ANN401 (Captum's)
        return getattr(attr, self.captum_class)(model)

    def _options(self, _inputs: Tensor) -> dict[str, object]:
        # Of Captum's method attribute, beside inputs and target.
        return {}


@record
class CaptumLrp(CaptumAttribution):
    """Captum's ε-LRP: signed relevances in logit units.

    The same relevances as :func:`~trainables.attribution.epsilon_lrp.epsilon_lrp`, at several
    times the cost and for fewer models, with one difference: a batch norm is a layer of its own
    with an ε of its own, not fused with the convolution before it. Pools keep Captum's own ε of
    1e-9. A feature whose value is 0 always has relevance 0. Costs two forward passes and one
    backward pass.

    Attributes:
        epsilon: Stabilizer ε > 0, in units of the pre-activations. At 0 Captum divides by 0.

    References:
        Bach et al., PLoS ONE 2015, eq. 58; Captum 0.9.0, ``captum.attr.LRP``.
    """

    name: ClassVar[str] = "captum_lrp"
    supported: ClassVar[SupportedModels | None] = _LRP
    epsilon: Positive = 1e-6

    def _build(self, attr: ModuleType, model: nn.Module) -> Any:  # noqa: ANN401
        from captum.attr._utils.lrp_rules import EpsilonRule

        # Captum deletes rules after every call; these belong to the copy of this one.
        for layer in model.modules():
            if isinstance(layer, _STABILIZED):
                layer.rule = EpsilonRule(self.epsilon)
        return attr.LRP(model)


@record
class DeepLift(CaptumAttribution):
    """DeepLIFT with the rescale rule: signed relevances in logit units.

    Back-propagation in which the slope of an activation is that of its chord between the zero
    input and the sample. Complete: the relevances of a sample add up to f(x) − f(0). A feature
    whose value is 0 always has relevance 0. The baseline 0 is the mean image of standardized
    inputs, and the black one in [0, 1]. Costs one forward and one backward pass over twice the
    batch.

    References:
        Shrikumar, Greenside and Kundaje, ICML 2017, section 3.5.1 (rescale rule).
    """

    name: ClassVar[str] = "deep_lift"
    captum_class: ClassVar[str] = "DeepLift"
    supported: ClassVar[SupportedModels | None] = _DEEP_LIFT

    def _options(self, _inputs: Tensor) -> dict[str, object]:
        return {"baselines": 0.0}


@record
class Deconvolution(CaptumAttribution):
    """Deconvolution: signed modified gradients in logit units per input unit.

    The gradient of the chosen logit in which every ReLU, active or not, passes on the positive
    part of the gradient from above. A feature of value 0 may have any relevance. A positive one
    means that raising the feature raises the score, which is no evidence for the class by
    itself. Costs one forward and one input-only backward pass.

    References:
        Zeiler and Fergus, ECCV 2014, section 2.1.
    """

    name: ClassVar[str] = "deconvolution"
    captum_class: ClassVar[str] = "Deconvolution"
    supported: ClassVar[SupportedModels | None] = _RELU_RULES


@record
class GuidedBackprop(CaptumAttribution):
    """Guided back-propagation: signed modified gradients in logit units per input unit.

    The gradient of the chosen logit in which active ReLUs pass no negative gradient on. A
    feature of value 0 may have any relevance; see :class:`Deconvolution` for the sign. Largely
    insensitive to the class (Adebayo et al., NeurIPS 2018) and close to the input's edges. Costs
    one forward and one input-only backward pass.

    References:
        Springenberg et al., arXiv:1412.6806, section 3.4.
    """

    name: ClassVar[str] = "guided_backprop"
    captum_class: ClassVar[str] = "GuidedBackprop"
    supported: ClassVar[SupportedModels | None] = _RELU_RULES


@record
class IntegratedGradients(CaptumAttribution):
    """Integrated gradients from the zero input: signed relevances in logit units.

    Input × mean gradient between the zero input and the sample. Complete: the relevances of a
    sample add up to f(x) − f(0), up to the error of the quadrature (Gauss–Legendre). A feature
    whose value is 0 always has relevance 0. The baseline 0 is the mean image of standardized
    inputs, and the black one in [0, 1].

    Attributes:
        n_steps: Points of the path, each of which costs a forward and a backward pass. 16 keep
            training affordable, a figure deserves 50 (Captum's default) or more.

    References:
        Sundararajan, Taly and Yan, ICML 2017, eq. 1.
    """

    name: ClassVar[str] = "integrated_gradients"
    captum_class: ClassVar[str] = "IntegratedGradients"
    n_steps: Annotated[int, Field(ge=1, le=10_000)] = 16

    def _options(self, inputs: Tensor) -> dict[str, object]:
        rows = points_per_pass(inputs) * len(inputs)
        return {"baselines": 0.0, "n_steps": self.n_steps, "internal_batch_size": rows}


@record
class NoiseSettings(CaptumAttribution):
    """Settings of attributions over noisy points; each point costs a forward and backward pass.

    The noise depends on ``seed`` and on a sample's position in the batch, not on the samples:
    equal batches give equal results, and since batches are shuffled a sample gets other noise in
    every epoch.

    Attributes:
        n_samples: Points per sample, at least 1.
        noise: Standard deviation σ ≥ 0 of the Gaussian noise, in units of the model's inputs.
        seed: Seed of the noise, in [0, 2³²).
    """

    n_samples: Annotated[int, Field(ge=1, le=10_000)] = 10
    noise: Amount = 0.3
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


@record
class GradientShap(NoiseSettings):
    """GradientSHAP: signed relevances in logit units.

    Estimates the Shapley value of each feature by the mean, over random baselines b ~ N(0, σ²)
    and random points of the path from b to the sample, of (x − b) × gradient. Complete in
    expectation: the relevances add up to f(x) − E f(b). Without noise it is a Monte Carlo
    estimate of integrated gradients, and a feature whose value is 0 has relevance 0; with noise
    it may have any. The baselines are not drawn from the data, which an attribution does not
    know: 0 is the mean image of standardized inputs.

    References:
        Lundberg and Lee, NeurIPS 2017; Captum 0.9.0, ``captum.attr.GradientShap``.
    """

    name: ClassVar[str] = "gradient_shap"
    captum_class: ClassVar[str] = "GradientShap"

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Return the mean over the points, evaluated in chunks: Captum takes all at once."""
        # Resolved once for all chunks.
        classes = target_classes(model, inputs, target)
        total = torch.zeros_like(inputs, requires_grad=False)
        step = points_per_pass(inputs)
        with seeded_global_rng(self.seed, inputs.device):
            shape = (self.n_samples, *inputs.shape[1:])
            baselines = self.noise * torch.randn(shape, dtype=inputs.dtype, device=inputs.device)
            for taken in range(0, self.n_samples, step):
                n = min(step, self.n_samples - taken)
                options = {"baselines": baselines, "n_samples": n, "stdevs": 0.0}
                total += n * captum_call(self._build, model, inputs, classes, **options)
        return total / self.n_samples


@record
class SmoothGrad(NoiseSettings):
    """SmoothGrad: mean gradient of a class score over noisy copies of each sample.

    One copy without noise gives the gradient itself. A feature of value 0 may have any
    relevance, except for ``input_x_gradient`` without noise. A ``target`` that is a function
    chooses the class of the sample without noise. The paper takes 50 copies and noise of 10 to
    20 % of the range of an image. 10 keep training affordable, and 0.3 is 9 % of the range of a
    standardized digit.

    Attributes:
        of: Averaged attribution: the ``gradient``, its magnitude (``saliency``), both in logit
            units per input unit, or noisy ``input_x_gradient`` in logit units.

    References:
        Smilkov et al., arXiv:1706.03825, section 3.
    """

    name: ClassVar[str] = "smooth_grad"
    of: AveragedAttribution = "gradient"

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Return the mean over the copies."""
        with seeded_global_rng(self.seed, inputs.device):
            return NoiseSettings.__call__(self, model, inputs, target)

    def _build(self, attr: ModuleType, model: nn.Module) -> Any:  # noqa: ANN401
        averaged = attr.InputXGradient if self.of == "input_x_gradient" else attr.Saliency
        return attr.NoiseTunnel(averaged(model))

    def _options(self, inputs: Tensor) -> dict[str, object]:
        options: dict[str, object] = {
            "nt_type": "smoothgrad",
            "nt_samples": self.n_samples,
            "nt_samples_batch_size": min(self.n_samples, points_per_pass(inputs)),
            "stdevs": float(self.noise),
        }
        return (
            options if self.of == "input_x_gradient" else options | {"abs": self.of == "saliency"}
        )
