"""PostgreSQL as a component of the service, on 127.0.0.1 alone, where the drivers run."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError
from cluster.ports import Port
from cluster.postgres import (
    connection_error,
    create_postgres,
    popen_options,
    postmaster_pid,
    read_login,
    remove_stale_pid_file,
    server_command,
    server_pids,
)
from cluster.process import wait_until
from cluster.service.component import Component
from cluster.service.config import Service
from cluster.service.daemon import DaemonProcess, ProcessSpec, kill_all

_STOP_TIMEOUT_S: Final = 60.0
_USER_OPTIONS: Final = ("user", "group", "extra_groups")


def _ports(service: Service) -> tuple[Port, ...]:
    folder = service.folder.postgres
    if not folder.exists():
        return ()
    return (
        Port(
            address="127.0.0.1",
            number=read_login(folder).port,
            server="PostgreSQL",
            remedy=f"write another port into {folder / 'login.json'}",
        ),
    )


def _prepare(service: Service) -> ProcessSpec:
    folder = service.folder.postgres
    _ensure_created(folder)
    if (pid := postmaster_pid(folder)) is not None:
        raise ClusterError(
            f"the PostgreSQL in {folder} must not run yet, but process {pid} runs it; stop it "
            "with SIGINT."
        )
    remove_stale_pid_file(folder)
    options = popen_options(folder)
    return ProcessSpec(
        command=server_command(folder, read_login(folder)),
        # Without the service's mark, which identifies drivers: its processes have sessions too.
        environment=options["env"],
        folder=folder,
        log=service.folder.log("postgres"),
        umask=0o077,
        user={name: options[name] for name in _USER_OPTIONS if name in options},
    )


def _ensure_created(folder: Path) -> None:
    """Create the server, once and atomically."""
    if folder.exists():
        return
    partial = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    create_postgres(partial)
    partial.rename(folder)


def _health_error(service: Service) -> str | None:
    return connection_error(read_login(service.folder.postgres))


def _stop(daemon: DaemonProcess, service: Service) -> None:
    """Shut it down without waiting for clients; kill it after a minute."""
    daemon.signal(signal.SIGINT)
    wait_until(lambda: not daemon.is_alive(), _STOP_TIMEOUT_S)
    _kill(daemon, service)


def _kill(daemon: DaemonProcess, service: Service) -> None:
    daemon.kill()
    # They end after the main process, but not at once, and block the next start until then.
    kill_all(lambda: server_pids(service.folder.postgres))


POSTGRES: Final = Component(
    name="postgres",
    title="PostgreSQL",
    # Recovery after a crash included.
    timeout_s=120.0,
    endpoint=lambda service: f"127.0.0.1:{read_login(service.folder.postgres).port}",
    ports=_ports,
    prepare=_prepare,
    health_error=_health_error,
    stop=_stop,
    kill=_kill,
)
