"""Methods: how a batch is changed before the step is taken on it.

A method is a frozen dataclass of its settings with ``check(info)`` and ``perturb(model, batch,
draws)``. One file per method and one name in ``MethodConfig``; the rest follows.
"""

from typing import TypeAlias, get_args

from trainables.batch import Batch
from trainables.methods.base import Base, BaseFinetune
from trainables.methods.challenger import Challenger
from trainables.methods.cutmix import Cutmix
from trainables.methods.fgsm import Fgsm
from trainables.methods.mixup import Mixup
from trainables.methods.pgd import Pgd
from trainables.methods.random import Random
from trainables.methods.random_erasing import RandomErasing
from trainables.methods.reldrop import RelDrop
from trainables.methods.saliency_guided import SaliencyGuided

MethodConfig: TypeAlias = (
    Base
    | BaseFinetune
    | Random
    | Challenger
    | Fgsm
    | Pgd
    | Mixup
    | Cutmix
    | RandomErasing
    | RelDrop
    | SaliencyGuided
)

METHODS = {kind.name: kind for kind in get_args(MethodConfig)}

__all__ = [
    "METHODS",
    "Base",
    "BaseFinetune",
    "Batch",
    "Challenger",
    "Cutmix",
    "Fgsm",
    "MethodConfig",
    "Mixup",
    "Pgd",
    "Random",
    "RandomErasing",
    "RelDrop",
    "SaliencyGuided",
]
