"""Ray jobs that drive a study on a cluster, or run one command of the program there.

Only the cluster reads the study's storage and database; a dashboard's port is often all that a
laptop reaches of it.
"""

from __future__ import annotations

import importlib.util
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import uuid4

from cluster.errors import ClusterError
from cluster.jobs import Job, JobClient, JobSpec
from study.engine.status import READY
from study.records.environment import COMMIT_VARIABLE, git_commit
from study.records.errors import BusyError, SpecError

_PACKAGES: Final = ("study", "trainables", "search_spaces", "cluster")
# `-P`: a folder called study in the current one is not our package.
PROGRAM: Final = "python -P -m study"


def py_modules() -> tuple[Path, ...]:
    """Return the folders of the packages that the program consists of."""
    found = (importlib.util.find_spec(name) for name in _PACKAGES)
    return tuple(
        Path(spec.submodule_search_locations[0])
        for spec in found
        if spec is not None and spec.submodule_search_locations
    )


def environment() -> Mapping[str, str]:
    """Return what the code itself cannot tell once it has left its checkout."""
    commit = git_commit()
    return {COMMIT_VARIABLE: commit} if commit else {}


# A cluster that is busy takes a while to start a process.
_COMMAND_TIMEOUT_S: Final = 180.0
_RAY_LINE: Final = "Running entrypoint for job "
_RAY_LOG: Final = " job_manager.py:"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutput:
    """The output of a command on the cluster.

    Attributes:
        exit_code: The command's.
        text: All that it wrote.
    """

    exit_code: int
    text: str


def run_command(jobs: JobClient, arguments: Sequence[str]) -> CommandOutput:
    """Run a command of the program on the cluster and wait for it.

    Args:
        jobs: The cluster's.
        arguments: The command and what follows it; listed on the cluster, so no secrets.

    Raises:
        ClusterError: If the cluster does not answer, or not in time.
    """
    begin, end = f"begin-{uuid4().hex}", f"end-{uuid4().hex}"
    command = f"{PROGRAM} {shlex.join(arguments)}"
    plan = JobSpec(
        command=f"echo {begin}; {command}; code=$?; echo {end}; exit $code",
        metadata={"program": "challenger-study", "question": " ".join(arguments)},
        py_modules=py_modules(),
        environment=environment(),
    )
    name = jobs.submit(plan)
    job = jobs.wait(name, _COMMAND_TIMEOUT_S)
    said = jobs.get_logs(name)
    if not job.has_ended:
        jobs.stop(name)
        raise ClusterError(
            f"the cluster must run '{command}' within {_COMMAND_TIMEOUT_S:.0f} s, but did not "
            f"({job.message}); try again when it is less busy, or look at its dashboard."
        )
    lines = program_lines(said)
    if job.exit_code is None or begin not in lines or end not in lines:
        raise ClusterError(_failed_command(command, job, said))
    jobs.delete(name)
    text = "\n".join(lines[lines.index(begin) + 1 : lines.index(end)])
    return CommandOutput(exit_code=job.exit_code, text=text)


def program_lines(said: str) -> list[str]:
    r"""Return the lines of a job's program without Ray's, which may stand anywhere among them.

    Example:
        >>> program_lines("Running entrypoint for job a: python\nSpecError: no.\n")
        ['SpecError: no.']
    """
    lines = said.splitlines()
    return [line for line in lines if not line.startswith(_RAY_LINE) and _RAY_LOG not in line]


def _failed_command(command: str, job: Job, said: str) -> str:
    came = " ".join(f"{job.message} {said}".split())[-600:]
    return (
        f"the cluster must be able to run '{command}', but: {came}; look at job {job.name} on its "
        "dashboard."
    )


_TAG: Final = "study"
_STUDY_FILE: Final = "study.yaml"
_POLL_S: Final = 0.5
# Ray's message about a job name that exists.
_NAME_TAKEN: Final = "already exists"


