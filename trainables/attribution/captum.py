"""Attributions that Captum computes."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.attribution.attribution import Attribution, Target
from trainables.attribution.gradients import eval_mode, resolve_target
from trainables.attribution.support import (
    RESHAPING,
    captum_call,
    points_per_pass,
    raise_unsupported,
    require_module_types,
    require_relu_modules,
    require_single_calls,
    trace_calls,
)
from trainables.decoding import record
from trainables.fields import Amount, Positive
from trainables.seeding import seeded_global_rng


@record
class NoiseSettings(Attribution):
    """How many noisy points are taken per sample.

    The noise depends on ``seed`` and on the place of a sample in the batch, not on the samples:
    equal batches give equal results, and since batches are shuffled a sample meets another
    noise in every epoch.

    Attributes:
        n_samples: Points per sample, at least 1.
        noise: Standard deviation σ ≥ 0 of the Gaussian noise, in units of the model's inputs.
        seed: Seed of the noise, in [0, 2³²).
    """

    n_samples: Annotated[int, Field(ge=1, le=10_000)] = 10
    noise: Amount = 0.3
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


# Captum's default rules hold for these, and for no one-dimensional convolution or batch norm.
_LRP_STABILIZED = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
_LRP_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
_LRP_ELEMENTWISE = (nn.ReLU, nn.Dropout, nn.Tanh)


def captum_lrp(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    epsilon: float = 1e-6,
) -> Float[Tensor, "batch channel *grid"]:
    """Attribute one class score per sample to its input features by Captum's ε-LRP.

    The same relevances as :func:`~trainables.attribution.epsilon_lrp.epsilon_lrp`, at several
    times the cost and for fewer models, with one difference: a batch norm is a layer of its own
    that also takes its ε, not one with the convolution before it. Pools keep Captum's own ε of
    1e-9. A feature whose value is 0 always has relevance 0.

    The model is left untouched. Costs two forward passes and one backward pass, and one forward
    pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        epsilon: Stabilizer ε > 0, in units of the pre-activations.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Bach et al., PLoS ONE 2015, eq. 58; Captum 0.9.0, ``captum.attr.LRP``.
    """

    def build(attr: ModuleType, model: nn.Module) -> Any:  # noqa: ANN401 (Captum's)
        from captum.attr._utils.lrp_rules import EpsilonRule

        # Captum deletes rules after every call; these belong to the twin of this one.
        for layer in model.modules():
            if isinstance(layer, _LRP_STABILIZED):
                layer.rule = EpsilonRule(epsilon)
        return attr.LRP(model)

    return captum_call(build, model, inputs, target)


@record
class CaptumLrp(Attribution):
    """Captum's ε-LRP as a setting.

    Attributes:
        epsilon: Stabilizer ε > 0, in units of the pre-activations. At 0 Captum divides by 0.
    """

    name: ClassVar[str] = "captum_lrp"
    epsilon: Positive = 1e-6

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Refuse a model for whose layers Captum has no rule.

        Args:
            model: Model to explain; left as it is.
            inputs: Any samples of the model's input shape.

        Raises:
            ConfigError: If a layer has no rule, is called twice, or is none of the modules.
        """
        calls = trace_calls(model, inputs)
        require_module_types(self.name, calls, _LRP_STABILIZED + _LRP_POOLS + _LRP_ELEMENTWISE)
        require_single_calls(self.name, calls, (nn.Module,))
        for operation in calls.functional_ops:
            if operation not in RESHAPING | {"relu"}:
                raise_unsupported(self.name, f"it computes {operation!r} outside of a module")

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`captum_lrp`."""
        return captum_lrp(model, inputs, target, epsilon=self.epsilon)


# Layers for which Captum rescales; without a softmax, whose place is not in a classifier of ours.
_RESCALED = (
    nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d,
)  # fmt: skip
# Layers that are affine in eval mode, for which the gradient is exact.
_AFFINE = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    nn.Flatten, nn.Unflatten, nn.Identity,
)  # fmt: skip
_AFFINE_OPERATIONS = {"add", "sub", "mean", "sum", "addmm", "mm", "bmm", "convolution"}


def deep_lift(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Share the difference of a class score from that of the zero input among the features.

    Back-propagation in which the slope of an activation is that of its chord between the zero
    input and the sample. Complete: the relevances of a sample add up to f(x) − f(0). A feature
    whose value is 0 always has relevance 0. The baseline 0 is the mean image where inputs are
    standardized, and the black one in [0, 1].

    The model is left untouched. Costs one forward and one backward pass over twice the batch,
    and one forward pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Shrikumar, Greenside and Kundaje, ICML 2017, section 3.5.1 (rescale rule).
    """
    return captum_call(
        lambda attr, model: attr.DeepLift(model), model, inputs, target, baselines=0.0
    )


