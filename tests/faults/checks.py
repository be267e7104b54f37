"""The checks of an audit: of a study's trials, of its files and of its driver.

Each is registered in ``CHECKS`` under the name of its row, with what must be found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from study.records.trial_table import PhaseName, TrialRow
from tests.faults.evidence import DatabaseTrial, Evidence
from trainables.report import mean

_MAX_EXAMPLES: Final = 3
_ENDED: Final = ("COMPLETE", "PRUNED", "FAIL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A row of an audit."""

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
    shown = "; ".join(every[:_MAX_EXAMPLES])
    more = "; …" if len(every) > _MAX_EXAMPLES else ""
    found = f"{len(every)}: {shown}{more}" if every else expected
    return Check(name=name, expected=expected, found=found, is_ok=not every)


CHECKS: Final[dict[str, Callable[[Evidence], Check]]] = {}
_Differences: TypeAlias = Callable[[Evidence], Iterable[str]]
_Pair: TypeAlias = Callable[[Evidence], tuple[object, object]]


def no_differences(name: str, expected: str) -> Callable[[_Differences], _Differences]:
    """Register a function that lists what differs from the evidence."""

    def register(function: _Differences) -> _Differences:
        CHECKS[name] = lambda evidence: check_empty(name, expected, function(evidence))
        return function

    return register


def equal(name: str) -> Callable[[_Pair], _Pair]:
    """Register a function that returns what is expected and what is found."""

    def register(function: _Pair) -> _Pair:
        CHECKS[name] = lambda evidence: check_equal(name, *function(evidence))
        return function

    return register


@equal("search trials asked")
def _search_asked(evidence: Evidence) -> tuple[str, str]:
    return _per_arm(evidence.manifest.search), _asked(evidence, "search")


@equal("final trials asked")
def _final_asked(evidence: Evidence) -> tuple[str, str]:
    return _per_arm(evidence.manifest.final), _asked(evidence, "final")


def _asked(evidence: Evidence, phase: PhaseName) -> str:
    counts = Counter(trial.study for trial in evidence.database)
    name = evidence.spec.name
    return _per_arm({arm.name: counts[f"{name}/{arm.name}/{phase}"] for arm in evidence.spec.arms})


def _per_arm(counts: Mapping[str, int]) -> str:
    parts = " + ".join(f"{count} {arm}" for arm, count in counts.items() if count)
    return f"{sum(counts.values())} ({parts})"


@no_differences("chosen points trained", "all")
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


@equal("trials told")
def _told(evidence: Evidence) -> tuple[int, int]:
    return len(evidence.database), sum(trial.state in _ENDED for trial in evidence.database)


@no_differences("trials failed", "none")
def _failed(evidence: Evidence) -> Iterator[str]:
    """List failed trials: no fault is one that a trial may not survive."""
    return (f"{_key(row)}: {row.reason}" for row in evidence.table.rows if row.state == "FAIL")


@no_differences("trial numbers", "each once from 0")
def _wrong_numbers(evidence: Evidence) -> Iterator[str]:
    found: dict[str, list[int]] = {}
    for trial in evidence.database:
        found.setdefault(trial.study, []).append(trial.number)
    for study, numbers in found.items():
        if sorted(numbers) != list(range(len(numbers))):
            yield f"{study}: {sorted(numbers)}"


@no_differences("points of final trials", "each once")
def _repeated_points(evidence: Evidence) -> Iterator[str]:
    counts = Counter(
        (row.arm, tuple(sorted(row.params.items())))
        for row in evidence.table.rows
        if row.phase == "final"
    )
    return (f"{arm}: {dict(point)}" for (arm, point), count in counts.items() if count > 1)