def submit(
    jobs: JobClient,
    study: str,
    text: str,
    arguments: Sequence[str],
    plugins: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Start the driver of a study file on the cluster, with its plug-ins; gives the job's name.

    Args:
        jobs: The cluster's.
        study: The study's name.
        text: The study file.
        arguments: Options of ``run`` that hold there.
        plugins: Loaded plug-ins that travel with it, module to digest.

    Raises:
        BusyError: If a job of the cluster runs the study.
        ClusterError: If the cluster does not take it.
    """
    from study.storage.plugin_copies import save_plugins

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _STUDY_FILE).write_text(text, encoding="utf-8")
        save_plugins(plugins, Path(folder))
        return _start(jobs, study, ("run", _STUDY_FILE, *arguments), Path(folder))


def resume(jobs: JobClient, study: str, arguments: Sequence[str]) -> str:
    """Start a driver that goes on with a study which the cluster's storage holds.

    Raises:
        BusyError: If a job of the cluster runs the study.
        ClusterError: If the cluster does not take it.
    """
    return _start(jobs, study, ("resume", study, *arguments), None)


def latest_job(jobs: JobClient, study: str) -> Job:
    """Return the job that drove a study last, or drives it.

    Raises:
        SpecError: If the cluster has had none since its head started.
    """
    found = _jobs_of_study(jobs, study)
    if not found:
        names = sorted({job.metadata[_TAG] for job in jobs.list_jobs() if _TAG in job.metadata})
        known = f"has run {', '.join(names)}" if names else "has run none"
        raise SpecError(
            f"{study} must be a study that this cluster has run since its head started, which "
            f"{known}; 'status' looks into its storage, and 'resume' goes on with a study there."
        )
    return found[-1]


def wait_until_ready(jobs: JobClient, name: str) -> tuple[Job, str]:
    """Wait until a driver found all in order and trains, or ended; gives it and what it said."""
    while True:
        job = jobs.get_job(name)
        said = jobs.get_logs(name)
        if job.has_ended or READY in said:
            return job, said
        time.sleep(_POLL_S)


def stop(jobs: JobClient, study: str, timeout_s: float) -> Job:
    """Stop the driver of a study in order; gives its job as it stands then.

    Raises:
        SpecError: If the cluster knows no job of the study.
    """
    job = latest_job(jobs, study)
    if job.has_ended:
        return job
    jobs.stop(job.name)
    return jobs.wait(job.name, timeout_s)


def follow(jobs: JobClient, study: str, say: Callable[[str], None]) -> Job:
    """Pass on what the driver of a study writes until it ends.

    Raises:
        SpecError: If the cluster knows no job of the study.
    """
    return jobs.follow(latest_job(jobs, study).name, say)


def _start(jobs: JobClient, study: str, arguments: Sequence[str], folder: Path | None) -> str:
    before = _jobs_of_study(jobs, study)
    for job in before:
        if not job.has_ended:
            raise BusyError(
                f"study {study!r} must not be running to be started, but job {job.name} of the "
                f"cluster runs it; watch it with 'logs {study} -f', or stop it first."
            )
    plan = JobSpec(
        # Signals are for the program, not for a shell around it.
        command=f"exec {PROGRAM} {shlex.join(arguments)} --as-job",
        metadata={"program": "challenger-study", _TAG: study},
        py_modules=py_modules(),
        folder=folder,
        environment=environment(),
        # Of two submissions at the same moment, Ray accepts one.
        name=f"{study}-{len(before) + 1}",
    )
    try:
        return jobs.submit(plan)
    except ClusterError as error:
        if _NAME_TAKEN not in str(error):
            raise
        raise BusyError(
            f"study {study!r} must not be running to be started, but it was started at "
            f"this very moment, as job {plan.name}."
        ) from None


def _jobs_of_study(jobs: JobClient, study: str) -> tuple[Job, ...]:
    return tuple(job for job in jobs.list_jobs() if job.metadata.get(_TAG) == study)
