"""Models: architectures as settings that build a network.

A model is a record with ``build(info, generator)``. One file per family and one name per
architecture in ``MODELS``.
"""

from typing import Annotated, TypeAlias

from trainables.fields import OneOf
from trainables.models.fcn_wang import FcnWang
from trainables.models.mlp import Mlp
from trainables.models.model import Model, Network
from trainables.models.module_model import ModuleModel
from trainables.models.text_cnn import TextCnn
from trainables.models.torchvision_model import TorchvisionModel
from trainables.models.vgg import Vgg11, Vgg16

MODELS: dict[str, type[Model]] = {
    kind.name: kind
    for kind in (FcnWang, Mlp, ModuleModel, TextCnn, TorchvisionModel, Vgg11, Vgg16)
}
ModelConfig: TypeAlias = Annotated[Model, OneOf(MODELS)]

__all__ = [
    "MODELS",
    "FcnWang",
    "Mlp",
    "Model",
    "ModelConfig",
    "ModuleModel",
    "Network",
    "TextCnn",
    "TorchvisionModel",
    "Vgg11",
    "Vgg16",
]
