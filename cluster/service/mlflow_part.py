"""MLflow's server on the storage's own store; beyond this machine it asks for a password."""

from __future__ import annotations

import base64
import socket
from typing import Final

from cluster.mlflow_server import Guard, server_command, server_environment
from cluster.service.begun import Begun, Launch
from cluster.service.part import Part, surroundings
from cluster.service.passwords import ADMIN, ensure_passwords, read_passwords
from cluster.service.ports import Port
from cluster.service.request import ask
from cluster.service.wish import Setting

_END_S: Final = 10.0


def _ports(setting: Setting) -> tuple[Port, ...]:
    return (
        Port(
            address=setting.address,
            number=setting.wish.mlflow_port,
            what="MLflow's server",
            remedy="choose another port with --mlflow-port",
        ),
    )


def _launch(setting: Setting) -> Launch:
    wish = setting.wish
    store = f"sqlite:///{wish.tracking_database}"
    settings = server_environment(store, wish.artifacts, _guard(setting))
    return Launch(
        command=server_command(setting.address, wish.mlflow_port, is_guarded=setting.is_open),
        environment={**surroundings(setting), **settings},
        folder=setting.folder.root,
        log=setting.folder.log("mlflow"),
    )


def _guard(setting: Setting) -> Guard | None:
    if not setting.is_open:
        return None
    passwords = ensure_passwords(setting.folder)
    names = {setting.address, socket.gethostname(), socket.getfqdn()}
    return Guard(
        config=setting.folder.auth_config,
        password=passwords.admin,
        session_key=passwords.session_key,
        hosts=tuple(sorted(names)),
        port=setting.wish.mlflow_port,
    )


def _refusal(setting: Setting) -> str | None:
    health = ask(f"{setting.mlflow}/health")
    if health.status != 200 or not setting.is_open:
        return None if health.status == 200 else health.reason
    url = f"{setting.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0"
    who = f"{ADMIN}:{read_passwords(setting.folder).admin}".encode()
    known = ask(url, {"Authorization": f"Basic {base64.b64encode(who).decode()}"})
    if known.status != 200:
        return f"it refuses its own password: {known.reason}"
    stranger = ask(url)
    return None if stranger.status == 401 else f"it answers without a password ({stranger.status})"


def _end(begun: Begun, _: Setting) -> None:
    begun.end(_END_S)


def _kill(begun: Begun, _: Setting) -> None:
    begun.kill()


MLFLOW: Final = Part(
    name="mlflow",
    title="MLflow",
    # A fresh database took 22 s on two busy cores.
    patience_s=240.0,
    place=lambda setting: setting.mlflow,
    ports=_ports,
    launch=_launch,
    refusal=_refusal,
    end=_end,
    kill=_kill,
)
