"""The checks of a study's trials, of its files and of its driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from study.records.trial_table import PhaseName, TrialRow
from tests.faults.evidence import DatabaseTrial, Evidence
from trainables.report import mean

_MOST_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, and how it stands.

    Attributes:
        name: What was looked at.
        expected: What must be there.
        found: What is there.
        is_ok: Whether they are the same.
    """

    name: str
    expected: str
    found: str
    is_ok: bool


def check_equal(name: str, expected: object, found: object) -> Check:
    """Check that two things are equal.

    Example:
        >>> check_equal("final trials asked", 5, 6).is_ok
        False
    """
    return Check(name=name, expected=str(expected), found=str(found), is_ok=expected == found)


def check_empty(name: str, expected: str, differences: Iterable[str]) -> Check:
    """Check that a list of differences is empty; the first of them are shown.

    Example:
        >>> check_empty("checkpoints left", "none", ["a.pt", "b.pt"]).found
        '2: a.pt; b.pt'
    """
    every = list(differences)
    shown = "; ".join(every[:_MOST_EXAMPLES])
    more = "; …" if len(every) > _MOST_EXAMPLES else ""
    found = f"{len(every)}: {shown}{more}" if every else expected
    return Check(name=name, expected=expected, found=found, is_ok=not every)


_ENDS = ("COMPLETE", "PRUNED", "FAIL")


def search_asked(name: str, evidence: Evidence) -> Check:
    """Check that as many search trials were asked for as the study wants, in each arm."""
    expected = {arm: count for arm, count in evidence.manifest.search.items() if count}
    return check_equal(name, _sum(expected), _sum(_asked(evidence, "search")))


def final_asked(name: str, evidence: Evidence) -> Check:
    """Check that as many final trials were asked for as the study wants, in each arm."""
    expected = {arm: count for arm, count in evidence.manifest.final.items() if count}
    return check_equal(name, _sum(expected), _sum(_asked(evidence, "final")))


def chosen_points(name: str, evidence: Evidence) -> Check:
    """Check that each arm's chosen configuration and its sweeps were trained."""
    return check_empty(name, "all", _untrained(evidence))


def _untrained(evidence: Evidence) -> Iterator[str]:
    for arm in evidence.spec.arms:
        best = evidence.table.arm(arm.name).best_params
        if best is None:
            yield f"{arm.name}: nothing was chosen"
            continue
        rows = evidence.table.select(arm.name, "final")
        trained = [dict(row.params) for row in rows if row.state == "COMPLETE"]
        for point in arm.final_points(best):
            if point not in trained:
                yield f"{arm.name}: {point}"


def told(name: str, evidence: Evidence) -> Check:
    """Check that every trial that was asked for was told."""
    n_told = sum(trial.state in _ENDS for trial in evidence.ledger)
    return check_equal(name, len(evidence.ledger), n_told)


def failed(name: str, evidence: Evidence) -> Check:
    """Check that none failed: no blow is one that a trial may not survive."""
    lost = (f"{_key(row)}: {row.reason}" for row in evidence.table.rows if row.state == "FAIL")
    return check_empty(name, "none", lost)


def numbers(name: str, evidence: Evidence) -> Check:
    """Check that the numbers of each arm and phase are 0, 1, 2, …, each once."""
    found: dict[str, list[int]] = {}
    for trial in evidence.ledger:
        found.setdefault(trial.study, []).append(trial.number)
    wrong = (
        f"{study}: {sorted(numbers)}"
        for study, numbers in found.items()
        if sorted(numbers) != list(range(len(numbers)))
    )
    return check_empty(name, "each once from 0", wrong)


def final_points(name: str, evidence: Evidence) -> Check:
    """Check that no arm trains the same point twice in its final trials."""
    counts = Counter(
        (row.arm, tuple(sorted(row.params.items())))
        for row in evidence.table.rows
        if row.phase == "final"
    )
    twice = (f"{arm}: {dict(point)}" for (arm, point), count in counts.items() if count > 1)
    return check_empty(name, "each once", twice)


def epochs_stored(name: str, evidence: Evidence) -> Check:
    """Check that each evaluation stands in the result file exactly once."""
    return check_empty(name, "each once", _wrong_epochs(evidence))


def _wrong_epochs(evidence: Evidence) -> Iterator[str]:
    for row in evidence.table.rows:
        lines = evidence.lines[_key(row)]
        if lines.is_torn:
            yield f"{_key(row)}: a line is torn"
        planned = _epochs(evidence, row)
        is_prefix = row.state == "PRUNED" and len(lines.epochs) < len(planned)
        expected = planned[: len(lines.epochs)] if is_prefix else planned
        if row.state != "FAIL" and lines.epochs != expected:
            yield f"{_key(row)} ({row.state}): {_difference(lines.epochs, expected)}"


def _epochs(evidence: Evidence, row: TrialRow) -> list[int]:
    training = evidence.spec.arm(row.arm).training
    last, every = training.epochs, training.eval_every
    return [epoch for epoch in range(last + 1) if epoch % every == 0 or epoch == last]


