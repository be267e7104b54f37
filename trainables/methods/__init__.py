"""Methods, which change a batch before a training step.

A method is a record of its settings with ``perturb(model, batch, rng)`` and, unless it accepts
every dataset, ``check(info)``. One file per method and one name in ``METHODS``; study files,
search spaces, labels and the schema follow.
"""

from typing import Annotated, TypeAlias

from trainables.batch import Batch
from trainables.fields import OneOf
from trainables.methods.base import Base, BaseFinetune
from trainables.methods.challenger import Challenger
from trainables.methods.cutmix import Cutmix
from trainables.methods.fgsm import Fgsm
from trainables.methods.method import Method
from trainables.methods.mixup import Mixup
from trainables.methods.pgd import Pgd
from trainables.methods.random import Random
from trainables.methods.random_erasing import RandomErasing
from trainables.methods.reldrop import RelDrop
from trainables.methods.saliency_guided import SaliencyGuided

METHODS: dict[str, type[Method]] = {
    kind.name: kind
    for kind in (
        Base,
        BaseFinetune,
        Random,
        Challenger,
        Fgsm,
        Pgd,
        Mixup,
        Cutmix,
        RandomErasing,
        RelDrop,
        SaliencyGuided,
    )
}
MethodConfig: TypeAlias = Annotated[Method, OneOf(METHODS)]

__all__ = [
    "METHODS",
    "Base",
    "BaseFinetune",
    "Batch",
    "Challenger",
    "Cutmix",
    "Fgsm",
    "Method",
    "MethodConfig",
    "Mixup",
    "Pgd",
    "Random",
    "RandomErasing",
    "RelDrop",
    "SaliencyGuided",
]
