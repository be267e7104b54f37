"""AttnLRP's rules inside autograd, applied to every function that a network calls.

Relevance is value × modified gradient. A rule therefore is a change of one operation's backward
pass; all are exact rewritings of the layer-wise rules, whatever the depth of the network:

=====================================  =========================================================
operation                              modified gradient
=====================================  =========================================================
linear layer, convolution, batch norm  that of its outputs z, scaled by abs(z) / (abs(z) + ε)
LayerNorm, RMSNorm, GroupNorm          ordinary, with the standard deviation as a constant
GELU, SiLU, tanh, ReLU6, …             act(x) / x in place of the slope
softmax                                ordinary (a first-order Taylor expansion)
product of two factors                 half for each
attention                              a quarter for queries and keys, half for values
gate (sigmoid) × signal                the gate is a constant
=====================================  =========================================================

Everything else that is allowed is linear or piecewise linear through 0, and needs no rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from trainables.attribution.epsilon_rule import EpsilonRule, chunks, stabilizer_for

AttentionShares: TypeAlias = Literal["uniform", "constant"]
Arguments: TypeAlias = tuple[Any, ...]
Options: TypeAlias = dict[str, Any]


class ScaledGradient(torch.autograd.Function):
    """Identity whose backward pass scales the gradient by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, share: float) -> Tensor:  # noqa: ANN401
        """Return the values."""
        ctx.share = share
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Scale the gradient."""
        return gradient * ctx.share, None


class FixedLayerNorm(torch.autograd.Function):
    """LayerNorm whose backward pass takes the standard deviation as a constant.

    With y = γ(x − μ)/σ + β the gradient is (γg − mean(γg)) / σ: the ordinary one without its last
    term.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        inputs: Tensor,
        shape: list[int],
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        """Normalize over the last dimensions."""
        outputs, _, rstd = torch.native_layer_norm(inputs, shape, weight, bias, eps)
        ctx.shape = shape
        ctx.save_for_backward(rstd, weight)
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # noqa: ANN401
        """Scale the gradient and take its mean away, by torch's own kernel.

        That subtracts x̂·mean(γg·x̂) too, which is 0 for inputs equal to their mean.
        """
        rstd, weight = ctx.saved_tensors
        centered, mean = gradient.new_zeros(gradient.shape), torch.zeros_like(rstd)
        scaled, _, _ = torch.ops.aten.native_layer_norm_backward(
            gradient.contiguous(), centered, ctx.shape, mean, rstd, weight, None,
            [True, False, False],
        )  # fmt: skip
        return scaled, None, None, None, None


class FixedRatio(torch.autograd.Function):
    """An activation whose backward pass scales the gradient by act(x) / x."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, name: str, options: Options) -> Tensor:  # noqa: ANN401
        """Apply the activation."""
        ctx.name, ctx.options = name, options
        ctx.save_for_backward(inputs)
        return ACTIVATIONS[name].function(inputs, **options)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        """Scale the gradient."""
        (inputs,) = ctx.saved_tensors
        scaled = torch.empty_like(gradient)
        for part in chunks(inputs):
            ratio = ACTIVATIONS[ctx.name].ratio(inputs[part], **ctx.options)
            torch.mul(ratio, gradient[part], out=scaled[part])
        return scaled, None, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation that is 0 at 0.

    Attributes:
        function: The activation, which returns a new tensor.
        ratio: act(x) / x and its limit at 0, as a new tensor.
        options: Names of its options beside ``inplace``, in torch's order.
    """

    function: Callable[..., Tensor]
    ratio: Callable[..., Tensor]
    options: tuple[str, ...] = ()


def _gelu_ratio(x: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        return torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).add_(1).mul_(0.5)
    share = (x * math.sqrt(0.5)).erf_()
    return torch.add(share.new_tensor(0.5), share, alpha=0.5, out=share)


def _quotient(function: Callable[..., Tensor], slope: float) -> Callable[..., Tensor]:
    def ratio(x: Tensor, **options: Any) -> Tensor:  # noqa: ANN401
        return torch.where(x == 0, slope, function(x, **options) / x)

    return ratio


def _with_quotient(
    function: Callable[..., Tensor], slope: float = 1.0, options: tuple[str, ...] = ()
) -> Activation:
    return Activation(function=function, ratio=_quotient(function, slope), options=options)


