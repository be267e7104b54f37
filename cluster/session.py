"""A Ray session for one study: a local Ray that ends with it, or a connection to a running one."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.errors import ClusterError
from cluster.head import HeadWatch, rays_patience_s, refusal

_PATIENCE_S = 10.0

# Read by Ray when it is imported or when it starts workers, so they are set before either.
ENVIRONMENT = {
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
    # Ray's snapshots of an experiment are not read by anyone: the ledger is the truth.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def prepare_environment() -> None:
    """Set what Ray reads from the environment, as far as the user has not; before its import."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def require_answer(address: str) -> None:
    """Make sure that something listens at an address; Ray itself would try for 15 minutes.

    Args:
        address: As for :func:`ray_session`; one without a port is Ray's to find.

    Raises:
        ClusterError: If nothing listens there.
    """
    place = address.removeprefix("ray://")
    if not place.rpartition(":")[2].isdigit():
        return
    error = refusal(place, _PATIENCE_S)
    if error is not None:
        raise ClusterError(_no_answer(address, error))


@contextmanager
def ray_session(address: str | None, cpus: int | None = None) -> Iterator[HeadWatch]:
    """Hold a Ray for a while.

    Args:
        address: Address of a running Ray (``10.0.0.1:6379``, ``auto``, ``ray://…``), or None to
            start one on this machine and end it afterwards.
        cpus: CPUs of a local Ray; None for all of this machine.

    Yields:
        Whom to ask whether the head is still there.

    Raises:
        ClusterError: If no Ray answers at the address.
    """
    prepare_environment()
    if address is not None:
        require_answer(address)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    import ray

    # What goes wrong in a trial is said by the study, with the trial's name.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        ray.init(
            address=address or "local",
            num_cpus=None if address else cpus,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(_no_answer(address or "this machine", error)) from None
    # Ray puts handlers of its own in place, whose last abort the process.
    signal.signal(signal.SIGTERM, on_sigterm)
    head = HeadWatch(ray.get_runtime_context().gcs_address, rays_patience_s())
    try:
        yield head
    finally:
        # Ray would wait for a lost one, and then end the process.
        if not head.is_lost:
            ray.shutdown()


def _no_answer(address: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300]
    return (
        f"no Ray answered at {address}: {reason}; check the address, or leave --address out to "
        "use this machine alone."
    )


def require_resources(cpus: float, gpus: float) -> None:
    """Make sure that a trial can ever be placed on the cluster that is connected.

    Raises:
        ClusterError: If no node has as many CPUs or GPUs as one trial asks for.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    fits = [n for n in nodes if n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus]
    if not fits:
        most_cpus = max((node.get("CPU", 0) for node in nodes), default=0)
        most_gpus = max((node.get("GPU", 0) for node in nodes), default=0)
        raise ClusterError(
            f"resources ask for {cpus:g} CPUs and {gpus:g} GPUs per trial, but the largest node "
            f"has {most_cpus:g} CPUs and {most_gpus:g} GPUs; lower resources.cpus or "
            "resources.gpus, or connect to another cluster."
        )