@record
class DeepLift(Attribution):
    """DeepLIFT as a setting."""

    name: ClassVar[str] = "deep_lift"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Refuse a model whose activations Captum does not see, or confuses.

        Args:
            model: Model to explain; left as it is.
            inputs: Any samples of the model's input shape.

        Raises:
            ConfigError: If something that is not affine is called twice, is no module, or is
                one for which Captum has no rule.
        """
        calls = trace_calls(model, inputs)
        require_module_types(self.name, calls, _RESCALED + _AFFINE)
        require_single_calls(self.name, calls, _RESCALED)
        for operation in calls.functional_ops:
            if operation not in RESHAPING | _AFFINE_OPERATIONS:
                raise_unsupported(self.name, f"it computes {operation!r} outside of a module")

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`deep_lift`."""
        return deep_lift(model, inputs, target)


def deconvolution(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Propagate a class score back only where it is positive, whether a ReLU is active or not.

    The gradient of the chosen logit in which every ReLU passes on the positive part of what
    comes from above. A feature of value 0 may have any relevance.

    The model is left untouched. Costs one forward and one input-only backward pass, and one
    forward pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Signed modified gradients in logit units per input unit, detached. Positive says that
        raising the feature raises the score, which is no evidence for the class by itself.

    References:
        Zeiler and Fergus, ECCV 2014, section 2.1.
    """
    return captum_call(lambda attr, model: attr.Deconvolution(model), model, inputs, target)


@record
class Deconvolution(Attribution):
    """Deconvolution as a setting."""

    name: ClassVar[str] = "deconvolution"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Refuse a model whose ReLUs Captum does not see, or confuses.

        Args:
            model: Model to explain; left as it is.
            inputs: Any samples of the model's input shape.

        Raises:
            ConfigError: If a ReLU is called twice or is no module.
        """
        require_relu_modules(self.name, model, inputs)

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`deconvolution`."""
        return deconvolution(model, inputs, target)


def guided_backprop(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Propagate a class score back through active ReLUs, and only where it is positive.

    The gradient of the chosen logit in which every ReLU also passes no negative gradient on. A
    feature of value 0 may have any relevance. Largely blind to the class (Adebayo et al.,
    NeurIPS 2018): what it shows is close to the input's edges.

    The model is left untouched. Costs one forward and one input-only backward pass, and one
    forward pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Signed modified gradients in logit units per input unit, detached. Positive says that
        raising the feature raises the score, which is no evidence for the class by itself.

    References:
        Springenberg et al., arXiv:1412.6806, section 3.4.
    """
    return captum_call(lambda attr, model: attr.GuidedBackprop(model), model, inputs, target)


@record
class GuidedBackprop(Attribution):
    """Guided back-propagation as a setting."""

    name: ClassVar[str] = "guided_backprop"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Refuse a model whose ReLUs Captum does not see, or confuses.

        Args:
            model: Model to explain; left as it is.
            inputs: Any samples of the model's input shape.

        Raises:
            ConfigError: If a ReLU is called twice or is no module.
        """
        require_relu_modules(self.name, model, inputs)

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`guided_backprop`."""
        return guided_backprop(model, inputs, target)


def integrated_gradients(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    n_steps: int = 16,
) -> Float[Tensor, "batch channel *grid"]:
    """Multiply each input feature by its mean gradient between the zero input and the sample.

    Complete: the relevances of a sample add up to f(x) − f(0), but for the error of the
    quadrature (Gauss–Legendre). A feature whose value is 0 always has relevance 0. The baseline
    0 is the mean image where inputs are standardized, and the black one in [0, 1].

    The model is left untouched. Costs ``n_steps`` forward and backward passes, and one forward
    pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        n_steps: Points of the path at which the gradient is taken, at least 1.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Sundararajan, Taly and Yan, ICML 2017, eq. 1.
    """
    return captum_call(
        lambda attr, model: attr.IntegratedGradients(model),
        model,
        inputs,
        target,
        baselines=0.0,
        n_steps=n_steps,
        internal_batch_size=points_per_pass(inputs) * len(inputs),
    )


@record
class IntegratedGradients(Attribution):
    """Integrated gradients as a setting.

    Attributes:
        n_steps: Points of the path; the cost is proportional to it. 16 keep training
            affordable, a figure deserves 50 (Captum's default) or more.
    """

    name: ClassVar[str] = "integrated_gradients"
    n_steps: Annotated[int, Field(ge=1, le=10_000)] = 16

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`integrated_gradients`."""
        return integrated_gradients(model, inputs, target, n_steps=self.n_steps)


def gradient_shap(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    noise: NoiseSettings,
) -> Float[Tensor, "batch channel *grid"]:
    """Estimate the Shapley value of each feature against baselines of Gaussian noise around 0.

    Mean over random baselines b ~ N(0, σ²) and random points of the path from b to the sample of
    (x − b) × gradient. Complete in expectation: the relevances add up to f(x) − E f(b). Without
    noise it is a Monte Carlo estimate of integrated gradients, and a feature whose value is 0
    has relevance 0; with noise it may have any. The baselines are not drawn from the data, which
    an attribution does not see: 0 is the mean image where inputs are standardized.

    The model and the global generators are left untouched. Costs ``n_samples`` forward and
    backward passes, and one forward pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        noise: Number of points and of baselines, σ of the baselines, and seed.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Lundberg and Lee, NeurIPS 2017; Captum 0.9.0, ``captum.attr.GradientShap``.
    """
    classes = _resolved_classes(model, inputs, target)
    total = torch.zeros_like(inputs, requires_grad=False)
    with seeded_global_rng(noise.seed, inputs.device):
        shape = (noise.n_samples, *inputs.shape[1:])
        baselines = noise.noise * torch.randn(shape, dtype=inputs.dtype, device=inputs.device)
        # Captum itself would take all points at once.
        for points in _chunk_sizes(noise.n_samples, points_per_pass(inputs)):
            total += points * captum_call(
                lambda attr, model: attr.GradientShap(model),
                model,
                inputs,
                classes,
                baselines=baselines,
                n_samples=points,
                stdevs=0.0,
            )
    return total / noise.n_samples


@record
class GradientShap(NoiseSettings):
    """GradientSHAP as a setting; ``noise`` is that of the baselines."""

    name: ClassVar[str] = "gradient_shap"

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`gradient_shap`."""
        return gradient_shap(model, inputs, target, noise=self)


def _resolved_classes(model: nn.Module, inputs: Tensor, target: Target) -> Tensor:
    # Resolved before the points are taken in several calls, so that it is asked once.
    if isinstance(target, Tensor):
        return target
    with eval_mode(model), torch.no_grad():
        return resolve_target(target, model(inputs))


def _chunk_sizes(total: int, most: int) -> list[int]:
    return [min(most, total - taken) for taken in range(0, total, most)]


AveragedAttribution = Literal["gradient", "saliency", "input_x_gradient"]


def smooth_grad(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    noise: NoiseSettings,
    of: AveragedAttribution = "gradient",
) -> Float[Tensor, "batch channel *grid"]:
    """Average the gradient of a class score over noisy copies of each sample.

    One copy without noise gives the gradient itself. A feature of value 0 may have any
    relevance; only for ``input_x_gradient`` without noise is it 0.

    The model and the global generators are left untouched. Costs ``n_samples`` forward and
    backward passes, and one forward pass more if ``target`` is a function, which chooses the
    class for the sample without noise.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
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
    with seeded_global_rng(noise.seed, inputs.device):
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


@record
class SmoothGrad(NoiseSettings):
    """SmoothGrad as a setting.

    The paper takes 50 copies and noise of 10 to 20 % of the range of an image. 10 keep training
    affordable, and 0.3 is 9 % of the range of a standardized digit.

    Attributes:
        of: What is averaged: see :func:`smooth_grad`.
    """

    name: ClassVar[str] = "smooth_grad"
    of: AveragedAttribution = "gradient"

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`smooth_grad`."""
        return smooth_grad(model, inputs, target, noise=self, of=self.of)
