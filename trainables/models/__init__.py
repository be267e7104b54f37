"""Models: architectures as settings that build a network.

A model is a frozen dataclass with ``build(info, generator)``. One file per family and one name
per architecture in ``ModelConfig``.
"""

from typing import TypeAlias, get_args

from trainables.models.fcn_wang import FcnWang
from trainables.models.text_cnn import TextCnn
from trainables.models.vgg import Vgg11, Vgg16

ModelConfig: TypeAlias = FcnWang | TextCnn | Vgg11 | Vgg16

MODELS = {kind.name: kind for kind in get_args(ModelConfig)}

__all__ = ["MODELS", "FcnWang", "ModelConfig", "TextCnn", "Vgg11", "Vgg16"]
