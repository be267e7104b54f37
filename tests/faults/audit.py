"""An audit of a study that has ended: one line per thing that must hold, computed from records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.faults import checks, mlflow_checks
from tests.faults.checks import Check
from tests.faults.evidence import Evidence

CHECKS: Final[Mapping[str, Callable[[str, Evidence], Check]]] = {
    "search trials asked": checks.search_asked,
    "final trials asked": checks.final_asked,
    "chosen points trained": checks.chosen_points,
    "trials told": checks.told,
    "trials failed": checks.failed,
    "trial numbers": checks.numbers,
    "points of final trials": checks.final_points,
    "epochs in result files": checks.epochs_stored,
    "epochs in Optuna": checks.epochs_told,
    "values in Optuna": checks.values_told,
    "end files": checks.ends,
    "trials trained again": checks.retrained,
    "checkpoints left": checks.checkpoints,
    "temporary files left": checks.temporary,
    "secrets in files": checks.leaks,
    "runs in MLflow": mlflow_checks.runs,
    "params in MLflow": mlflow_checks.params,
    "tags in MLflow": mlflow_checks.tags,
    "metric values in MLflow": mlflow_checks.points,
    "ends in MLflow": mlflow_checks.ends,
    "files in MLflow": mlflow_checks.artifacts,
    "outbox": mlflow_checks.outbox,
    "study finished": checks.finished,
    "driver ends explained": checks.driver_ends,
    "promises kept on the spot": checks.promises,
}


def audit(evidence: Evidence) -> tuple[Check, ...]:
    """Check everything."""
    return tuple(check(name, evidence) for name, check in CHECKS.items())
