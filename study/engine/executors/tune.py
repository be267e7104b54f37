"""The Ray executor: as many trials at a time as fit on the cluster, each in its own process.

Tune schedules trials, restarts lost ones and applies schedulers. Its experiment folder is
scratch: a study that continues starts a new Tune run, whose searcher assigns the unfinished
trials first; see ARCHITECTURE.md for why ``Tuner.restore`` is not used.

Tune runs in a thread of its own, because a call to a Ray whose head is gone does not return. The
main thread handles signals, monitors the head, and leaves in time whatever Ray does.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from cluster.errors import ClusterError
from cluster.head import HeadMonitor
from cluster.nodes import NodeRequirements, require_nodes
from cluster.session import ray_session, require_resources
from study.engine.coordinator import TrialCoordinator
from study.engine.executors.slots import ClusterQuota, cluster_quota, ray_resources
from study.engine.protocol import ExecutionContext
from study.engine.status import ready_message
from trainables.code_digest import code_digest

if TYPE_CHECKING:
    from ray.tune import Trainable, Tuner
    from ray.tune.experiment import Trial

# Tune ends within four seconds, unless Ray does not answer.
_STOP_TIMEOUT_S: Final = 5.5
_POLL_S: Final = 0.1


def _challenger_trainable() -> type[Trainable]:
    from trainables.ray_trainable import ChallengerTrainable

    return ChallengerTrainable


def run_on_ray(
    coordinator: TrialCoordinator,
    context: ExecutionContext,
    trainable: Callable[[], type[Trainable]] = _challenger_trainable,
    *,
    cpus: int | None = None,
) -> None:
    """Train until the coordinator is done or the run is interrupted.

    Args:
        coordinator: Assigns the trials.
        context: What they need.
        trainable: Imports the trainable, once Ray may be imported; benchmarks have their own.
        cpus: CPUs of a Ray of the study's own; None for all of this machine.

    Raises:
        ClusterError: If no Ray answers, or its head is lost, or no node can ever hold a trial.
    """
    with ray_session(context.address, cpus) as head:
        require_resources(ray_resources(context.spec.resources))
        if context.address is not None:
            _require_nodes(coordinator, context)
        with cluster_quota(coordinator, context) as quota:
            _run_tune(_tuner(coordinator, context, quota, trainable()), coordinator, head)


def _require_nodes(coordinator: TrialCoordinator, context: ExecutionContext) -> None:
    root = context.data.root
    requirements = NodeRequirements(
        storage=context.stop_file.parent,
        code=code_digest,
        readable=() if root is None else (root,),
    )
    n_nodes = require_nodes(requirements, lambda: coordinator.is_stopping)
    if not coordinator.is_stopping:
        context.notify(ready_message(n_nodes))


def _tuner(
    coordinator: TrialCoordinator,
    context: ExecutionContext,
    quota: ClusterQuota,
    trainable: type[Trainable],
) -> Tuner:
    from ray import tune

    from study.engine.executors.tune_callbacks import StudyCallback
    from study.engine.executors.tune_scheduler import StudyScheduler, asha_schedulers
    from study.engine.executors.tune_searcher import CoordinatorSearcher

    resources = context.spec.resources
    shutil.rmtree(context.scratch, ignore_errors=True)
    return tune.Tuner(
        tune.with_resources(trainable, tune.PlacementGroupFactory([ray_resources(resources)])),
        tune_config=tune.TuneConfig(
            search_alg=CoordinatorSearcher(coordinator, context, quota),
            scheduler=StudyScheduler(asha_schedulers(context.spec, coordinator), quota),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(context.scratch),
            verbose=0,
            # Checkpoints are the trials' own.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            callbacks=[StudyCallback(coordinator, quota)],
        ),
    )


def _run_tune(tuner: Tuner, coordinator: TrialCoordinator, head: HeadMonitor) -> None:
    from study.engine.executors.tune_callbacks import RunStoppedError

    ended: Future[Any] = Future()

    def work() -> None:
        try:
            ended.set_result(tuner.fit())
        except BaseException as error:
            # The border of the thread: raised in the main thread.
            ended.set_exception(error)

    threading.Thread(target=work, name="tune", daemon=True).start()
    try:
        _wait(ended, coordinator, head)
    except ClusterError as error:
        # Trials on reachable nodes write their checkpoints.
        coordinator.stop()
        raise ClusterError(f"{error} Nothing is lost: the same command goes on.") from None
    finally:
        if not ended.done():
            head.mark_lost()
    if ended.done() and not isinstance(ended.exception(), RunStoppedError):
        ended.result()


def _wait(ended: Future[Any], coordinator: TrialCoordinator, head: HeadMonitor) -> None:
    """Wait for the end of Tune, and after a stop only for the time that it should take."""
    stopping_since: float | None = None
    while not ended.done():
        if coordinator.is_stopping:
            stopping_since = stopping_since or time.monotonic()
            if time.monotonic() - stopping_since > _STOP_TIMEOUT_S:
                return
        else:
            head.check()
        time.sleep(_POLL_S)


def _trial_name(trial: Trial) -> str:
    return str(trial.config["key"]).replace("/", "-")
