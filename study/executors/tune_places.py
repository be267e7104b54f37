"""Places on the nodes that Tune holds: who has one, and which are given up for other studies.

Tune is made for one experiment per cluster. When a trial ends it may keep the trial's process,
with its place, for a next trial, whether or not there will be one (``_ObjectCache``'s
``may_keep_one``). On a cluster that is shared such a place belongs to another study as soon as
the queue says so. On a Ray of the study's own nobody else wants it: all are kept, where Tune would
keep one and start the others again once the last search trial has ended and the final ones begin.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ray.tune import Callback
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.utils.object_cache import _ObjectCache

from study.executors.turn import Turn


class AllKept(_ObjectCache):
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


class PlaceNotes(Callback):
    """Tells a turn which trials have a place."""

    def __init__(self, turn: Turn) -> None:
        """Serve one run of Tune."""
        self._turn = turn

    def on_step_end(self, iteration: int, trials: list[Trial], **_: object) -> None:  # noqa: ARG002 (Tune's)
        """Let the queue know how the study stands."""
        self._turn.look()

    def on_trial_start(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Note a trial whose process has started."""
        self._turn.note_placed(trial.trial_id)

    def on_trial_complete(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Note a trial that has ended."""
        self._turn.note_gone(trial.trial_id)

    def on_trial_recover(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Note a trial that has lost its place."""
        self._turn.note_gone(trial.trial_id)

    def on_trial_error(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Note a trial that has lost its place for good."""
        self._turn.note_gone(trial.trial_id)

    def __getstate__(self) -> dict[str, Any]:
        """Keep the conductor out of Tune's pickles."""
        return {}


class PlaceKeeper(FIFOScheduler):
    """Lets a scheduler decide about trials, and the queue about the place of one that ended."""

    def __init__(self, scheduler: TrialScheduler, turn: Turn) -> None:
        """Serve one run of Tune."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._scheduler = scheduler
        self._turn = turn
        self._begun: list[Trial] = []
        self._is_prepared = False

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Choose the next trial; before, give up a place that is another study's."""
        # Tune passes a wrapper here, and itself below.
        controller = getattr(tune_controller, "_tune_controller", tune_controller)
        self._prepare(controller)
        self._keep(controller, self._turn.keeps_place())
        # All that have a place may begin together: the turn counts, not Tune.
        controller.update_max_pending_trials(max(1, self._turn.limit or 0))
        # Tune itself looks through all trials there ever were, at every turn of its loop.
        self._begun = pending = [t for t in self._begun if t.status == Trial.PENDING]
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
        self._keep(tune_controller, self._turn.keeps_place(ending=1))

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Note a trial that is to begin, for the first time or again."""
        self._begun.append(trial)
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
        if not self._is_prepared and not self._turn.is_shared:
            controller._actor_cache = AllKept()
        self._is_prepared = True

    def _keep(self, controller: TuneController, keeps: bool) -> None:
        if self._turn.is_shared:
            controller._actor_cache._may_keep_one = keeps

    def __getstate__(self) -> dict[str, Any]:
        """Keep the conductor out of Tune's pickles."""
        return {}
