"""Train one trial after the other in this process, without Ray."""

from __future__ import annotations

import logging

import torch

from study.conductor import Assignment, Conductor
from study.executors.machine import require_gpus
from study.executors.surroundings import Surroundings
from trainables.errors import TrainableError
from trainables.trial import TrialPlace, run_trial

logger = logging.getLogger(__name__)


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
    device = torch.device("cuda" if resources.gpus else "cpu")
    torch.set_num_threads(resources.cpus)
    while isinstance(assignment := conductor.next(), Assignment):
        place = TrialPlace(folder=assignment.folder, data=surroundings.data, device=device)
        try:
            for report in run_trial(assignment.config, place):
                conductor.report(assignment.key, report)
        except TrainableError as error:
            conductor.fail(assignment.key, str(error))
        else:
            conductor.finish(assignment.key)
