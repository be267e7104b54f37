"""Train trials with Ray Tune: as many at a time as fit on the cluster, each in its own process.

Tune places trials, starts lost ones again and applies schedulers. It does not remember: its
experiment folder is scratch. A study that is resumed starts a new Tune run, whose searcher hands
the unfinished trials out first; see ARCHITECTURE.md for why ``Tuner.restore`` is not used.

Tune runs in a thread of its own, because a call to a Ray whose head is gone does not return. The
main thread hears signals, looks after the head, and leaves when it is time, whatever Ray does.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from cluster.errors import ClusterError
from cluster.head import HeadWatch
from cluster.node_facts import Needs
from cluster.nodes import require_nodes
from cluster.session import ray_session, require_resources
from study.conductor import Conductor
from study.executors.demand import demand_of
from study.executors.surroundings import Surroundings
from study.executors.turn import Turn, turn_of
from study.ready import ready
from trainables.code import code_digest

if TYPE_CHECKING:
    from ray.tune import Trainable, Tuner
    from ray.tune.experiment import Trial

# Tune is left within four seconds, unless Ray does not answer.
_STOP_S: Final = 5.5
_PAUSE_S: Final = 0.1


def _challenger() -> type[Trainable]:
    from trainables.ray_trainable import ChallengerTrainable

    return ChallengerTrainable


def run_on_ray(
    conductor: Conductor,
    surroundings: Surroundings,
    trainable: Callable[[], type[Trainable]] = _challenger,
    *,
    cpus: int | None = None,
) -> None:
    """Work until the conductor is done or the run is interrupted.

    Args:
        conductor: Whose trials.
        surroundings: Where they run.
        trainable: Imports what trains them, once Ray may be imported; benchmarks have their own.
        cpus: CPUs of a Ray of the study's own; None for all of this machine.

    Raises:
        ClusterError: If no Ray answers, or its head is lost, or no node can ever hold a trial.
    """
    with ray_session(surroundings.address, cpus) as head:
        require_resources(demand_of(surroundings.spec.resources))
        if surroundings.address is not None:
            _require_nodes(conductor, surroundings)
        with turn_of(conductor, surroundings) as turn:
            _run_tune(_tuner(conductor, surroundings, turn, trainable()), conductor, head)


def _require_nodes(conductor: Conductor, surroundings: Surroundings) -> None:
    root = surroundings.data.root
    needs = Needs(
        storage=surroundings.stop_file.parent,
        code=code_digest,
        readable=() if root is None else (root,),
    )
    n_nodes = require_nodes(needs, lambda: conductor.is_stopping)
    if not conductor.is_stopping:
        surroundings.say(ready(n_nodes))


def _tuner(
    conductor: Conductor, surroundings: Surroundings, turn: Turn, trainable: type[Trainable]
) -> Tuner:
    from ray import tune

    from study.executors.tune_parts import ConductedSearcher, FailureNotes, LeaveWhenStopped
    from study.executors.tune_places import PlaceKeeper, PlaceNotes
    from study.executors.tune_scheduler import scheduler_for

    resources = surroundings.spec.resources
    shutil.rmtree(surroundings.scratch, ignore_errors=True)
    return tune.Tuner(
        tune.with_resources(trainable, tune.PlacementGroupFactory([demand_of(resources)])),
        tune_config=tune.TuneConfig(
            search_alg=ConductedSearcher(conductor, surroundings, turn),
            scheduler=PlaceKeeper(scheduler_for(surroundings.spec, conductor), turn),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(surroundings.scratch),
            verbose=0,
            # Checkpoints are the trials' own.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            callbacks=[
                FailureNotes(conductor),
                PlaceNotes(turn),
                LeaveWhenStopped(conductor),
            ],
        ),
    )


def _run_tune(tuner: Tuner, conductor: Conductor, head: HeadWatch) -> None:
    from study.executors.tune_parts import RunLeftError

    ended: Future[Any] = Future()

    def work() -> None:
        try:
            ended.set_result(tuner.fit())
        except BaseException as error:
            # The border of the thread: raised where it is waited for.
            ended.set_exception(error)

    threading.Thread(target=work, name="tune", daemon=True).start()
    try:
        _wait(ended, conductor, head)
    except ClusterError as error:
        # Trials on nodes that are still there write their checkpoints.
        conductor.stop()
        raise ClusterError(f"{error} Nothing is lost: the same command goes on.") from None
    finally:
        if not ended.done():
            head.give_up()
    if ended.done() and not isinstance(ended.exception(), RunLeftError):
        ended.result()


def _wait(ended: Future[Any], conductor: Conductor, head: HeadWatch) -> None:
    """Wait for the end, or, once that is asked for, for as long as it should take."""
    stopping_since: float | None = None
    while not ended.done():
        if conductor.is_stopping:
            stopping_since = stopping_since or time.monotonic()
            if time.monotonic() - stopping_since > _STOP_S:
                return
        else:
            head.check()
        time.sleep(_PAUSE_S)


def _trial_name(trial: Trial) -> str:
    return str(trial.config["key"]).replace("/", "-")
