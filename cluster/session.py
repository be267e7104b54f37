"""A Ray session for one study: a local Ray that ends with it, or a connection to a running one."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.auth import ensure_token
from cluster.errors import ClusterError
from cluster.head import HeadMonitor, connection_error, head_timeout_s
from cluster.nodes import require_schedulable
from cluster.plain_errors import plain_reason
from cluster.port_owner import foreign_listener
from cluster.ray_folder import ray_folder

_CONNECT_TIMEOUT_S = 10.0
# Ray's variables: the authority's certificate, this program's own and its key.
_TLS_FILES = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")
# Ray ends a start after half a minute, which is not a setting; a later one finds files cached.
_TRIES = 6
# Ray's message when its own start exceeded its timeout.
STARTUP_TIMEOUT = "timed out during startup"

# Read by Ray when it is imported or when it starts workers, so they are set before either.
RAY_ENVIRONMENT = {
    # Under `uv run`, Ray would start every worker through `uv run` again, in this folder.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AUTH_MODE": "token",
    # Reports, progress and tracking are the study's own.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # The report of epoch 0 has no objective.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Ctrl-C is the study's own: it lets the trials write their checkpoints first.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Progress is the study's own; the newer output of Tune cannot be silenced.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ray's snapshots of an experiment are not read: the trial database is the record.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # The output of Ray's processes stays in their log files, not on stdout among results.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}


# Its metrics servers have no authentication; -1 is no port.
NO_METRICS = {
    "RAY_enable_metrics_collection": "0",
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
}
# Ray's own constant; 0 is what it is on macOS, and keeps all of a Ray on 127.0.0.1.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def prepare_environment() -> None:
    """Set the variables that Ray reads, unless the user has; before its import."""
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def require_reachable(address: str) -> None:
    """Check that a server listens at an address; Ray itself would try for 15 minutes.

    Args:
        address: As for :func:`ray_session`; one without a port is not checked.

    Raises:
        ClusterError: If no server listens there, or one of another account.
    """
    endpoint = address.removeprefix("ray://")
    if not endpoint.rpartition(":")[2].isdigit():
        return
    host, _, port = endpoint.rpartition(":")
    if (user_id := foreign_listener(host.strip("[]"), int(port))) is not None:
        raise ClusterError(
            f"the Ray at {address} must be yours, because it is sent Ray's token, but that port "
            f"belongs to the account with user ID {user_id}; choose another port."
        )
    error = connection_error(endpoint, _CONNECT_TIMEOUT_S)
    if error is not None:
        raise ClusterError(_unreachable(address, error))
    if os.environ.get("RAY_USE_TLS") == "1":
        _require_trust(address, host.strip("[]"), int(port))


def _require_trust(address: str, host: str, port: int) -> None:
    """Check that the two certificates trust each other; Ray itself would try for ever."""
    files = [os.environ.get(name, "") for name in _TLS_FILES]
    try:
        context = ssl.create_default_context(cafile=files[0])
        context.load_cert_chain(files[1], files[2])
        with (
            socket.create_connection((host, port), _CONNECT_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            pass
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"the Ray at {address} must have a certificate of the authority that {_TLS_FILES[0]} "
            f"names, and this program one too, but: {plain_reason(error)}; look at "
            f"{', '.join(_TLS_FILES)}, or unset RAY_USE_TLS for a Ray without TLS."
        ) from None


@contextmanager
def ray_session(address: str | None, cpus: int | None = None) -> Iterator[HeadMonitor]:
    """Connect to a running Ray, or start a local one and stop it afterwards.

    Args:
        address: Address of a running Ray (``10.0.0.1:6379``, ``auto``, ``ray://…``), or None for
            a local one.
        cpus: CPUs of a local Ray; None for all of this machine.

    Yields:
        The monitor of the head.

    Raises:
        ClusterError: If no Ray answers at the address, or a local one would not be private.
    """
    prepare_environment()
    if address is not None:
        require_reachable(address)
        with _connection(address, lambda: _init(address=address)) as head:
            yield head
        return
    # Ray would create the token's folder readable by all.
    ensure_token()
    # Before Ray is imported: a local Ray is private.
    for name, value in {**NO_METRICS, **LOOPBACK}.items():
        os.environ.setdefault(name, value)
    with (
        ray_folder() as folder,
        _connection("this machine", lambda: _start_local(folder, cpus)) as head,
    ):
        yield head


@contextmanager
def _connection(where: str, connect: Callable[[], None]) -> Iterator[HeadMonitor]:
    on_sigterm = signal.getsignal(signal.SIGTERM)
    import ray

    # The study logs errors of a trial, with the trial's name.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    _connect(where, connect)
    # Ray installs handlers of its own, which abort the process.
    signal.signal(signal.SIGTERM, on_sigterm)
    head = HeadMonitor(ray.get_runtime_context().gcs_address, head_timeout_s())
    try:
        yield head
    finally:
        # Ray would wait for a lost head, and then end the process.
        if not head.is_lost:
            ray.shutdown()


def _init(**given: Any) -> None:  # noqa: ANN401 (Ray's)
    import ray

    ray.init(log_to_driver=False, logging_level=logging.ERROR, **given)


def _start_local(folder: Path, cpus: int | None) -> None:
    _init(address="local", num_cpus=cpus, include_dashboard=False, _temp_dir=str(folder))


def _connect(where: str, connect: Callable[[], None]) -> None:
    import ray

    for _ in range(_TRIES):
        try:
            connect()
        except (
            ConnectionError,
            RuntimeError,
            ValueError,
            ray.exceptions.AuthenticationError,
        ) as error:
            raise ClusterError(_unreachable(where, error)) from None
        except Exception as error:
            # Ray raises no narrower class, after 30 s, which is not a setting.
            if STARTUP_TIMEOUT not in str(error):
                raise
        else:
            return
        ray.shutdown()
    raise ClusterError(
        f"a Ray must start on this machine within half a minute, but did not in {_TRIES} tries; "
        "stop other work on it, or use --executor inline."
    )


def _unreachable(address: str, error: Exception) -> str:
    return (
        f"no Ray answered at {address}: {plain_reason(error)}; check the address, or leave "
        "--address out to use this machine alone."
    )


def require_resources(demand: Mapping[str, float]) -> None:
    """Check that a trial can ever be placed on the connected cluster.

    Args:
        demand: Resources of a trial, by Ray's names.

    Raises:
        ClusterError: If no node has it all.
    """
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    require_schedulable(
        [(node["NodeManagerAddress"], node["Resources"]) for node in nodes], demand
    )
