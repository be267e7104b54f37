"""Whether MLflow holds what the study's own records say, no less and nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from tests.faults.checks import Check, check_empty, check_equal
from tests.faults.evidence import Evidence
from tests.faults.mlflow_runs import MlflowRun, Point


def runs(name: str, evidence: Evidence) -> Check:
    """Check that there is exactly one run per trial and arm."""
    found = Counter(run.run_key for run in evidence.mlflow_runs)
    expected = Counter(iter(evidence.expected_runs))
    wrong = [f"{key} {found[key]} times" for key in found if found[key] != expected[key]]
    wrong += [f"{key} is missing" for key in expected if key not in found]
    return check_empty(name, f"{len(expected)}, each once", wrong)


def params(name: str, evidence: Evidence) -> Check:
    """Check each run's settings."""
    return check_empty(name, "as in the study", _differ(evidence, lambda run: run.params))


def tags(name: str, evidence: Evidence) -> Check:
    """Check each run's labels."""
    return check_empty(name, "as in the study", _differ(evidence, lambda run: run.tags))


def ends(name: str, evidence: Evidence) -> Check:
    """Check each run's name, parent, status and times."""
    return check_empty(name, "as in the ledger", _differ(evidence, _end))


def _end(run: MlflowRun) -> Mapping[str, object]:
    return {
        "name": run.name,
        "parent": run.parent_key,
        "status": run.status,
        "start": run.start_ms,
        "end": run.end_ms,
    }


def points(name: str, evidence: Evidence) -> Check:
    """Check each value of each metric with its epoch and time."""
    n_expected = sum(len(run.points) for run in evidence.expected_runs.values())
    return check_empty(name, f"{n_expected}, each once", _wrong_points(evidence))


def _wrong_points(evidence: Evidence) -> Iterator[str]:
    for run in evidence.mlflow_runs:
        expected = evidence.expected_runs.get(run.run_key)
        if expected is None:
            continue
        found = frozenset(point for point in run.points if not _is_earlier(run, point, expected))
        for point in sorted(expected.points - found, key=_order):
            yield f"{run.run_key} lacks {_text(point)}"
        for point in sorted(found - expected.points, key=_order):
            yield f"{run.run_key} has {_text(point)} as well"


def _is_earlier(run: MlflowRun, point: Point, expected: MlflowRun) -> bool:
    """Tell whether an arm's value is what it was before the study was made longer."""
    is_arm = run.run_key.startswith("arm/")
    return is_arm and point.step < max((each.step for each in expected.points), default=0)


def artifacts(name: str, evidence: Evidence) -> Check:
    """Check that tables and figures are in MLflow, byte for byte."""
    return check_empty(name, "as queued", evidence.missing_artifacts)


def outbox(name: str, evidence: Evidence) -> Check:
    """Check that nothing waits for MLflow, and that it refused nothing."""
    pending = evidence.outbox
    found = f"{pending.records} waiting, {pending.rejected} refused"
    return check_equal(name, "0 waiting, 0 refused", found)


def _differ(
    evidence: Evidence, part: Callable[[MlflowRun], Mapping[str, object]]
) -> Iterator[str]:
    for run in evidence.mlflow_runs:
        expected = evidence.expected_runs.get(run.run_key)
        if expected is None:
            continue
        must, has = part(expected), part(run)
        for key in sorted(set(must) | set(has)):
            if must.get(key) != has.get(key):
                yield f"{run.run_key} {key}: {has.get(key)!r} instead of {must.get(key)!r}"


def _order(point: Point) -> tuple[str, int, int]:
    return point.metric, point.step, point.time_ms


def _text(point: Point) -> str:
    return f"{point.metric} = {point.value:g} at {point.step}"
