"""Whether the trials of a study are what was asked for, in the ledger and in the result files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from study.chaos.check import Check, no_difference, same
from study.chaos.evidence import Evidence
from study.chaos.ledger_trial import LedgerTrial
from study.trial_table import PhaseName, TrialRow
from trainables.report import mean

_ENDS = ("COMPLETE", "PRUNED", "FAIL")


def search_asked(name: str, evidence: Evidence) -> Check:
    """Check that as many search trials were asked for as the study wants, in each arm."""
    expected = {arm: count for arm, count in evidence.manifest.search.items() if count}
    return same(name, _sum(expected), _sum(_asked(evidence, "search")))


def final_asked(name: str, evidence: Evidence) -> Check:
    """Check that as many final trials were asked for as the study wants, in each arm."""
    expected = {arm: count for arm, count in evidence.manifest.final.items() if count}
    return same(name, _sum(expected), _sum(_asked(evidence, "final")))


def chosen_points(name: str, evidence: Evidence) -> Check:
    """Check that each arm's chosen configuration and its sweeps were trained."""
    return no_difference(name, "all", _untrained(evidence))


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
    return same(name, len(evidence.ledger), n_told)


def failed(name: str, evidence: Evidence) -> Check:
    """Check that none failed: no blow is one that a trial may not survive."""
    lost = (f"{_key(row)}: {row.reason}" for row in evidence.table.rows if row.state == "FAIL")
    return no_difference(name, "none", lost)


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
    return no_difference(name, "each once from 0", wrong)


def final_points(name: str, evidence: Evidence) -> Check:
    """Check that no arm trains the same point twice in its final trials."""
    counts = Counter(
        (row.arm, tuple(sorted(row.params.items())))
        for row in evidence.table.rows
        if row.phase == "final"
    )
    twice = (f"{arm}: {dict(point)}" for (arm, point), count in counts.items() if count > 1)
    return no_difference(name, "each once", twice)


def epochs_stored(name: str, evidence: Evidence) -> Check:
    """Check that each evaluation stands in the result file exactly once."""
    return no_difference(name, "each once", _wrong_epochs(evidence))


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
    return no_difference(name, "as in the result files", _wrongly_told(evidence))


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
    return no_difference(name, "those of the last epoch", wrong)


def _value(evidence: Evidence, trial: LedgerTrial) -> tuple[float, ...]:
    last = evidence.lines[trial.key].reports[-1:] if trial.key in evidence.lines else ()
    return tuple(mean(report.metrics[evidence.spec.metric]) for report in last)


def ends(name: str, evidence: Evidence) -> Check:
    """Check that each trial's end file says the same as the ledger."""
    return no_difference(name, "as in the ledger", _wrong_ends(evidence))


def _wrong_ends(evidence: Evidence) -> Iterator[str]:
    for row in evidence.table.rows:
        end = evidence.ends.get(_key(row))
        told = (row.state, row.value, row.finished_ms)
        said = None if end is None else (end.state, end.value, end.finished_ms)
        if said != told:
            yield f"{_key(row)}: {said} instead of {told}"


def repeated(name: str, evidence: Evidence) -> Check:
    """Check that trials which were trained again, undisturbed, gave the same to the last bit."""
    wrong = (
        f"{key}: {differences[0]}" for key, differences in evidence.repeated.items() if differences
    )
    return no_difference(name, f"{len(evidence.repeated)} equal to the last bit", wrong)


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
