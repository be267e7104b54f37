"""What a network computes, and whether LRP explains it: by its functions, and by measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from trainables.attribution.gradients import eval_mode, uncompiled
from trainables.attribution.relevance_rules import (
    ACTIVATIONS,
    ATTENTION,
    GATES,
    HOMOGENEOUS,
    LINEAR,
    NORMS,
    PRODUCTS,
    RULED,
    SOFTMAX,
    Arguments,
    Options,
    dependent_tensors,
    function_name,
    is_nonlinear_product,
)
from trainables.attribution.support import type_with_article
from trainables.errors import ConfigError

_SAMPLES = 5
_STEP = 1e-8
# Between kinks the gradient of a piecewise linear network is equal to the last bit; the least
# change seen of any other was 2e-9.
_LARGEST_CHANGE = 1e-11

# Functions that are not piecewise linear, or not through 0.
_SMOOTH = frozenset(
    ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell",
     "rnn_relu_cell", "softplus", "logsigmoid", "log_softmax", "softmin", "exp", "expm1", "log",
     "log1p", "pow", "square", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "erf", "normalize",
     "norm", "std", "var", "softshrink", "threshold", "instance_norm", "local_response_norm",
     "lp_pool1d", "lp_pool2d")
)  # fmt: skip
_NOT_EPSILON = frozenset(ACTIVATIONS) | GATES | SOFTMAX | NORMS | ATTENTION | _SMOOTH | {"glu"}
_KNOWN = HOMOGENEOUS | LINEAR | PRODUCTS | RULED
_VIEWS = frozenset(
    ("view", "reshape", "squeeze", "unsqueeze", "expand", "expand_as", "permute", "transpose",
     "flatten", "unflatten", "contiguous", "chunk", "split", "getitem", "interpolate", "dropout")
)  # fmt: skip
# Nodes of autograd that are linear, or piecewise linear through 0.
_KNOWN_NODES = frozenset(
    ("Abs", "AccumulateGrad", "AdaptiveAvgPool2D", "AdaptiveMaxPool2D", "Add", "Addmm", "Alias",
     "Amax", "AsStrided", "AvgPool2D", "AvgPool3D", "Bmm", "Cat", "Clone", "ConstantPadNd",
     "Convolution", "CopySlices", "CudnnBatchNorm", "CudnnConvolution", "Div", "Expand", "Index",
     "LeakyRelu", "Max", "MaxPool2DWithIndices", "Mean", "MkldnnConvolution", "Mm", "Mul",
     "NativeBatchNorm", "Neg", "Permute", "PreluKernel", "Relu", "ReshapeAlias", "Roll", "Select",
     "Slice", "Split", "SplitWithSizes", "Squeeze", "Stack", "Sub", "Sum", "T", "ToCopy",
     "Transpose", "Unbind", "Unsqueeze", "UnsafeView", "UpsampleBilinear2D", "View", "Where")
)  # fmt: skip

_PROBLEMS = {
    "product": "multiplies or divides two values that depend on the inputs, by {!r}",
    "cut": "cuts off large values, by {!r}",
    "activation": "uses {!r} as an activation and not as a gate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A function of torch that a network applies to what depends on its inputs.

    Attributes:
        name: Its name without underscores, such as ``gelu``.
        place: The innermost module that calls it: ``module '1', a GELU``.
        problem: What keeps it from being linear or an ordinary activation, if anything: it is a
            ``product`` of two values that depend on the inputs, a ``cut`` of large values, or a
            sigmoid that is an ``activation`` and no gate.
    """

    name: str
    place: str
    problem: Literal["product", "cut", "activation"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a network computes from its inputs.

    Attributes:
        operations: The functions that it calls, in order.
        nodes: Kinds of nodes of its autograd graph, such as ``Relu``: what no function shows, such
            as scripted code and gradients of a user's own, is among them.
        own_gradients: Those of them that are a ``torch.autograd.Function`` in Python.
    """

    operations: Sequence[Operation]
    nodes: frozenset[str]
    own_gradients: frozenset[str]


def epsilon_obstacle(model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> str | None:
    """Return why ε-LRP would be something else on a network; None if it is exact.

    It is exact where everything is linear or, like ReLU, piecewise linear through 0. Functions
    that are known not to be are named. Whether those are that are not known at all is measured:
    between kinks the gradient of a piecewise linear network does not change. Costs one pass over a
    few random samples, and four in double precision to measure.

    Args:
        model: Network; left as it is.
        inputs: Any samples of its input shape.
    """
    survey = survey_of(model, inputs)
    for operation in survey.operations:
        if operation.problem is not None:
            return f"{operation.place}, {_PROBLEMS[operation.problem].format(operation.name)}"
        if operation.name in _NOT_EPSILON:
            return f"{operation.place}, computes {operation.name!r}, which has no ε rule"
    unknown = {operation.name for operation in survey.operations} - _KNOWN
    strange = sorted(unknown | (survey.nodes - _KNOWN_NODES))
    change = gradient_change(model, inputs) if strange else 0.0
    if change <= _LARGEST_CHANGE:
        return None
    return (
        f"it is not piecewise linear: its gradient changes by {change:.1g} of itself within "
        f"{_STEP:g} of a sample, perhaps by {', '.join(strange)}"
    )


def rule_obstacle(model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> str | None:
    """Return which function of a network has no rule of AttnLRP; None if all have one.

    Costs one pass over a few random samples.
    """
    survey = survey_of(model, inputs)
    for operation in survey.operations:
        is_product = operation.problem == "product" and operation.name in PRODUCTS
        if operation.problem is not None and not is_product:
            what = _PROBLEMS[operation.problem].format(operation.name)
            return f"{operation.place}, {what}, which has no rule"
        if operation.name not in _KNOWN:
            return f"{operation.place}, computes {operation.name!r}, which has no rule"
    hidden = _hidden_activations(survey)
    if hidden:
        return f"it computes {min(hidden)!r} where no function shows it, as scripted code does"
    if survey.own_gradients:
        return f"its torch.autograd.Function {min(survey.own_gradients)!r} has no rule"
    return None


def _hidden_activations(survey: Survey) -> set[str]:
    called = {operation.name for operation in survey.operations}
    # SELU and ReLU6 are nodes of these names.
    called |= {"elu"} if called & {"selu", "celu"} else set()
    called |= {"hardtanh"} if "relu6" in called else set()
    # A gated unit and composite activations compute theirs inside.
    activations = ACTIVATIONS.keys() | GATES | {"differentiablegraph"}
    return ({kind.lower() for kind in survey.nodes} & activations) - called


def refuse(
    attribution: str, reason: str, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]
) -> None:
    """Raise a ConfigError with the reason and the attributions that explain the model.

    Raises:
        ConfigError: Always.
    """
    working = [
        *(["epsilon_lrp"] if epsilon_obstacle(model, inputs) is None else []),
        *(["attn_lrp"] if rule_obstacle(model, inputs) is None else []),
        "input_x_gradient",
    ]
    raise ConfigError(
        f"attribution {attribution} cannot explain this model: {reason}; use "
        f"{', '.join(working)} or integrated_gradients."
    )


def survey_of(model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> Survey:
    """Return what a network computes from its inputs, by a pass over random samples."""
    recorder = _Recorder()
    # Frozen, so that what depends on the inputs is told from what does not.
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    points = _random_like(inputs, inputs.dtype)[:2].requires_grad_()
    with eval_mode(model), uncompiled(), recorder.located(model), torch.enable_grad(), recorder:
        logits: Tensor = functional_call(model, weights, (points,))
    nodes = tuple(_nodes(logits))
    return Survey(
        operations=tuple(recorder.operations),
        nodes=frozenset(_kind(node) for node in nodes),
        own_gradients=frozenset(_kind(n) for n in nodes if isinstance(n, BackwardCFunction)),
    )


def _nodes(outputs: Tensor) -> Iterator[Any]:
    seen: set[Any] = set()
    waiting: list[Any] = [outputs.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [one for one, _ in node.next_functions]


def _kind(node: Any) -> str:  # noqa: ANN401
    return str(node.name()).partition("Backward")[0].rpartition("::")[2]


def gradient_change(model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> float:
    """Return the median relative change of the gradient within 1e-8 of random samples.

    Exactly 0 for almost all samples of a piecewise linear network in double precision. A network
    that computes in another precision whatever it is given cannot be measured and counts as one.
    """
    generator = torch.Generator().manual_seed(1)
    tensors = [*model.named_parameters(), *model.named_buffers()]
    weights = {name: _doubled(tensor.detach(), generator) for name, tensor in tensors}
    points = _random_like(inputs, torch.float64)
    noise = torch.randn(points.shape, generator=generator, dtype=points.dtype).to(points.device)
    near = points + _STEP * points.square().mean().sqrt() * noise
    with eval_mode(model), uncompiled(), torch.enable_grad():
        first, second = _gradient(model, weights, points), _gradient(model, weights, near)
    if first is None or second is None:
        return 0.0
    norm = first.flatten(1).norm(dim=1)
    change = (second - first).flatten(1).norm(dim=1) / norm
    return float(change[norm > 0].median()) if (norm > 0).any() else 0.0


def _doubled(tensor: Tensor, generator: torch.Generator) -> Tensor:
    # A head of zeros, as some networks begin with, would hide everything.
    if tensor.ndim > 1 and tensor.is_floating_point() and not tensor.any():
        tensor = torch.randn(tensor.shape, generator=generator).to(tensor.device)
    return tensor.double() if tensor.is_floating_point() else tensor


def _gradient(model: nn.Module, weights: dict[str, Tensor], points: Tensor) -> Tensor | None:
    leaf = points.clone().requires_grad_()
    logits: Tensor = functional_call(model, weights, (leaf,))
    if logits.dtype != torch.float64:
        return None
    shares = torch.arange(1, logits.shape[1] + 1, dtype=logits.dtype, device=logits.device)
    (gradient,) = torch.autograd.grad((logits * shares).sum(), leaf)
    return gradient


def _random_like(inputs: Tensor, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(_SAMPLES, *inputs.shape[1:], generator=generator, dtype=torch.float64)
    return drawn.to(inputs.device, dtype)


class _Recorder(TorchFunctionMode):
    """A record of the functions that a network applies to what depends on its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self._places: list[str] = []
        self._gates: list[tuple[Tensor, Operation]] = []

    @contextmanager
    def located(self, model: nn.Module) -> Iterator[None]:
        """Take the modules of a network as places of what they call."""
        with ExitStack() as hooks:
            for name, module in model.named_modules():
                where = f"module {name!r}" if name else "the network itself"
                enter = partial(self._enter, f"{where}, {type_with_article(module)}")
                hooks.callback(module.register_forward_pre_hook(enter).remove)
                leave = module.register_forward_hook(self._leave, always_call=True)
                hooks.callback(leave.remove)
            yield

    def _enter(self, place: str, *_: object) -> None:
        self._places.append(place)

    def _leave(self, *_: object) -> None:
        self._places.pop()

    def __torch_function__(
        self,
        function: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: Arguments = (),
        kwargs: Options | None = None,
    ) -> Any:  # noqa: ANN401
        options = kwargs or {}
        name, given = function_name(function), dependent_tensors([*args, *(kwargs or {}).values()])
        problem = _problem(name, args, options)
        result = function(*args, **options)
        if given and dependent_tensors([result]):
            self._follow_gates(name, given, result)
            place = self._places[-1] if self._places else "the network itself"
            self.operations.append(Operation(name=name, place=place, problem=problem))
            if name in GATES:
                self._gates.append((result, self.operations[-1]))
        return result

    def _follow_gates(self, name: str, given: Sequence[Tensor], result: Any) -> None:  # noqa: ANN401
        for gate, operation in tuple(self._gates):
            if not any(tensor is gate for tensor in given) or name in PRODUCTS:
                continue
            if name in _VIEWS:
                self._gates += [(one, operation) for one in dependent_tensors([result])]
            else:
                self.operations.append(replace(operation, problem="activation"))


def _problem(
    name: str, args: Arguments, options: Options
) -> Literal["product", "cut", "activation"] | None:
    if is_nonlinear_product(name, args, options):
        return "product"
    if name not in ("clamp", "clip", "clamp_min", "clamp_max"):
        return None
    given = dict(zip(("input", "min", "max"), args, strict=False)) | options
    if name == "clamp_max":
        given["max"] = given.get("max", given.get("min"))
    is_relu = given.get("max") is None and isinstance(given.get("min"), int | float)
    return None if is_relu and given["min"] == 0 else "cut"  # clamp(min=0) is ReLU
