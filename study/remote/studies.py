"""Studies as jobs of a cluster: one job at a time per study, which drives it."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError
from cluster.jobs import Job, JobPlan, Jobs
from study.errors import BusyError, SpecError
from study.ready import READY
from study.remote.project import PROGRAM, environment, packages

_TAG: Final = "study"
_FILE: Final = "study.yaml"
_PAUSE_S: Final = 0.5
# What Ray says of a name that a job has or had.
_TAKEN: Final = "already exists"


def submit(jobs: Jobs, study: str, text: str, arguments: Sequence[str]) -> str:
    """Start the driver of a study file on the cluster; gives the job's name.

    Args:
        jobs: The cluster's.
        study: The study's name.
        text: The study file.
        arguments: Options of ``run`` that hold there.

    Raises:
        BusyError: If a job of the cluster runs the study.
        ClusterError: If the cluster does not take it.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _FILE).write_text(text, encoding="utf-8")
        return _start(jobs, study, ("run", _FILE, *arguments), Path(folder))


def resume(jobs: Jobs, study: str, arguments: Sequence[str]) -> str:
    """Start a driver that goes on with a study which the cluster's storage holds.

    Raises:
        BusyError: If a job of the cluster runs the study.
        ClusterError: If the cluster does not take it.
    """
    return _start(jobs, study, ("resume", study, *arguments), None)


def latest(jobs: Jobs, study: str) -> Job:
    """Give the job that drove a study last, or drives it.

    Raises:
        SpecError: If the cluster has had none since its head started.
    """
    found = _of_study(jobs, study)
    if not found:
        names = sorted({job.tags[_TAG] for job in jobs.listed() if _TAG in job.tags})
        known = f"has run {', '.join(names)}" if names else "has run none"
        raise SpecError(
            f"{study} must be a study that this cluster has run since its head started, which "
            f"{known}; 'status' looks into its storage, and 'resume' goes on with a study there."
        )
    return found[-1]


def wait_until_ready(jobs: Jobs, name: str) -> tuple[Job, str]:
    """Wait until a driver found all in order and trains, or ended; gives it and what it said."""
    while True:
        job = jobs.job(name)
        said = jobs.said(name)
        if job.has_ended or READY in said:
            return job, said
        time.sleep(_PAUSE_S)


def stop(jobs: Jobs, study: str, patience_s: float) -> Job:
    """Stop the driver of a study in order; gives its job as it stands then.

    Raises:
        SpecError: If the cluster knows no job of the study.
    """
    job = latest(jobs, study)
    if job.has_ended:
        return job
    jobs.stop(job.name)
    return jobs.wait(job.name, patience_s)


def follow(jobs: Jobs, study: str, say: Callable[[str], None]) -> Job:
    """Pass on what the driver of a study writes until it ends.

    Raises:
        SpecError: If the cluster knows no job of the study.
    """
    return jobs.follow(latest(jobs, study).name, say)


def _start(jobs: Jobs, study: str, arguments: Sequence[str], folder: Path | None) -> str:
    before = _of_study(jobs, study)
    for job in before:
        if not job.has_ended:
            raise BusyError(
                f"study {study!r} must not be running to be started, but job {job.name} of the "
                f"cluster runs it; watch it with 'logs {study} -f', or stop it first."
            )
    plan = JobPlan(
        # Signals are for the program, not for a shell around it.
        command=f"exec {PROGRAM} {shlex.join(arguments)} --as-job",
        tags={"program": "challenger-study", _TAG: study},
        packages=packages(),
        folder=folder,
        environment=environment(),
        # Of two who submit it at the same moment, Ray takes one.
        name=f"{study}-{len(before) + 1}",
    )
    try:
        return jobs.submit(plan)
    except ClusterError as error:
        if _TAKEN not in str(error):
            raise
        raise BusyError(
            f"study {study!r} must not be running to be started, but somebody else started it at "
            f"this very moment, as job {plan.name}."
        ) from None


def _of_study(jobs: Jobs, study: str) -> tuple[Job, ...]:
    return tuple(job for job in jobs.listed() if job.tags.get(_TAG) == study)
