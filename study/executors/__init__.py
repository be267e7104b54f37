"""Executors: who trains the trials that the conductor hands out.

An executor is a function ``run(conductor, surroundings)`` that returns when the conductor is
done or the user interrupts it. One file per executor and one line in ``EXECUTORS``.
"""

from collections.abc import Callable, Mapping

from study.conductor import Conductor
from study.executors.inline import run_inline
from study.executors.machine import require_gpus
from study.executors.surroundings import Surroundings
from study.executors.tune import run_on_ray

EXECUTORS: Mapping[str, Callable[[Conductor, Surroundings], None]] = {
    "inline": run_inline,
    "ray": run_on_ray,
}

__all__ = ["EXECUTORS", "Surroundings", "require_gpus", "run_inline", "run_on_ray"]
