"""A ledger written to without a conductor: numbers and times are found as they are needed."""

from __future__ import annotations

import time
from collections.abc import Mapping

from search_spaces import ParamValue, Space
from study.store.ends import End, EndState
from study.store.folder import TrialKey
from study.store.ledger import Entry, IntermediateValue, Ledger, SamplerSettings
from study.trial_table import PhaseName


class HandLedger(Ledger):
    """A ledger for tests that enter trials themselves."""

    def ask_next(self, arm: str, space: Space, settings: SamplerSettings) -> Entry:
        """Ask for the next search trial of an arm."""
        return self.ask(arm, len(self.entries(arm, "search")), space, settings)

    def enter(
        self,
        arm: str,
        params: Mapping[str, ParamValue],
        space: Space,
        phase: PhaseName = "final",
    ) -> Entry:
        """Enter the next trial of an arm at a point."""
        number = len(self.entries(arm, phase))
        return self.ask_point(TrialKey(arm=arm, phase=phase, number=number), params, space)

    def entry(self, key: TrialKey) -> Entry:
        """Read one trial."""
        return self.entries(key.arm, key.phase)[key.number]

    def report_one(self, key: TrialKey, epoch: int, value: float) -> None:
        """Report by itself what a trial reached."""
        self.report([IntermediateValue(key=key, epoch=epoch, value=value)])

    def complete(self, key: TrialKey, value: float) -> None:
        """Tell a value."""
        self._end(key, "COMPLETE", value=value)

    def prune(self, key: TrialKey) -> None:
        """Tell that a trial was stopped."""
        self._end(key, "PRUNED")

    def fail(self, key: TrialKey, reason: str) -> None:
        """Tell that a trial failed."""
        self._end(key, "FAIL", reason=reason)

    def _end(
        self,
        key: TrialKey,
        state: EndState,
        *,
        value: float | None = None,
        reason: str | None = None,
    ) -> None:
        now_ms = time.time_ns() // 1_000_000
        self.tell(key, End(state=state, value=value, reason=reason, finished_ms=now_ms))
