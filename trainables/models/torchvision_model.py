"""torchvision's classifiers, their first layer and head fitted to the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.models.initialization import seeded_build
from trainables.models.model import Pretrained
from trainables.models.weights import load_weights, read_weights
from trainables.names import suggestion


@record
class TorchvisionModel(Pretrained):
    """A classifier of torchvision by name, with as many channels and classes as the data has.

    Weights of another number of channels are averaged over the channels, so that gray images give
    the responses of colored ones; of another number of classes, the last layer is drawn again; and
    position embeddings of another image size are interpolated.

    Attributes:
        architecture: Name in torchvision, such as ``resnet18``, ``convnext_tiny`` or ``vit_b_16``.
        weights: File of pretrained weights, relative to the study file; null for fresh ones.
        stem: ``published``, or ``small_images`` for a ResNet whose first convolution is 3 × 3 and
            keeps the grid, with no pool behind it, as is usual for images of 32 × 32.
        image_size: Side to which the network enlarges its images, bilinearly; null for none.
    """

    name: ClassVar[str] = "torchvision"
    architecture: str = "resnet18"
    stem: Literal["published", "small_images"] = "published"
    image_size: Annotated[int, Field(ge=1, le=1024)] | None = None

    @property
    def description(self) -> str:
        """Name of the architecture."""
        return self.architecture

    def build(self, info: DatasetInfo, generator: torch.Generator) -> nn.Module:
        """Return a freshly initialized network, or one with the weights of the file.

        Raises:
            ConfigError: If the architecture is not known, does not take such images, or has other
                weights than the file.
        """
        if info.domain != "image":
            raise ConfigError(
                f"torchvision's classifiers take images, but the dataset gives samples of domain "
                f"{info.domain!r} and shape {info.input_shape}; choose another model."
            )
        with seeded_build(generator):
            network = self._fitted(info)
        if self.weights is not None:
            load_weights(network, self._weights_for(network), self.weights)
        built = network if self.image_size is None else Enlarged(network, self.image_size)
        _try_on(built, info, self.architecture)
        return built

    def _fitted(self, info: DatasetInfo) -> nn.Module:
        builder = _builder(self.architecture)
        options: dict[str, Any] = {"num_classes": info.n_classes}
        if self.architecture in ("googlenet", "inception_v3"):
            # Auxiliary classifiers are further outputs in train mode.
            options |= {"aux_logits": False, "init_weights": True}
        if self.architecture.startswith("vit_"):
            options["image_size"] = self.image_size or max(info.input_shape[1:])
        try:
            network = builder(weights=None, **options)
        except (ValueError, AssertionError) as error:
            raise _misfit(self.architecture, info, error) from None
        if self.stem == "small_images":
            _make_stem_small(network, self.architecture)
        first = _first_convolution(network)
        if network.get_parameter(f"{first}.weight").shape[1] != info.input_shape[0]:
            _replace_convolution(network, first, in_channels=info.input_shape[0])
        return network

    def _weights_for(self, network: nn.Module) -> dict[str, Tensor]:
        assert self.weights is not None
        own, given = network.state_dict(), read_weights(self.weights)
        given = {key: value for key, value in given.items() if not _is_auxiliary(key, own)}
        first = f"{_first_convolution(network)}.weight"
        if first in given and _differs_in_channels(given[first], own[first]):
            mean = given[first].mean(1, keepdim=True) * given[first].shape[1]
            given[first] = (mean / own[first].shape[1]).expand_as(own[first]).clone()
        given = _with_positions(network, given)
        # The last layer alone may have another number of classes.
        for key in list(own)[-2:]:
            if key in given and given[key].shape[1:] == own[key].shape[1:]:
                is_other = given[key].shape != own[key].shape
                given[key] = own[key] if is_other else given[key]
        return given


class Enlarged(nn.Module):
    """A network behind a bilinear enlargement of its images, which is linear in the pixels."""

    def __init__(self, network: nn.Module, size: int) -> None:
        """Wrap a network that takes images of ``size`` × ``size``."""
        super().__init__()
        self.network, self.size = network, size

    def forward(
        self, inputs: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits."""
        size = (self.size, self.size)
        larger = functional.interpolate(inputs, size, mode="bilinear", align_corners=False)
        return self.network(larger)  # type: ignore[no-any-return]


def _builder(architecture: str) -> Callable[..., nn.Module]:
    from torchvision import models  # takes seconds to import

    known = models.list_models(module=models)
    if architecture not in known:
        raise ConfigError(
            f"architecture is {architecture!r}, which is not known; "
            f"{suggestion(architecture, known)}"
        )
    builder: Callable[..., nn.Module] = models.get_model_builder(architecture)
    return builder


def _try_on(network: nn.Module, info: DatasetInfo, architecture: str) -> None:
    """Raise a ConfigError if a network does not take such images."""
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *info.input_shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _misfit(architecture, info, error) from None
    network.train(training)


def _misfit(architecture: str, info: DatasetInfo, error: Exception) -> ConfigError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1].rstrip(".!")
    return ConfigError(
        f"architecture {architecture!r} does not take images of shape {info.input_shape}: "
        f"{reason}; set 'image_size', or choose another."
    )


def _first_convolution(network: nn.Module) -> str:
    # Every classifier of torchvision begins with one.
    layers = network.named_modules()
    return str(next(name for name, layer in layers if isinstance(layer, nn.Conv2d)))


def _replace_convolution(network: nn.Module, name: str, **changes: Any) -> None:  # noqa: ANN401
    old: Any = network.get_submodule(name)
    settings = {
        "in_channels": old.in_channels, "out_channels": old.out_channels,
        "kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding,
        "bias": old.bias is not None,
    }  # fmt: skip
    network.set_submodule(name, nn.Conv2d(**{**settings, **changes}))


def _make_stem_small(network: nn.Module, architecture: str) -> None:
    if not architecture.startswith(("resnet", "resnext", "wide_resnet")):
        raise ConfigError(
            f"stem is 'small_images', which {architecture!r} does not have; write 'published', or "
            "choose a ResNet."
        )
    _replace_convolution(network, "conv1", kernel_size=3, stride=1, padding=1)
    network.maxpool = nn.Identity()


def _is_auxiliary(key: str, own: dict[str, Tensor]) -> bool:
    return key not in own and key.lower().startswith(("aux1.", "aux2.", "auxlogits."))


def _differs_in_channels(given: Tensor, own: Tensor) -> bool:
    return given.shape != own.shape and (given.shape[0], *given.shape[2:]) == (
        own.shape[0],
        *own.shape[2:],
    )


def _with_positions(network: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:  # noqa: ANN401
    key = "encoder.pos_embedding"
    if key not in given or given[key].shape == network.state_dict().get(key, given[key]).shape:
        return given
    from torchvision.models.vision_transformer import interpolate_embeddings

    found: dict[str, Tensor] = interpolate_embeddings(
        network.image_size, network.patch_size, dict(given)
    )
    return found
