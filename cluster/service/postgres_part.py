"""The service's own PostgreSQL. It stays on 127.0.0.1: drivers, who alone need it, are here."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError
from cluster.postgres import refusal, server_command
from cluster.postgres_folder import (
    create_postgres,
    forget_dead_server,
    postmaster,
    read_login,
    server_processes,
)
from cluster.postgres_programs import surroundings
from cluster.service.begun import Begun, Launch, kill_all
from cluster.service.part import Part
from cluster.service.ports import Port
from cluster.service.wish import Setting

_END_S: Final = 60.0
_PAUSE_S: Final = 0.05
_USER: Final = ("user", "group", "extra_groups")


def _ports(setting: Setting) -> tuple[Port, ...]:
    folder = setting.folder.postgres
    if not folder.exists():
        return ()
    return (
        Port(
            address="127.0.0.1",
            number=read_login(folder).port,
            what="PostgreSQL",
            remedy=f"write another port into {folder / 'login.json'}",
        ),
    )


def _launch(setting: Setting) -> Launch:
    folder = setting.folder.postgres
    _ensure_created(folder)
    if (number := postmaster(folder)) is not None:
        raise ClusterError(
            f"the PostgreSQL in {folder} must not run yet, but process {number} runs it; end that "
            "with SIGINT."
        )
    forget_dead_server(folder)
    given = surroundings(folder)
    return Launch(
        command=server_command(folder, read_login(folder)),
        # Without the service's mark, by which drivers are found: its processes have sessions too.
        environment=given["env"],
        folder=folder,
        log=setting.folder.log("postgres"),
        user={name: given[name] for name in _USER if name in given},
    )


def _ensure_created(folder: Path) -> None:
    """Make it, once; a half-made one is never taken for it."""
    if folder.exists():
        return
    half = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(half, ignore_errors=True)
    create_postgres(half)
    half.rename(folder)


def _refusal(setting: Setting) -> str | None:
    return refusal(read_login(setting.folder.postgres))


def _end(begun: Begun, setting: Setting) -> None:
    """Shut it down without waiting for clients, with all written; kill it if that takes long."""
    begun.signal(signal.SIGINT)
    end = time.monotonic() + _END_S
    while begun.lives() and time.monotonic() < end:
        time.sleep(_PAUSE_S)
    _kill(begun, setting)


def _kill(begun: Begun, setting: Setting) -> None:
    begun.kill()
    # They end by themselves when the main process has, but not at once; till then none starts.
    kill_all(lambda: server_processes(setting.folder.postgres))


POSTGRES: Final = Part(
    name="postgres",
    title="PostgreSQL",
    # Recovery after a crash included.
    patience_s=120.0,
    place=lambda setting: f"127.0.0.1:{read_login(setting.folder.postgres).port}",
    ports=_ports,
    launch=_launch,
    refusal=_refusal,
    end=_end,
    kill=_kill,
)
