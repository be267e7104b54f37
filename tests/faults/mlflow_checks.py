"""The checks of MLflow: it holds what the study's own records say, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from tests.faults.checks import CHECKS, Check, check_empty, equal, no_differences
from tests.faults.evidence import Evidence
from tests.faults.mlflow_runs import MlflowRun, Point


def audit(evidence: Evidence) -> tuple[Check, ...]:
    """Run all checks."""
    return tuple(check(evidence) for check in CHECKS.values())


@no_differences("runs in MLflow", "one for each trial and arm")
def _wrong_runs(evidence: Evidence) -> Iterator[str]:
    found = Counter(run.run_key for run in evidence.mlflow_runs)
    expected = Counter(iter(evidence.expected_runs))
    yield from (f"{key} {found[key]} times" for key in found if found[key] != expected[key])
    yield from (f"{key} is missing" for key in expected if key not in found)


@no_differences("params in MLflow", "as in the study")
def _wrong_params(evidence: Evidence) -> Iterator[str]:
    return _differences(evidence, lambda run: run.params)


@no_differences("tags in MLflow", "as in the study")
def _wrong_tags(evidence: Evidence) -> Iterator[str]:
    return _differences(evidence, lambda run: run.tags)


@no_differences("ends in MLflow", "as in the database")
def _wrong_ends(evidence: Evidence) -> Iterator[str]:
    return _differences(
        evidence,
        lambda run: {
            "name": run.name,
            "parent": run.parent_key,
            "status": run.status,
            "start": run.start_ms,
            "end": run.end_ms,
        },
    )


def _differences(
    evidence: Evidence, part: Callable[[MlflowRun], Mapping[str, object]]
) -> Iterator[str]:
    for run, expected_run in _pairs(evidence):
        expected, found = part(expected_run), part(run)
        for key in sorted(set(expected) | set(found)):
            if expected.get(key) != found.get(key):
                yield f"{run.run_key} {key}: {found.get(key)!r} instead of {expected.get(key)!r}"


def _pairs(evidence: Evidence) -> Iterator[tuple[MlflowRun, MlflowRun]]:
    for run in evidence.mlflow_runs:
        if run.run_key in evidence.expected_runs:
            yield run, evidence.expected_runs[run.run_key]


def _count_and_check_points(evidence: Evidence) -> Check:
    n_expected = sum(len(run.points) for run in evidence.expected_runs.values())
    name = "metric values in MLflow"
    return check_empty(name, f"{n_expected}, each once", _wrong_points(evidence))


CHECKS["metric values in MLflow"] = _count_and_check_points


def _wrong_points(evidence: Evidence) -> Iterator[str]:
    for run, expected in _pairs(evidence):
        found = frozenset(point for point in run.points if not _is_earlier(run, point, expected))
        for point in sorted(expected.points - found, key=_order):
            yield f"{run.run_key} lacks {_text(point)}"
        for point in sorted(found - expected.points, key=_order):
            yield f"{run.run_key} has {_text(point)} as well"


def _is_earlier(run: MlflowRun, point: Point, expected: MlflowRun) -> bool:
    """Return whether an arm's value is of the time before the study was made longer."""
    if point in expected.points or not run.run_key.startswith("arm/"):
        return False
    return point.step < max((each.step for each in expected.points), default=0)


def _order(point: Point) -> tuple[str, int, int]:
    return point.metric, point.step, point.time_ms


def _text(point: Point) -> str:
    return f"{point.metric} = {point.value:g} at {point.step}"


@no_differences("files in MLflow", "byte for byte as queued")
def _wrong_artifacts(evidence: Evidence) -> Iterable[str]:
    return evidence.missing_artifacts


@equal("outbox")
def _outbox(evidence: Evidence) -> tuple[str, str]:
    pending = evidence.outbox
    return "0 waiting, 0 refused", f"{pending.records} waiting, {pending.rejected} refused"