# Activations that are not 0 at 0 have no ratio there and are missing.
ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": Activation(function=functional.gelu, ratio=_gelu_ratio, options=("approximate",)),
    "silu": Activation(function=functional.silu, ratio=torch.sigmoid),
    "hardswish": Activation(function=functional.hardswish, ratio=functional.hardsigmoid),
    "mish": Activation(function=functional.mish, ratio=lambda x: functional.softplus(x).tanh_()),
    "tanh": _with_quotient(torch.tanh),
    "relu6": _with_quotient(functional.relu6),
    "hardtanh": _with_quotient(functional.hardtanh, options=("min_val", "max_val")),
    "elu": _with_quotient(functional.elu, options=("alpha",)),
    "celu": _with_quotient(functional.celu, options=("alpha",)),
    "selu": _with_quotient(functional.selu, 1.0507009873554805),
    "softsign": _with_quotient(functional.softsign),
}
GATES = frozenset(("sigmoid", "hardsigmoid"))
SOFTMAX = frozenset(("softmax",))
NORMS = frozenset(("layer_norm", "rms_norm", "group_norm"))
ATTENTION = frozenset(("scaled_dot_product_attention", "multi_head_attention_forward"))
LINEAR = frozenset(
    ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
     "conv_transpose3d", "batch_norm")
)  # fmt: skip
PRODUCTS = frozenset(("matmul", "rmatmul", "bmm", "mm", "mv", "einsum", "mul", "rmul", "imul"))
# Linear in one argument, and homogeneous of degree 1: the gradient is the rule.
HOMOGENEOUS = frozenset(
    ("add", "radd", "iadd", "sub", "rsub", "isub", "neg", "mean", "sum", "div", "truediv",
     "itruediv", "view", "view_as", "reshape", "reshape_as", "permute", "transpose", "t", "get",
     "movedim", "swapaxes", "swapdims", "flatten", "unflatten", "squeeze", "unsqueeze", "expand",
     "expand_as", "repeat", "repeat_interleave", "contiguous", "clone", "to", "float", "double",
     "half", "bfloat16", "type", "type_as", "cat", "concat", "concatenate", "stack", "hstack",
     "vstack", "chunk", "split", "tensor_split", "unbind", "select", "narrow", "getitem",
     "setitem", "index_select", "gather", "take_along_dim", "roll", "flip", "pad", "interpolate",
     "fold", "unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "masked_fill",
     "where", "tril", "triu", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
     "feature_alpha_dropout", "feature_dropout", "avg_pool1d", "avg_pool2d", "avg_pool3d",
     "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "max_pool1d",
     "max_pool2d", "max_pool3d", "max_pool1d_with_indices", "max_pool2d_with_indices",
     "max_pool3d_with_indices", "adaptive_max_pool1d", "adaptive_max_pool2d",
     "adaptive_max_pool3d", "adaptive_max_pool1d_with_indices",
     "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d_with_indices", "max", "amax", "min",
     "amin", "maximum", "minimum", "relu", "leaky_relu", "prelu", "rrelu", "abs", "zero_pad2d",
     "clamp", "clip", "clamp_min", "clamp_max", "requires_grad", "as_subclass", "copy",
     "index_add", "scatter", "scatter_add", "cumsum")
)  # fmt: skip
_QUERY_KEY_VALUE = {"uniform": (0.25, 0.25, 0.5), "constant": (0.0, 0.0, 1.0)}


def function_name(function: Any) -> str:  # noqa: ANN401
    """Return the name of a function of torch without the underscores of its variants.

    Example:
        >>> function_name(torch.Tensor.__add__), function_name(torch.relu_)
        ('add', 'relu')
    """
    return str(getattr(function, "__name__", function)).strip("_")


