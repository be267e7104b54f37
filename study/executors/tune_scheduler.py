"""Tune's schedulers for a study of several arms: each arm is compared with itself alone."""

from __future__ import annotations

from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from study.conductor import Conductor
from study.spec import Arm, StudySpec
from study.store.folder import TrialKey
from trainables.report import mean


def scheduler_for(spec: StudySpec, conductor: Conductor) -> TrialScheduler:
    """Make the scheduler of a run, its rungs as the stored reports left them.

    Tune forgets a scheduler's state when a study goes on; replaying the stored reports brings it
    back. A trial that goes on sends all of its reports again: a rung that it has left behind must
    not judge it a second time, by what others have reached there since. Whether it may leave its
    last report behind has perhaps not been said, and is asked again.
    """
    arms = {a.name: _asha(spec, a) for a in spec.arms if a.search.scheduler == "asha"}
    for entry in conductor.entries():
        key = entry.key
        if key.phase == "search" and key.arm in arms:
            objectives = _objectives(spec, conductor, key)
            judged = objectives[:-1] if entry.state == "RUNNING" else objectives
            _replay(arms[key.arm], _Named(str(key)), judged)
    return PerArm(arms)


class PerArm(FIFOScheduler):
    """Asks the scheduler of a search trial's arm; all other trials run to their end."""

    def __init__(self, arms: dict[str, ASHAScheduler]) -> None:
        """Serve the given arms."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._arms = arms

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Enter a trial."""
        if (scheduler := self._of(trial)) is not None:
            scheduler.on_trial_add(tune_controller, _named(trial))

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Decide whether a trial goes on."""
        scheduler = self._of(trial)
        if scheduler is None:
            return str(TrialScheduler.CONTINUE)
        return str(scheduler.on_trial_result(tune_controller, _named(trial), result))

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Note a trial's last result."""
        if (scheduler := self._of(trial)) is not None:
            scheduler.on_trial_complete(tune_controller, _named(trial), result)

    def _of(self, trial: Trial) -> ASHAScheduler | None:
        arm, phase, _ = str(trial.config["key"]).split("/")
        return self._arms.get(arm) if phase == "search" else None


def _asha(spec: StudySpec, arm: Arm) -> ASHAScheduler:
    return ASHAScheduler(
        time_attr="epoch",
        metric="objective",
        mode="max" if spec.direction == "maximise" else "min",
        max_t=arm.training.epochs,
        grace_period=min(arm.training.eval_every, arm.training.epochs),
        reduction_factor=3,
    )


def _objectives(spec: StudySpec, conductor: Conductor, key: TrialKey) -> list[tuple[int, float]]:
    return [
        (report.epoch, mean(report.metrics[spec.metric]))
        for report in conductor.reports_of(key)
        if spec.metric in report.metrics
    ]


def _replay(scheduler: ASHAScheduler, trial: Any, objectives: list[tuple[int, float]]) -> None:  # noqa: ANN401 (see _Named)
    no_controller: Any = None
    scheduler.on_trial_add(no_controller, trial)
    for epoch, value in objectives:
        scheduler.on_trial_result(no_controller, trial, {"epoch": epoch, "objective": value})


def _named(trial: Trial) -> Any:  # noqa: ANN401 (see _Named)
    return _Named(str(trial.config["key"]))


class _Named:
    """Stands for a trial by our name: all that ASHA looks at is an id, and Tune's is new each run.

    ASHA's annotations ask for Tune's own class.
    """

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id
