"""Train trials with Ray Tune: as many at a time as fit on the cluster, each in its own process.

Tune places trials, starts lost ones again and applies schedulers. It does not remember: its
experiment folder is scratch. A study that is resumed starts a new Tune run, whose searcher hands
the unfinished trials out first; see ARCHITECTURE.md for why ``Tuner.restore`` is not used.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cluster.session import ray_session, require_resources
from study.conductor import Conductor
from study.executors.surroundings import Surroundings

if TYPE_CHECKING:
    from ray.tune.experiment import Trial


def run_on_ray(conductor: Conductor, surroundings: Surroundings) -> None:
    """Work until the conductor is done or the run is interrupted.

    Raises:
        ClusterError: If no Ray answers, or no node can ever hold a trial.
    """
    resources = surroundings.spec.resources
    with ray_session(surroundings.address):
        require_resources(resources.cpus, resources.gpus)
        _run_tune(conductor, surroundings)


def _run_tune(conductor: Conductor, surroundings: Surroundings) -> None:
    from ray import tune

    from study.executors.tune_parts import ConductedSearcher, FailureNotes, StopWhenAsked
    from study.executors.tune_scheduler import scheduler_for
    from trainables.ray_trainable import ChallengerTrainable

    resources = surroundings.spec.resources
    shutil.rmtree(surroundings.scratch, ignore_errors=True)
    searcher = ConductedSearcher(conductor, surroundings)
    tuner = tune.Tuner(
        tune.with_resources(ChallengerTrainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler_for(surroundings.spec, conductor),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(surroundings.scratch),
            verbose=0,
            stop=StopWhenAsked(conductor),
            # Checkpoints are the trials' own.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            callbacks=[FailureNotes(conductor)],
        ),
    )
    tuner.fit()


def _trial_name(trial: Trial) -> str:
    return str(trial.config["key"]).replace("/", "-")