def dependent_tensors(values: Any) -> list[Tensor]:  # noqa: ANN401
    """Return the tensors that depend on the inputs, where no parameter has a gradient."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found += [value] if value.requires_grad else []
        elif isinstance(value, list | tuple):
            found += dependent_tensors(value)
    return found


def is_nonlinear_product(name: str, args: Arguments, options: Options) -> bool:
    """Return whether two factors of a product, or a divisor, depend on the inputs."""
    if name in PRODUCTS:
        return len(dependent_tensors([*args, *options.values()])) > 1
    if name in ("div", "truediv", "itruediv", "rdiv", "rtruediv"):
        divisor = args[0] if name.startswith("r") else args[1]
        return isinstance(divisor, Tensor) and divisor.requires_grad
    return False


class RelevanceRules(TorchFunctionMode):
    """The rules of AttnLRP, for everything that runs under it with frozen parameters.

    Args:
        epsilon: Stabilizer ε ≥ 0 of linear layers, in units of their outputs.
        shares: ``uniform`` divides the relevance of attention between its weights and values,
            ``constant`` takes the weights as constants.
        is_copied: Whether outputs with the ε rule are copies, for networks that overwrite them.
    """

    def __init__(self, epsilon: float, shares: AttentionShares, *, is_copied: bool) -> None:
        """Prepare the rules."""
        super().__init__()
        self._epsilon, self._shares, self._is_copied = epsilon, shares, is_copied

    def __torch_function__(
        self,
        function: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: Arguments = (),
        kwargs: Options | None = None,
    ) -> Any:  # noqa: ANN401
        """Call a function, with its rule if its arguments depend on the inputs."""
        options = kwargs or {}
        name = function_name(function)
        rule = _RULES.get(name)
        if rule is None or not dependent_tensors([*args, *options.values()]):
            return function(*args, **options)
        return rule(self, function, args, options)

    def _activation(self, function: Any, args: Arguments, options: Options) -> Tensor:  # noqa: ANN401
        name = function_name(function)
        names = ("input", *ACTIVATIONS[name].options)
        # In place or not: what overwrites its input is called by the name of what does not.
        given = dict(zip(names, args, strict=False)) | options
        result: Tensor = FixedRatio.apply(
            given["input"], name, {key: given[key] for key in names[1:] if key in given}
        )
        return result

    def _gate(self, function: Any, args: Arguments, options: Options) -> Tensor:  # noqa: ANN401
        with torch.no_grad():
            result: Tensor = function(*args, **options)
        return result

    def _softmax(self, function: Any, args: Arguments, options: Options) -> Tensor:  # noqa: ANN401
        weights: Tensor = function(*args, **options)
        return weights if self._shares == "uniform" else weights.detach()

    def _product(self, function: Any, args: Arguments, options: Options) -> Any:  # noqa: ANN401
        result = function(*args, **options)
        if not is_nonlinear_product(function_name(function), args, options):
            return result
        return ScaledGradient.apply(result, 0.5)

    def _attention(self, function: Any, args: Arguments, options: Options) -> Any:  # noqa: ANN401
        names = ("query", "key", "value")
        given = [args[i] if i < len(args) else options.pop(name) for i, name in enumerate(names)]
        shared = [
            ScaledGradient.apply(tensor, share) if share else tensor.detach()
            for tensor, share in zip(given, _QUERY_KEY_VALUE[self._shares], strict=True)
        ]
        return function(*shared, *args[3:], **options)

    def _glu(self, _function: Any, args: Arguments, options: Options) -> Tensor:  # noqa: ANN401
        inputs, dim = (*args, options.get("dim", -1))[:2]
        signal, gate = inputs.chunk(2, dim)
        result: Tensor = signal * torch.sigmoid(gate).detach()
        return result

    def _linear(self, function: Any, args: Arguments, options: Options) -> Tensor:  # noqa: ANN401
        outputs: Tensor = function(*args, **options)
        return self._stabilized(outputs)

    def _layer_norm(self, _function: Any, args: Arguments, options: Options) -> Tensor:  # noqa: ANN401
        keys = ("input", "normalized_shape", "weight", "bias", "eps")
        given = {"weight": None, "bias": None, "eps": 1e-5, **dict(zip(keys, args, strict=False))}
        given |= options
        outputs: Tensor = FixedLayerNorm.apply(
            given["input"], list(given["normalized_shape"]), given["weight"], given["bias"],
            given["eps"],
        )  # fmt: skip
        return self._stabilized(outputs)

    def _rms_norm(self, _function: Any, args: Arguments, options: Options) -> Tensor:  # noqa: ANN401
        keys = ("input", "normalized_shape", "weight", "eps")
        given = {"weight": None, "eps": None, **dict(zip(keys, args, strict=False)), **options}
        inputs: Tensor = given["input"]
        dims = tuple(range(-len(given["normalized_shape"]), 0))
        eps = torch.finfo(inputs.dtype).eps if given["eps"] is None else given["eps"]
        rstd = inputs.detach().square().mean(dims, keepdim=True).add(eps).rsqrt()
        weight = 1 if given["weight"] is None else given["weight"]
        return self._stabilized(inputs * (rstd * weight))

    def _group_norm(self, _function: Any, args: Arguments, options: Options) -> Tensor:  # noqa: ANN401
        keys = ("input", "num_groups", "weight", "bias", "eps")
        given = {"weight": None, "bias": None, "eps": 1e-5, **dict(zip(keys, args, strict=False))}
        given |= options
        inputs: Tensor = given["input"]
        grouped = inputs.unflatten(1, (given["num_groups"], -1)).flatten(2)
        variance = grouped.detach().var(2, correction=0, keepdim=True)
        centered = grouped - grouped.mean(2, keepdim=True)
        outputs = (centered * (variance + given["eps"]).rsqrt()).reshape(inputs.shape)
        shape = (1, -1, *[1] * (inputs.ndim - 2))
        if given["weight"] is not None:
            outputs = outputs * given["weight"].reshape(shape)
        if given["bias"] is not None:
            outputs = outputs + given["bias"].reshape(shape)
        return self._stabilized(outputs)

    def _stabilized(self, outputs: Float[Tensor, "batch first *rest"]) -> Tensor:
        if self._epsilon == 0:
            return outputs
        stabilizer = stabilizer_for(outputs, self._epsilon, "absolute")
        result: Tensor = EpsilonRule.apply(outputs, stabilizer, self._is_copied)
        return result


Rule: TypeAlias = Callable[[RelevanceRules, Any, Arguments, Options], Any]
_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ACTIVATIONS, RelevanceRules._activation),
    **dict.fromkeys(GATES, RelevanceRules._gate),
    **dict.fromkeys(SOFTMAX, RelevanceRules._softmax),
    **dict.fromkeys(PRODUCTS, RelevanceRules._product),
    **dict.fromkeys(ATTENTION, RelevanceRules._attention),
    **dict.fromkeys(LINEAR, RelevanceRules._linear),
    "layer_norm": RelevanceRules._layer_norm,
    "rms_norm": RelevanceRules._rms_norm,
    "group_norm": RelevanceRules._group_norm,
    "glu": RelevanceRules._glu,
}
RULED = frozenset(_RULES)
"""Names of the functions that have a rule."""
