"""Ray's Jobs API of a running cluster, over HTTP and with its token."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cluster.auth import token_file
from cluster.errors import ClusterError
from cluster.plain_errors import plain_reason
from cluster.port_owner import foreign_server_error
from cluster.session import prepare_environment

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

# Ray prefers these to the address that it is given.
_ADDRESS_VARIABLES: Final = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
_ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_POLL_INTERVAL_S: Final = 1.0
# A stopped driver is killed after three seconds by default; an orderly stop needs ten.
_STOP_TIMEOUT_S: Final = 30
_NOISY_LOGGERS: Final = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
# A head that has just started answers before it can run a job.
_NO_AGENT: Final = "No available agent"
_AGENT_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A driver on the cluster.

    Attributes:
        name: Submission ID, unique on the cluster.
        state: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``STOPPED``.
        start_time_ms: Start, in ms since 1970, by the head's clock.
        exit_code: Exit code of the program, or None if it has not ended or Ray ended it.
        message: Ray's message about the state.
    """

    name: str
    state: str
    metadata: Mapping[str, str]
    start_time_ms: int
    exit_code: int | None
    message: str

    @property
    def has_ended(self) -> bool:
        """Whether the state is final."""
        return self.state in _ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A driver to submit.

    Attributes:
        command: Shell command that the head runs.
        metadata: Listed with the job, for all users of the cluster: no secrets.
        py_modules: Folders of Python packages that it and its workers import.
        folder: Folder that is uploaded as its working directory, or None.
        environment: Variables of it and its workers; listed like the metadata.
        name: Submission ID that no job of the cluster ever had, or None for any.
    """

    command: str
    metadata: Mapping[str, str]
    py_modules: Sequence[Path]
    folder: Path | None = None
    environment: Mapping[str, str]
    name: str | None = None


class JobClient:
    """The jobs of one cluster."""

    def __init__(self, address: str) -> None:
        """Connect to a dashboard such as ``http://10.0.0.1:8265``.

        Raises:
            ClusterError: If the address is malformed, no dashboard answers there, or it refuses
                the token.
        """
        self._address = _checked_address(address)
        prepare_environment()
        for variable in _ADDRESS_VARIABLES:
            os.environ.pop(variable, None)
        from ray.job_submission import JobSubmissionClient

        # Errors are raised in our words; the rest is about uploads.
        for source in _NOISY_LOGGERS:
            logging.getLogger(source).setLevel(logging.ERROR)
        self._client: JobSubmissionClient = self._call(JobSubmissionClient, self._address)

    def submit(self, spec: JobSpec) -> str:
        """Start a driver and return its name.

        Raises:
            ClusterError: If the cluster refuses it.
        """
        environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_TIMEOUT_S), **spec.environment}
        runtime: dict[str, Any] = {
            "py_modules": [str(path) for path in spec.py_modules],
            "env_vars": environment,
            "excludes": ["__pycache__"],
        }
        if spec.folder is not None:
            runtime["working_dir"] = str(spec.folder)
        deadline = time.monotonic() + _AGENT_TIMEOUT_S
        while True:
            try:
                name: str = self._call(
                    self._client.submit_job,
                    entrypoint=spec.command,
                    submission_id=spec.name,
                    runtime_env=runtime,
                    metadata=dict(spec.metadata),
                )
            except ClusterError as error:
                if _NO_AGENT not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_INTERVAL_S)
            else:
                return name

    def list_jobs(self) -> tuple[Job, ...]:
        """Return all jobs submitted to the cluster since its head started, oldest first.

        Raises:
            ClusterError: If the cluster does not answer.
        """
        found = [_job(each) for each in self._call(self._client.list_jobs) if each.submission_id]
        return tuple(sorted(found, key=lambda job: job.start_time_ms))

    def get_job(self, name: str) -> Job:
        """Return a job.

        Raises:
            ClusterError: If the cluster does not answer, or has no job of that name.
        """
        return _job(self._call(self._client.get_job_info, name))

    def get_logs(self, name: str) -> str:
        """Return a job's output so far. Raises as :meth:`get_job`."""
        return str(self._call(self._client.get_job_logs, name))

    def follow(self, name: str, write: Callable[[str], None]) -> Job:
        """Pass a job's output to ``write`` piece by piece until it ends; return the ended job.

        Raises as :meth:`get_job`.
        """
        shown = 0

        async def tail() -> None:
            nonlocal shown
            received = 0
            async for piece in self._client.tail_job_logs(name):
                # A new connection begins with the first line again.
                fresh = piece[max(0, shown - received) :]
                received += len(piece)
                if fresh:
                    write(fresh)
                    shown = received

        while not self.get_job(name).has_ended:
            self._call(asyncio.run, tail())
            time.sleep(_POLL_INTERVAL_S)
        if rest := self.get_logs(name)[shown:]:
            write(rest)
        return self.get_job(name)

    def wait(self, name: str, timeout_s: float) -> Job:
        """Wait for a job's end and return it, as it is then or after the timeout.

        Raises as :meth:`get_job`.
        """
        deadline = time.monotonic() + timeout_s
        while not (job := self.get_job(name)).has_ended and time.monotonic() < deadline:
            time.sleep(_POLL_INTERVAL_S / 4)
        return job

    def stop(self, name: str) -> None:
        """Send SIGTERM to a job. Raises as :meth:`get_job`."""
        self._call(self._client.stop_job, name)

    def delete(self, name: str) -> None:
        """Remove a job that has ended from the list. Raises as :meth:`get_job`."""
        self._call(self._client.delete_job, name)

    def _call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        """Call Ray, with its errors as :class:`ClusterError`."""
        import aiohttp
        import requests
        from ray.exceptions import AuthenticationError

        try:
            return function(*arguments, **named)
        except AuthenticationError:
            _raise_token_error(self._address)
        except (RuntimeError, OSError, requests.RequestException, aiohttp.ClientError) as error:
            raise ClusterError(
                f"the Ray cluster at {self._address} must answer, but: "
                f"{plain_reason(error)}; check the address, and whether it runs."
            ) from None


def _raise_token_error(address: str) -> NoReturn:
    raise ClusterError(
        f"the Ray cluster at {address} requires its token, but none that it accepts is in "
        f"{token_file()}; copy the head's there, readable by you alone (chmod 600)."
    )


def _checked_address(address: str) -> str:
    if not address.startswith(("http://", "https://")):
        raise ClusterError(
            f"--address must be that of the cluster's dashboard, such as http://10.0.0.1:8265, "
            f"got {address!r}; 'cluster up' and 'cluster status' print it."
        )
    if (reason := foreign_server_error(address)) is not None:
        raise ClusterError(f"the cluster at {address} must be yours, but {reason}.")
    return address.rstrip("/")


def _job(details: JobDetails) -> Job:
    return Job(
        name=str(details.submission_id),
        state=str(details.status.value),
        metadata=details.metadata or {},
        start_time_ms=details.start_time or 0,
        exit_code=details.driver_exit_code,
        message=details.message or "",
    )
