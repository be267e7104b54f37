"""Tune's schedulers: ASHA for each arm, and the slots of trials that have ended."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ray.tune import Callback
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.utils.object_cache import _ObjectCache

from study.config import Arm, StudySpec
from study.engine.coordinator import TrialCoordinator
from study.engine.executors.slots import ClusterQuota
from study.storage.layout import TrialKey
from trainables.report import mean


def scheduler_for(spec: StudySpec, coordinator: TrialCoordinator) -> TrialScheduler:
    """Make the scheduler of a run, its rungs as the stored reports left them.

    Tune forgets a scheduler's state when a study goes on; replaying the stored reports brings it
    back. A trial that goes on sends all of its reports again: a rung that it has left behind must
    not judge it a second time, by what others have reached there since. Whether it may leave its
    last report behind has perhaps not been said, and is asked again.
    """
    arms = {a.name: _asha(spec, a) for a in spec.arms if a.search.scheduler == "asha"}
    for record in coordinator.records():
        key = record.key
        if key.phase == "search" and key.arm in arms:
            objectives = _objectives(spec, coordinator, key)
            judged = objectives[:-1] if record.state == "RUNNING" else objectives
            _replay(arms[key.arm], _TrialStub(str(key)), judged)
    return PerArmScheduler(arms)


class PerArmScheduler(FIFOScheduler):
    """Asks the scheduler of a search trial's arm; all other trials run to their end."""

    def __init__(self, arms: dict[str, ASHAScheduler]) -> None:
        """Serve the given arms."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._arms = arms

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Enter a trial."""
        if (scheduler := self._scheduler_of(trial)) is not None:
            scheduler.on_trial_add(tune_controller, _stub(trial))

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Decide whether a trial goes on."""
        scheduler = self._scheduler_of(trial)
        if scheduler is None:
            return str(TrialScheduler.CONTINUE)
        return str(scheduler.on_trial_result(tune_controller, _stub(trial), result))

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Note a trial's last result."""
        if (scheduler := self._scheduler_of(trial)) is not None:
            scheduler.on_trial_complete(tune_controller, _stub(trial), result)

    def _scheduler_of(self, trial: Trial) -> ASHAScheduler | None:
        arm, phase, _ = str(trial.config["key"]).split("/")
        return self._arms.get(arm) if phase == "search" else None


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
        for report in coordinator.reports_of(key)
        if spec.metric in report.metrics
    ]


def _replay(scheduler: ASHAScheduler, trial: Any, objectives: list[tuple[int, float]]) -> None:  # noqa: ANN401 (see _Named)
    no_controller: Any = None
    scheduler.on_trial_add(no_controller, trial)
    for epoch, value in objectives:
        scheduler.on_trial_result(no_controller, trial, {"epoch": epoch, "objective": value})


def _stub(trial: Trial) -> Any:  # noqa: ANN401 (see _Named)
    return _TrialStub(str(trial.config["key"]))


class _TrialStub:
    """Stands for a trial by our name: all that ASHA looks at is an id, and Tune's is new each run.

    ASHA's annotations ask for Tune's own class.
    """

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


class PersistentActorCache(_ObjectCache):
    """Keeps every process that is free until Tune ends."""

    def cache_object(self, key: object, obj: object) -> bool:
        """Keep one."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        return True

    def flush_cached_objects(self, force_all: bool = False) -> Generator[Any, None, None]:
        """Give those that are to be ended: none before the end."""
        if force_all:
            yield from super().flush_cached_objects(force_all=True)


class SlotCallback(Callback):
    """Tells a turn which trials have a place."""

    def __init__(self, quota: ClusterQuota) -> None:
        """Serve one run of Tune."""
        self._quota = quota

    def on_step_end(self, iteration: int, trials: list[Trial], **_: object) -> None:  # noqa: ARG002 (Tune's)
        """Let the queue know how the study stands."""
        self._quota.update()

    def on_trial_start(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Note a trial whose process has started."""
        self._quota.slot_acquired(trial.trial_id)

    def on_trial_complete(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Note a trial that has ended."""
        self._quota.slot_released(trial.trial_id)

    def on_trial_recover(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Note a trial that has lost its place."""
        self._quota.slot_released(trial.trial_id)

    def on_trial_error(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Note a trial that has lost its place for good."""
        self._quota.slot_released(trial.trial_id)

    def __getstate__(self) -> dict[str, Any]:
        """Keep the conductor out of Tune's pickles."""
        return {}


class SlotScheduler(FIFOScheduler):
    """Lets a scheduler decide about trials, and the queue about the place of one that ended."""

    def __init__(self, scheduler: TrialScheduler, quota: ClusterQuota) -> None:
        """Serve one run of Tune."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._scheduler = scheduler
        self._quota = quota
        self._added: list[Trial] = []
        self._is_prepared = False

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Choose the next trial; before, give up a place that is another study's."""
        # Tune passes a wrapper here, and itself below.
        controller = getattr(tune_controller, "_tune_controller", tune_controller)
        self._prepare(controller)
        self._set_actor_reuse(controller, self._quota.keeps_slot())
        # All that have a place may begin together: the turn counts, not Tune.
        controller.update_max_pending_trials(max(1, self._quota.limit or 0))
        # Tune itself looks through all trials there ever were, at every turn of its loop.
        self._added = pending = [t for t in self._added if t.status == Trial.PENDING]
        if not pending:
            return None
        # The process of a trial that has ended goes to the newest: an older one's own process is
        # already starting, and would be ended for it, again and again where trials are short.
        is_process_free = controller._actor_cache.num_cached_objects > 0
        return pending[-1] if is_process_free else pending[0]

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Note a trial's last result, and decide about its place: Tune asks for that next."""
        self._scheduler.on_trial_complete(tune_controller, trial, result)
        self._set_actor_reuse(tune_controller, self._quota.keeps_slot(ending=1))

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Note a trial that is to begin, for the first time or again."""
        self._added.append(trial)
        self._scheduler.on_trial_add(tune_controller, trial)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Pass on."""
        return str(self._scheduler.on_trial_result(tune_controller, trial, result))

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """Pass on."""
        self._scheduler.on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        """Pass on."""
        self._scheduler.on_trial_remove(tune_controller, trial)

    def _prepare(self, controller: TuneController) -> None:
        # Asked for the first time, Tune has kept nothing yet.
        if not self._is_prepared and not self._quota.is_shared:
            controller._actor_cache = PersistentActorCache()
        self._is_prepared = True

    def _set_actor_reuse(self, controller: TuneController, keeps: bool) -> None:
        if self._quota.is_shared:
            controller._actor_cache._may_keep_one = keeps

    def __getstate__(self) -> dict[str, Any]:
        """Keep the conductor out of Tune's pickles."""
        return {}