def _difference(found: list[int], expected: list[int]) -> str:
    counts = Counter(found)
    twice = [epoch for epoch, count in counts.items() if count > 1]
    missing = [epoch for epoch in expected if epoch not in counts]
    return f"twice {twice}, missing {missing}" if twice or missing else f"in order {found}"


def epochs_told(name: str, evidence: Evidence) -> Check:
    """Check that Optuna has the mean objective of every evaluation, and no other."""
    return check_empty(name, "as in the result files", _wrongly_told(evidence))


def _wrongly_told(evidence: Evidence) -> Iterator[str]:
    for trial in evidence.ledger:
        if trial.key not in evidence.lines:
            yield f"{trial.key} is not a whole trial"
            continue
        stored = {
            (report.epoch, mean(report.metrics[evidence.spec.metric]))
            for report in evidence.lines[trial.key].reports
            if evidence.spec.metric in report.metrics
        }
        if sorted(stored) != sorted(trial.reports):
            yield f"{trial.key}: {sorted(stored ^ set(trial.reports))[:3]}"


def values_told(name: str, evidence: Evidence) -> Check:
    """Check that a complete trial's value is that of its last epoch, and others have none."""
    wrong = (
        f"{trial.key} ({trial.state}): {trial.values} instead of {_value(evidence, trial)}"
        for trial in evidence.ledger
        # Optuna gives a pruned trial its last intermediate value.
        if trial.state == "COMPLETE" and trial.values != _value(evidence, trial)
    )
    return check_empty(name, "those of the last epoch", wrong)


def _value(evidence: Evidence, trial: DatabaseTrial) -> tuple[float, ...]:
    last = evidence.lines[trial.key].reports[-1:] if trial.key in evidence.lines else ()
    return tuple(mean(report.metrics[evidence.spec.metric]) for report in last)


def ends(name: str, evidence: Evidence) -> Check:
    """Check that each trial's end file says the same as the ledger."""
    return check_empty(name, "as in the ledger", _wrong_ends(evidence))


def _wrong_ends(evidence: Evidence) -> Iterator[str]:
    for row in evidence.table.rows:
        end = evidence.ends.get(_key(row))
        told = (row.state, row.value, row.finished_ms)
        output = None if end is None else (end.state, end.value, end.finished_ms)
        if output != told:
            yield f"{_key(row)}: {output} instead of {told}"


def retrained(name: str, evidence: Evidence) -> Check:
    """Check that trials which were trained again, undisturbed, gave the same to the last bit."""
    wrong = (
        f"{key}: {differences[0]}"
        for key, differences in evidence.retrained.items()
        if differences
    )
    return check_empty(name, f"{len(evidence.retrained)} equal to the last bit", wrong)


def _asked(evidence: Evidence, phase: PhaseName) -> dict[str, int]:
    counts = Counter(trial.study for trial in evidence.ledger)
    found = {
        arm.name: counts[f"{evidence.spec.name}/{arm.name}/{phase}"] for arm in evidence.spec.arms
    }
    return {arm: count for arm, count in found.items() if count}


def _sum(counts: dict[str, int]) -> str:
    parts = " + ".join(f"{count} {arm}" for arm, count in counts.items())
    return f"{sum(counts.values())} ({parts})"


def _key(row: TrialRow) -> str:
    return f"{row.arm}/{row.phase}/{row.number}"


def checkpoints(name: str, evidence: Evidence) -> Check:
    """Check that no checkpoint is left: they are as large as their models."""
    left = (
        f"{path}{'' if is_whole else ' (damaged)'}"
        for path, is_whole in evidence.leftovers.checkpoints.items()
    )
    return check_empty(name, "none", left)


def temporary(name: str, evidence: Evidence) -> Check:
    """Check that no file is left that a process was writing when it was killed."""
    return check_empty(name, "none", evidence.leftovers.temporary)


def leaks(name: str, evidence: Evidence) -> Check:
    """Check that passwords and tokens stand in no file of the study, its logs or its cluster."""
    return check_empty(name, "none", evidence.leaks)


def finished(name: str, evidence: Evidence) -> Check:
    """Check that the study came to its end in the time that it was given."""
    ended = "yes" if evidence.event_log.is_finished else "no"
    return check_equal(name, "yes", ended)


def driver_ends(name: str, evidence: Evidence) -> Check:
    """Check that the driver never ended but at a blow, or when the study was finished."""
    unexplained = (
        f"exit code {end.code} at {end.at_s:.0f} s: {end.output}"
        for end in evidence.event_log.ends
        if end.cause is None
    )
    return check_empty(name, "all", unexplained)


def promises(name: str, evidence: Evidence) -> Check:
    """Check what is seen at once: a second start is refused, SIGTERM ends a run in time."""
    broken = (
        f"{injected.fault.kind} at {injected.at_s:.0f} s: {injected.note}"
        for injected in evidence.event_log.of("failed")
    )
    return check_empty(name, "all", broken)
