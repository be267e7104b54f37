"""A trial store for tests without a coordinator, which sets numbers and times itself."""

from __future__ import annotations

import time
from collections.abc import Mapping

from search_spaces import ParamValue, Space
from study.records.trial_table import PhaseName
from study.storage.layout import TrialKey
from study.storage.report_log import FinishedState, TrialOutcome
from study.storage.trial_store import IntermediateValue, SamplerSettings, TrialRecord, TrialStore


class DirectTrialStore(TrialStore):
    """A trial store that numbers its trials."""

    def ask_next(self, arm: str, space: Space, settings: SamplerSettings) -> TrialRecord:
        """Create the next search trial of an arm."""
        return self.ask(arm, len(self.records(arm, "search")), space, settings)

    def enqueue_next(
        self,
        arm: str,
        params: Mapping[str, ParamValue],
        space: Space,
        phase: PhaseName = "final",
    ) -> TrialRecord:
        """Create the next trial of an arm at a point."""
        number = len(self.records(arm, phase))
        return self.enqueue(TrialKey(arm=arm, phase=phase, number=number), params, space)

    def record(self, key: TrialKey) -> TrialRecord:
        """Read one trial."""
        return self.records(key.arm, key.phase)[key.number]

    def report_one(self, key: TrialKey, epoch: int, value: float) -> None:
        """Report one intermediate value."""
        self.report([IntermediateValue(key=key, epoch=epoch, value=value)])

    def complete(self, key: TrialKey, value: float) -> None:
        """End a trial with a value."""
        self._end(key, "COMPLETE", value=value)

    def prune(self, key: TrialKey) -> None:
        """End a trial as pruned."""
        self._end(key, "PRUNED")

    def fail(self, key: TrialKey, reason: str) -> None:
        """End a trial as failed."""
        self._end(key, "FAIL", reason=reason)

    def _end(
        self,
        key: TrialKey,
        state: FinishedState,
        *,
        value: float | None = None,
        reason: str | None = None,
    ) -> None:
        now_ms = time.time_ns() // 1_000_000
        self.tell(key, TrialOutcome(state=state, value=value, reason=reason, finished_ms=now_ms))
