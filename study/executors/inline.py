"""Train one trial after the other in this process, without Ray."""

from __future__ import annotations

import logging
import time
from typing import Final

import torch

from study.conductor import Conductor
from study.errors import StoreError
from study.executors.machine import require_gpus
from study.executors.surroundings import Surroundings
from study.handout import Assignment, Wait
from trainables.errors import StoppedError, StorageError, TrainableError
from trainables.trial import TrialPlace, run_trial

logger = logging.getLogger(__name__)

_PAUSE_S: Final = 0.2


def run_inline(conductor: Conductor, surroundings: Surroundings) -> None:
    """Work until the conductor is done.

    A trial's result is that of the same trial on Ray; schedulers, which are Ray's, stop nothing.

    Raises:
        ClusterError: If trials ask for a GPU and there is none.
    """
    resources = surroundings.spec.resources
    require_gpus(resources)
    if any(arm.search.scheduler != "none" for arm in surroundings.spec.arms):
        logger.warning("executor inline has no schedulers: every trial uses its full budget.")
    if resources.memory_gib is not None or resources.custom:
        logger.warning(
            "executor inline places nothing: resources.memory_gib and resources.custom are not "
            "looked at."
        )
    device = torch.device("cuda" if resources.gpus else "cpu")
    torch.set_num_threads(resources.cpus)
    while isinstance(step := conductor.next(), Assignment | Wait):
        if isinstance(step, Wait):
            # The database does not answer, and there is no other trial to wait for.
            time.sleep(_PAUSE_S)
        else:
            _train(conductor, step, surroundings, device)


def _train(
    conductor: Conductor, assignment: Assignment, surroundings: Surroundings, device: torch.device
) -> None:
    place = TrialPlace(
        folder=assignment.folder,
        data=surroundings.data,
        device=device,
        stop_file=surroundings.stop_file,
        timeout_s=surroundings.spec.resources.timeout_s,
        gpu_share=surroundings.spec.resources.gpus,
        joining=surroundings.spec.resources.join_replicas,
    )
    try:
        for report in run_trial(assignment.config, place):
            conductor.report(assignment.key, report)
    except StoppedError:
        return
    except StorageError as error:
        conductor.stop(StoreError(str(error)))
    except TrainableError as error:
        conductor.fail(assignment.key, str(error))
    else:
        conductor.finish(assignment.key)
