"""The study that blows are struck at, made as long as they last."""

from __future__ import annotations

import math
from importlib.resources import files
from typing import Final

import yaml

NAME: Final = "chaos"
# One search trial of each arm with its starts after blows takes 20 to 40 s on two cores. Too
# many trials would train on when the blows are long over; of too few, more are made.
_ROUND_S: Final = 40.0
_LEAST: Final = 3


def first_trials(seconds: float) -> int:
    """Give how many search trials an arm begins with; more are added if they end too soon."""
    return max(_LEAST, math.ceil(seconds / _ROUND_S))


def more_trials(trials: int, elapsed_s: float, seconds: float) -> int:
    """Give how many search trials an arm needs to last, if so many lasted so long.

    Example:
        >>> more_trials(6, elapsed_s=100, seconds=180)
        11
    """
    return max(trials + 1, math.ceil(trials * seconds / max(elapsed_s, 1.0)))


def study_text(trials: int, seed: int) -> str:
    """Write the study file.

    Args:
        trials: Search trials per arm.
        seed: The study's.
    """
    preset = files("study.chaos") / "study.yaml"
    study = yaml.safe_load(preset.read_text(encoding="utf-8"))
    study["seed"] = seed
    study["defaults"]["search"]["trials"] = trials
    return yaml.safe_dump(study, sort_keys=False)
