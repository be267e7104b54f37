"""Executors, which train the trials that the coordinator assigns.

An executor is a function of a coordinator and an execution context that returns when all trials
have ended or the user interrupts it: one file each, and one line in ``EXECUTORS``.
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
