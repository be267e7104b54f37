"""How many passes each method adds to a plain step, by what its algorithm needs.

The limit is the algorithm's, whoever computes it: Challenger with an attribution of another
library has that of Challenger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from trainables.benchmark.operations import Passes
from trainables.errors import ConfigError
from trainables.methods import Challenger, Fgsm, MethodConfig, Pgd
from trainables.methods.attack import attacked_count
from trainables.methods.challenge import shares


def passes_of(method: MethodConfig, batch_size: int) -> Passes:
    """Give the passes of one step of a method beyond the plain ones.

    Args:
        method: Method and its settings.
        batch_size: Samples of the step.

    Raises:
        ConfigError: If nobody has counted the method's passes.
    """
    count = _PASSES.get(method.name)
    if count is None:
        raise ConfigError(
            f"the passes of method {method.name!r} must be counted in "
            f"trainables/benchmark/passes.py, which knows {', '.join(sorted(_PASSES))}; add it."
        )
    return count(method, batch_size)


def _none(_method: MethodConfig, _batch_size: int) -> Passes:
    return Passes()


def _challenged(method: Challenger, batch_size: int) -> Passes:
    parts = shares(batch_size, method.split, method.a_share)
    return Passes(explained=parts.challenged)


def _attacked(method: Fgsm, batch_size: int) -> Passes:
    return Passes(explained=attacked_count(batch_size, method.split))


def _attacked_in_steps(method: Pgd, batch_size: int) -> Passes:
    return Passes(explained=method.steps * attacked_count(batch_size, method.split))


def _all(_method: MethodConfig, batch_size: int) -> Passes:
    return Passes(explained=batch_size)


def _all_and_masked(_method: MethodConfig, batch_size: int) -> Passes:
    return Passes(explained=batch_size, trained=batch_size)


# Each takes the settings of the method whose name it stands under.
_PASSES: Mapping[str, Callable[[Any, int], Passes]] = MappingProxyType(
    {
        "base": _none,
        "base_finetune": _none,
        "challenger": _challenged,
        "cutmix": _none,
        "fgsm": _attacked,
        "mixup": _none,
        "pgd": _attacked_in_steps,
        "random": _none,
        "random_erasing": _none,
        "reldrop": _all,
        "saliency_guided": _all_and_masked,
    }
)