@no_differences("epochs in result files", "each once")
def _wrong_epochs(evidence: Evidence) -> Iterator[str]:
    for row in evidence.table.rows:
        lines = evidence.lines[_key(row)]
        if lines.is_torn:
            yield f"{_key(row)}: a line is torn"
        planned = _planned_epochs(evidence, row)
        is_prefix = row.state == "PRUNED" and len(lines.epochs) < len(planned)
        expected = planned[: len(lines.epochs)] if is_prefix else planned
        if row.state != "FAIL" and lines.epochs != expected:
            yield f"{_key(row)} ({row.state}): {_difference(lines.epochs, expected)}"


def _planned_epochs(evidence: Evidence, row: TrialRow) -> list[int]:
    training = evidence.spec.arm(row.arm).training
    last, every = training.epochs, training.eval_every
    return [epoch for epoch in range(last + 1) if epoch % every == 0 or epoch == last]


def _difference(found: list[int], expected: list[int]) -> str:
    counts = Counter(found)
    twice = [epoch for epoch, count in counts.items() if count > 1]
    missing = [epoch for epoch in expected if epoch not in counts]
    return f"twice {twice}, missing {missing}" if twice or missing else f"in order {found}"


@no_differences("epochs in Optuna", "as in the result files")
def _wrong_intermediate_values(evidence: Evidence) -> Iterator[str]:
    for trial in evidence.database:
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


@no_differences("values in Optuna", "those of the last epoch")
def _wrong_values(evidence: Evidence) -> Iterator[str]:
    for trial in evidence.database:
        # Optuna stores the last intermediate value as the value of a pruned trial.
        expected = _last_value(evidence, trial)
        if trial.state == "COMPLETE" and trial.values != expected:
            yield f"{trial.key} ({trial.state}): {trial.values} instead of {expected}"


def _last_value(evidence: Evidence, trial: DatabaseTrial) -> tuple[float, ...]:
    last = evidence.lines[trial.key].reports[-1:] if trial.key in evidence.lines else ()
    return tuple(mean(report.metrics[evidence.spec.metric]) for report in last)


@no_differences("end files", "as in the database")
def _wrong_ends(evidence: Evidence) -> Iterator[str]:
    for row in evidence.table.rows:
        end = evidence.ends.get(_key(row))
        expected = (row.state, row.value, row.finished_ms)
        found = None if end is None else (end.state, end.value, end.finished_ms)
        if found != expected:
            yield f"{_key(row)}: {found} instead of {expected}"


@no_differences("rows and files agree", "all")
def _damage(evidence: Evidence) -> Iterable[str]:
    return evidence.damage


@no_differences("trials trained again", "equal to the last bit")
def _wrong_when_retrained(evidence: Evidence) -> Iterator[str]:
    return (f"{key}: {found[0]}" for key, found in evidence.retrained.items() if found)


def _key(row: TrialRow) -> str:
    return f"{row.arm}/{row.phase}/{row.number}"


@no_differences("checkpoints left", "none")
def _checkpoints(evidence: Evidence) -> Iterator[str]:
    for path, is_whole in evidence.leftovers.checkpoints.items():
        yield f"{path}{'' if is_whole else ' (damaged)'}"


@no_differences("temporary files left", "none")
def _temporary_files(evidence: Evidence) -> Iterable[str]:
    return evidence.leftovers.temporary


@no_differences("secrets in files", "none")
def _leaks(evidence: Evidence) -> Iterable[str]:
    return evidence.leaks


@equal("study finished")
def _finished(evidence: Evidence) -> tuple[str, str]:
    return "yes", "yes" if evidence.event_log.is_finished else "no"


@no_differences("driver ends explained", "all")
def _unexplained_exits(evidence: Evidence) -> Iterator[str]:
    for end in evidence.event_log.ends:
        if end.cause is None:
            yield f"exit code {end.code} at {end.at_s:.0f} s: {end.output}"


@no_differences("promises kept on the spot", "all")
def _broken_promises(evidence: Evidence) -> Iterator[str]:
    """List what is seen at once: a second start is refused, SIGTERM ends a run in time."""
    for injected in evidence.event_log.injected:
        if injected.outcome == "failed":
            yield f"{injected.fault.kind} at {injected.at_s:.0f} s: {injected.note}"
