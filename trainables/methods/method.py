"""The base class of methods, and what a method changed in a batch of a loop of one's own."""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trainables.batch import Batch, Labels, check_batch, is_multi_label
from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.replica_rng import ReplicaRNG


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """A changed batch, and what was changed in it.

    Attributes:
        inputs: Inputs of the training step.
        targets: Its targets; class probabilities if the method mixes samples.
        features: Inputs that differ from those given.
        extra_loss: Function of the model and of the logits of ``inputs`` to a summand of each
            sample's loss, or None.
        metrics: Numbers of the method about this batch, such as ``drop_rate``.
    """

    inputs: Float[Tensor, "batch channel *grid"]
    targets: Labels
    features: Bool[Tensor, "batch channel *grid"]
    extra_loss: Callable[[nn.Module, Tensor], Float[Tensor, " batch"]] | None
    metrics: Mapping[str, Float[Tensor, ""]]

    @property
    def samples(self) -> Bool[Tensor, " batch"]:
        """Samples of which any feature was changed."""
        return self.features.flatten(1).any(1)


@record
class Method(ABC):
    """A change of batches before a training step, as settings.

    A class has a ``name`` for study files and a ``label`` for figures. The annotations of its
    fields (see :mod:`trainables.fields`) are its search space. In a training loop of one's own a
    method is called (:meth:`__call__`, :meth:`change`); the loop of this package calls
    :meth:`perturb`.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @property
    def passes(self) -> float:
        """Passes over a batch, forward and backward, of a training step, its own included."""
        return 1.0

    def check(self, info: DatasetInfo) -> None:  # noqa: B027 (a method may accept every dataset)
        """Accept every dataset.

        Raises:
            ConfigError: If the settings do not fit it; the message starts with the setting.
        """

    def idle_reason(self, batch_size: int) -> str | None:  # noqa: ARG002 (other methods)
        """Return why a batch of that size would be left as it is; None if it is changed."""
        return None

    @abstractmethod
    def perturb(self, model: nn.Module, batch: Batch, rng: ReplicaRNG) -> Batch:
        """Change a shuffled batch of one or several replicas."""

    def __call__(
        self,
        model: nn.Module,
        inputs: Float[Tensor, "batch channel *grid"],
        targets: Labels,
        *,
        generator: torch.Generator,
        valid_mask: Bool[Tensor, "batch first *rest"] | None = None,
    ) -> Float[Tensor, "batch channel *grid"]:
        """Return the inputs of a training step, in any training loop.

        The model's mode, weights, gradients and batch statistics are left untouched. It may be
        compiled, or be under ``DistributedDataParallel``: attributions run the network inside.

        Args:
            model: Network that maps ``inputs`` to logits ``(batch, n_classes)``.
            inputs: Shuffled samples on any device and in any floating-point precision, as the
                network takes them: settings such as α and β are in their units.
            targets: A class index per sample; where a sample may have several classes, 0.0 or 1.0
                per class.
            generator: Source of all random numbers. If it belongs to another device than the
                samples, it seeds one of theirs at every call.
            valid_mask: False at padding, which is neither chosen nor changed; None if there is
                none.

        Raises:
            ConfigError: If the settings do not fit the samples or the classes, if the attribution
                does not explain the model (looked at once per model), or if the method also
                changes the targets or the loss: see :meth:`change`.
        """
        changed = self.change(model, inputs, targets, generator=generator, valid_mask=valid_mask)
        if changed.targets is not targets or changed.extra_loss is not None:
            what = "the loss" if changed.extra_loss is not None else "the targets"
            raise ConfigError(
                f"method {self.name} changes {what} too, so its inputs alone must not be used; "
                "call its 'change', whose result holds both."
            )
        return changed.inputs

    def _check_attribution(self, model: nn.Module, inputs: Tensor) -> None:
        attribution = getattr(self, "attribution", None)
        known = _EXPLAINED.setdefault(model, set())
        if attribution is not None and attribution not in known:
            attribution.check(model, inputs)
            known.add(attribution)

    def change(
        self,
        model: nn.Module,
        inputs: Float[Tensor, "batch channel *grid"],
        targets: Labels,
        *,
        generator: torch.Generator,
        valid_mask: Bool[Tensor, "batch first *rest"] | None = None,
    ) -> Change:
        """Return the batch of a training step, and which samples and features were changed.

        The arguments are those of :meth:`__call__`. A batch too small for the method is left as it
        is, with a warning.
        """
        check_batch(inputs, targets, valid_mask)
        if isinstance(model, nn.parallel.DistributedDataParallel):
            # Its forward pass expects a backward pass to the weights.
            model = model.module
        self._check_attribution(model, inputs)
        self.check(_info_of(inputs, targets))
        reason = self.idle_reason(len(inputs))
        if reason is not None:
            warnings.warn(f"method {self.name}: {reason}.", stacklevel=2)
        batch = Batch(inputs=inputs, targets=targets, valid_mask=valid_mask)
        rng = ReplicaRNG.of(_on_device(generator, inputs.device))
        result = self.perturb(model, batch, rng)
        return Change(
            inputs=result.inputs,
            targets=result.targets,
            features=result.inputs != inputs,
            extra_loss=result.extra_loss,
            metrics={key: value.squeeze(0) for key, value in result.train_metrics.items()},
        )


# What explains which network, looked at once for each: its layers seldom change.
_EXPLAINED: WeakKeyDictionary[nn.Module, set[object]] = WeakKeyDictionary()


def _info_of(inputs: Tensor, targets: Tensor) -> DatasetInfo:
    # The number of exclusive classes is known from the logits alone, and checked there.
    return DatasetInfo(
        n_classes=targets.shape[1] if is_multi_label(targets) else sys.maxsize,
        input_shape=tuple(inputs.shape[1:]),
        domain="image" if inputs.ndim == 4 else "series",
        is_multi_label=is_multi_label(targets),
    )


def _on_device(generator: torch.Generator, device: torch.device) -> torch.Generator:
    if generator.device.type == device.type:
        return generator
    drawn = torch.randint(2**62, (), generator=generator, device=generator.device)
    return torch.Generator(device).manual_seed(int(drawn))
