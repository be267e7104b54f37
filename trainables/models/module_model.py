"""A network of a user's own, built by a function that is named by its import path."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import field
from typing import Annotated, Any, ClassVar, TypeAlias

import torch
from pydantic import AfterValidator, Field
from torch import nn

from trainables.datasets import DatasetInfo
from trainables.decoding import record, shown
from trainables.errors import ConfigError
from trainables.fields import Kinds
from trainables.models.initialization import seeded_build
from trainables.models.model import Pretrained
from trainables.models.weights import load_weights, read_weights

Argument: TypeAlias = (
    bool
    | Annotated[int, Field(ge=-(10**12), le=10**12)]
    | Annotated[float, Field(ge=-1e12, le=1e12)]
    | str
    | None
)
Arguments: TypeAlias = dict[
    str,
    Annotated[
        Argument | tuple[Argument, ...],
        Kinds("a number up to 1e12, a text, true, false, null or a list of these"),
    ],
]


def _importable(factory: str) -> str:
    module, _, function = factory.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *function.split(".")]):
        raise ConfigError(f" must be 'module:function', got {shown(factory)}.")
    return factory


@record
class ModuleModel(Pretrained):
    """A network from a function of a plug-in or an installed module: ``build(info, **arguments)``.

    ``info`` is the :class:`~trainables.datasets.DatasetInfo` of the data; the arguments are the
    further keys of the model in the study file. Random weights are drawn from torch's global
    generator, which is seeded for the call.

    Attributes:
        factory: Where the function is: ``my_net:build``.
        arguments: Its further arguments; in a study file they stand beside ``factory``.
        weights: File of pretrained weights, relative to the study file; null for those that the
            function gives.
    """

    name: ClassVar[str] = "module"
    further: ClassVar[str] = "arguments"
    factory: Annotated[str, AfterValidator(_importable)]
    arguments: Arguments = field(default_factory=dict, hash=False)

    @property
    def description(self) -> str:
        """Import path and arguments."""
        given = ", ".join(f"{key} {value}" for key, value in self.arguments.items())
        return f"{self.factory}, {given}" if given else self.factory

    def build(self, info: DatasetInfo, generator: torch.Generator) -> nn.Module:
        """Return the function's network, with the weights of the file if there is one.

        Raises:
            ConfigError: If it cannot be imported, raises an error, or returns no network that
                gives a logit per class.
        """
        function = self._function()
        with seeded_build(generator):
            network = self._called(lambda: function(info, **self.arguments))
            if not isinstance(network, nn.Module):
                what = f"factory {self.factory!r} must return a torch.nn.Module"
                raise ConfigError(f"{what}, got {shown(network)}.")
            training = network.training
            with torch.no_grad():
                zeros = torch.zeros(1, *info.input_shape)
                logits = self._called(lambda: network.eval()(zeros))
            network.train(training)
        wanted = (1, info.n_classes)
        if not isinstance(logits, torch.Tensor) or logits.shape != wanted:
            came = (
                tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            )
            raise ConfigError(
                f"the network of factory {self.factory!r} must give logits {wanted} for inputs "
                f"{(1, *info.input_shape)}, got {came}."
            )
        if self.weights is not None:
            load_weights(network, read_weights(self.weights), self.weights)
        return network

    def _function(self) -> Callable[..., Any]:
        module, _, path = self.factory.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"factory {self.factory!r} is not to be found: {error}; name its file under "
                "'plugins', or install its module."
            ) from None
        if not callable(found):
            raise ConfigError(f"factory {self.factory!r} must be a function, got {shown(found)}.")
        return found  # type: ignore[no-any-return]

    def _called(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 (a user's code)
        try:
            return call()
        except ConfigError:
            raise
        except Exception as error:
            # A user's code may raise anything; its line is what the user needs.
            last = traceback.extract_tb(sys.exc_info()[2])[-1]
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ConfigError(
                f"factory {self.factory!r} failed at {last.filename}:{last.lineno}: {what}"
            ) from error
