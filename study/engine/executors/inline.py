"""The inline executor: one trial after the other in this process, without Ray."""

from __future__ import annotations

import logging
import time
from typing import Final

import torch

from cluster.errors import ClusterError
from study.config.schema import Resources
from study.engine.coordinator import TrialCoordinator
from study.engine.protocol import ExecutionContext, TrialAssignment, Wait
from study.records.errors import StoreError
from trainables.errors import StoppedError, StorageError, TrainableError
from trainables.trial import TrialContext, run_trial


def require_gpus(resources: Resources) -> None:
    """Raise a ClusterError if this machine has fewer GPUs than a trial needs."""
    if resources.gpus > torch.cuda.device_count():
        raise ClusterError(
            f"resources.gpus is {resources.gpus:g}, but this machine has "
            f"{torch.cuda.device_count()} GPUs; set it to 0 or use another machine."
        )


logger = logging.getLogger(__name__)

_POLL_S: Final = 0.2
_LONGEST_REASON: Final = 300


def run_inline(coordinator: TrialCoordinator, context: ExecutionContext) -> None:
    """Train until the coordinator is done.

    A trial's result is that of the same trial on Ray; schedulers, which are Ray's, prune nothing.

    Raises:
        ClusterError: If trials need a GPU and there is none.
    """
    resources = context.spec.resources
    require_gpus(resources)
    if any(arm.search.scheduler != "none" for arm in context.spec.arms):
        logger.warning("executor inline has no schedulers: every trial uses its full budget.")
    if resources.memory_gib is not None or resources.custom:
        logger.warning(
            "executor inline reserves nothing: it ignores resources.memory_gib and "
            "resources.custom."
        )
    device = torch.device("cuda" if resources.gpus else "cpu")
    torch.set_num_threads(resources.cpus)
    while isinstance(step := coordinator.ask(), TrialAssignment | Wait):
        if isinstance(step, Wait):
            # The database is unavailable, and no other trial runs.
            time.sleep(_POLL_S)
        else:
            _train(coordinator, step, context, device)


def _train(
    coordinator: TrialCoordinator,
    assignment: TrialAssignment,
    context: ExecutionContext,
    device: torch.device,
) -> None:
    trial_context = TrialContext(
        folder=assignment.folder,
        data=context.data,
        device=device,
        stop_file=context.stop_file,
        timeout_s=context.spec.resources.timeout_s,
        gpu_share=context.spec.resources.gpus,
        replica_mode=context.spec.resources.replica_mode,
        keep_weights=context.spec.resources.keep_models != "none",
    )
    try:
        for report in run_trial(assignment.config, trial_context):
            coordinator.report(assignment.key, report)
    except StoppedError:
        return
    except StorageError as error:
        coordinator.stop(StoreError(str(error)))
    except TrainableError as error:
        coordinator.tell_failure(assignment.key, str(error))
    except Exception as error:
        # The border of a trial: what no check foresaw fails this one alone, as on Ray.
        logger.exception("%s failed", assignment.key)
        said = " ".join(str(error).split())[:_LONGEST_REASON]
        reason = f"the trial's process failed: {type(error).__name__}: {said}"
        coordinator.tell_failure(assignment.key, reason)
    else:
        coordinator.tell(assignment.key)
