"""A question to the program on a cluster: a short job that runs one of its commands there.

Only the cluster sees the study's storage and database, and a dashboard's port is often all that a
laptop can reach of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from cluster.errors import ClusterError
from cluster.jobs import Job, JobPlan, Jobs
from study.remote.project import PROGRAM, environment, packages

# A cluster that is busy takes a while to start a process.
_PATIENCE_S: Final = 180.0
_RAYS_LINE: Final = "Running entrypoint for job "
_RAYS_LOG: Final = " job_manager.py:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a command on the cluster said.

    Attributes:
        exit_code: The command's.
        text: All that it wrote.
    """

    exit_code: int
    text: str


def ask(jobs: Jobs, arguments: Sequence[str]) -> Reply:
    """Run a command of the program on the cluster and wait for it.

    Args:
        jobs: The cluster's.
        arguments: The command and what follows it; listed on the cluster, so no secrets.

    Raises:
        ClusterError: If the cluster does not answer, or not in time.
    """
    begin, end = f"begin-{uuid4().hex}", f"end-{uuid4().hex}"
    command = f"{PROGRAM} {shlex.join(arguments)}"
    plan = JobPlan(
        command=f"echo {begin}; {command}; code=$?; echo {end}; exit $code",
        tags={"program": "challenger-study", "question": " ".join(arguments)},
        packages=packages(),
        environment=environment(),
    )
    name = jobs.submit(plan)
    job = jobs.wait(name, _PATIENCE_S)
    said = jobs.said(name)
    if not job.has_ended:
        jobs.stop(name)
        raise ClusterError(
            f"the cluster must run '{command}' within {_PATIENCE_S:.0f} s, but did not "
            f"({job.message}); try again when it is less busy, or look at its dashboard."
        )
    lines = program_lines(said)
    if job.exit_code is None or begin not in lines or end not in lines:
        raise ClusterError(_not_run(command, job, said))
    jobs.forget(name)
    text = "\n".join(lines[lines.index(begin) + 1 : lines.index(end)])
    return Reply(exit_code=job.exit_code, text=text)


def program_lines(said: str) -> list[str]:
    r"""Give the lines of a job's program without Ray's, which may stand anywhere among them.

    Example:
        >>> program_lines("Running entrypoint for job a: python\nSpecError: no.\n")
        ['SpecError: no.']
    """
    lines = said.splitlines()
    return [line for line in lines if not line.startswith(_RAYS_LINE) and _RAYS_LOG not in line]


def _not_run(command: str, job: Job, said: str) -> str:
    came = " ".join(f"{job.message} {said}".split())[-600:]
    return (
        f"the cluster must be able to run '{command}', but: {came}; look at job {job.name} on its "
        "dashboard."
    )
