"""An audit of a study that has ended: one line per thing that must hold, computed from records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from study.chaos import file_checks, review_checks, run_checks, trial_checks
from study.chaos.check import Check
from study.chaos.evidence import Evidence

CHECKS: Final[Mapping[str, Callable[[str, Evidence], Check]]] = {
    "search trials asked": trial_checks.search_asked,
    "final trials asked": trial_checks.final_asked,
    "chosen points trained": trial_checks.chosen_points,
    "trials told": trial_checks.told,
    "trials failed": trial_checks.failed,
    "trial numbers": trial_checks.numbers,
    "points of final trials": trial_checks.final_points,
    "epochs in result files": trial_checks.epochs_stored,
    "epochs in Optuna": trial_checks.epochs_told,
    "values in Optuna": trial_checks.values_told,
    "end files": trial_checks.ends,
    "trials trained again": trial_checks.repeated,
    "checkpoints left": file_checks.checkpoints,
    "temporary files left": file_checks.temporary,
    "secrets in files": file_checks.leaks,
    "runs in MLflow": review_checks.runs,
    "params in MLflow": review_checks.params,
    "tags in MLflow": review_checks.tags,
    "metric values in MLflow": review_checks.points,
    "ends in MLflow": review_checks.ends,
    "files in MLflow": review_checks.artifacts,
    "outbox": review_checks.outbox,
    "study finished": run_checks.finished,
    "driver ends explained": run_checks.driver_ends,
    "promises kept on the spot": run_checks.promises,
}


def audit(evidence: Evidence) -> tuple[Check, ...]:
    """Check everything."""
    return tuple(check(name, evidence) for name, check in CHECKS.items())
