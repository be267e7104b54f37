"""Tune's scheduler: ASHA for each arm, and the slots of trials that have ended."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.utils.object_cache import _ObjectCache

from study.config.arm import Arm
from study.config.study_spec import StudySpec
from study.engine.coordinator import TrialCoordinator
from study.engine.executors.slots import ClusterQuota
from study.storage.layout import TrialKey
from trainables.report import mean


def asha_schedulers(spec: StudySpec, coordinator: TrialCoordinator) -> dict[str, ASHAScheduler]:
    """Return the ASHA scheduler of each arm that has one, with the rungs of the stored reports.

    Tune loses a scheduler's state when a study continues; replaying the stored reports restores
    it. A trial that continues sends all of its reports again, and must not be judged a second
    time at a rung it has passed, against what others have reached there since. The decision on
    its last report may not have been applied, and is made again.
    """
    arms = {a.name: _asha(spec, a) for a in spec.arms if a.search.scheduler == "asha"}
    for record in coordinator.state.records():
        key = record.key
        if key.phase == "search" and key.arm in arms:
            objectives = _objectives(spec, coordinator, key)
            judged = objectives[:-1] if record.state == "RUNNING" else objectives
            _replay(arms[key.arm], _TrialStub(str(key)), judged)
    return arms


def _asha(spec: StudySpec, arm: Arm) -> ASHAScheduler:
    return ASHAScheduler(
        time_attr="epoch",
        metric="objective",
        mode="max" if spec.direction == "maximize" else "min",
        max_t=arm.training.epochs,
        grace_period=min(arm.training.eval_every, arm.training.epochs),
        reduction_factor=3,
    )


def _objectives(
    spec: StudySpec, coordinator: TrialCoordinator, key: TrialKey
) -> list[tuple[int, float]]:
    return [
        (report.epoch, mean(report.metrics[spec.metric]))
        for report in coordinator.state.reports_of(key)
        if spec.metric in report.metrics
    ]


def _replay(scheduler: ASHAScheduler, trial: Any, objectives: list[tuple[int, float]]) -> None:  # noqa: ANN401 (see _TrialStub)
    no_controller: Any = None
    scheduler.on_trial_add(no_controller, trial)
    for epoch, value in objectives:
        scheduler.on_trial_result(no_controller, trial, {"epoch": epoch, "objective": value})


class _TrialStub:
    """A trial by its key: ASHA reads only an id, and Tune's own ids change from run to run."""

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


class StudyScheduler(FIFOScheduler):
    """Applies to search trials the scheduler of their arm, and the quota to free slots."""

    def __init__(self, arms: Mapping[str, ASHAScheduler], quota: ClusterQuota) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._arms = arms
        self._quota = quota
        self._added: list[Trial] = []
        self._is_prepared = False

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Choose the next trial, after releasing a slot that is another study's."""
        # Tune passes a wrapper here, and itself below.
        controller = getattr(tune_controller, "_tune_controller", tune_controller)
        self._prepare(controller)
        self._set_actor_reuse(controller, self._quota.keeps_slot())
        # All within the quota may start together: the quota counts, not Tune.
        controller.update_max_pending_trials(max(1, self._quota.limit or 0))
        # Tune itself visits all trials of the run in every iteration.
        self._added = pending = [t for t in self._added if t.status == Trial.PENDING]
        if not pending:
            return None
        # An idle actor goes to the newest trial: an older one's own actor is already starting, and
        # would be ended for it, over and over where trials are short.
        has_idle_actor = controller._actor_cache.num_cached_objects > 0
        return pending[-1] if has_idle_actor else pending[0]

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Add a trial that is to start, for the first time or again."""
        self._added.append(trial)
        if (scheduler := self._scheduler_of(trial)) is not None:
            scheduler.on_trial_add(tune_controller, _stub(trial))

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Decide whether a trial continues."""
        scheduler = self._scheduler_of(trial)
        if scheduler is None:
            return str(TrialScheduler.CONTINUE)
        return str(scheduler.on_trial_result(tune_controller, _stub(trial), result))

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Pass on a trial's last result, and decide on its slot, which Tune reads next."""
        if (scheduler := self._scheduler_of(trial)) is not None:
            scheduler.on_trial_complete(tune_controller, _stub(trial), result)
        self._set_actor_reuse(tune_controller, self._quota.keeps_slot(ending=1))

    def _scheduler_of(self, trial: Trial) -> ASHAScheduler | None:
        arm, phase, _ = str(trial.config["key"]).split("/")
        return self._arms.get(arm) if phase == "search" else None

    def _prepare(self, controller: TuneController) -> None:
        # At the first call, Tune has cached nothing yet.
        if not self._is_prepared and not self._quota.is_shared:
            controller._actor_cache = PersistentActorCache()
        self._is_prepared = True

    def _set_actor_reuse(self, controller: TuneController, keeps: bool) -> None:
        if self._quota.is_shared:
            controller._actor_cache._may_keep_one = keeps

    def __getstate__(self) -> dict[str, Any]:
        """Exclude the coordinator from Tune's pickles."""
        return {}


def _stub(trial: Trial) -> Any:  # noqa: ANN401 (ASHA's annotations require Tune's own class)
    return _TrialStub(str(trial.config["key"]))


class PersistentActorCache(_ObjectCache):
    """Keeps every idle actor until Tune ends."""

    def cache_object(self, key: object, obj: object) -> bool:
        """Add an actor."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        return True

    def flush_cached_objects(self, force_all: bool = False) -> Generator[Any, None, None]:
        """Yield the actors to be ended: none before the end."""
        if force_all:
            yield from super().flush_cached_objects(force_all=True)
