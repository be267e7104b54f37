"""Executors: who trains the trials that the conductor hands out.

An executor is a function ``run(conductor, surroundings)`` that returns when the conductor is
done or the user interrupts it. One file per executor and one line in ``EXECUTORS``.
"""

from collections.abc import Callable, Mapping

from study.engine.coordinator import TrialCoordinator
from study.engine.executors.inline import require_gpus, run_inline
from study.engine.executors.tune import run_on_ray
from study.engine.protocol import ExecutionContext

EXECUTORS: Mapping[str, Callable[[TrialCoordinator, ExecutionContext], None]] = {
    "inline": run_inline,
    "ray": run_on_ray,
}

__all__ = ["EXECUTORS", "ExecutionContext", "require_gpus", "run_inline", "run_on_ray"]
