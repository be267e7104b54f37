"""Ray's head with dashboard and Jobs API; its environment is what studies on it inherit.

By itself Ray's head listens on all addresses of the machine, whatever address it is given. What
Ray does on systems without clusters keeps all of it on 127.0.0.1, so this machine alone has that.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cluster.auth import ensure_token, require_token
from cluster.errors import ClusterError
from cluster.free_port import free_port
from cluster.postgres import url_of
from cluster.postgres_folder import read_login
from cluster.service.begun import Begun, Launch
from cluster.service.part import Part, surroundings
from cluster.service.passwords import ADMIN, read_passwords
from cluster.service.ports import Port
from cluster.service.request import ask
from cluster.service.start_hook import HOOK
from cluster.service.wish import Setting
from cluster.session import ENVIRONMENT, prepare_environment

# Ray's own constant; 0 is what it is on macOS.
_CLUSTERS: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
# Its servers of metrics listen everywhere and ask nobody for anything; -1 is no port.
_NO_METRICS: Final = {
    "RAY_enable_metrics_collection": "0",
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
}
# Trials pass a few kilobytes, and containers often have little shared memory.
_STORE_BYTES: Final = 200_000_000


def _ports(setting: Setting) -> tuple[Port, ...]:
    head = "0.0.0.0" if setting.is_open else setting.address
    wish = setting.wish
    return (
        Port(
            address=head,
            number=wish.port,
            what="Ray's head",
            remedy="choose another port with --port",
        ),
        Port(
            address=setting.address,
            number=wish.dashboard_port,
            what="Ray's dashboard",
            remedy="choose another port with --dashboard-port",
        ),
    )


def _launch(setting: Setting) -> Launch:
    _make_folder(setting.folder.ray)
    return Launch(
        command=_command(setting),
        environment=_environment(setting),
        folder=setting.folder.root,
        log=setting.folder.log("ray"),
    )


def _command(setting: Setting) -> list[str]:
    wish = setting.wish
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += [f"--node-ip-address={setting.address}", f"--port={wish.port}"]
    command += [f"--dashboard-host={setting.address}", f"--dashboard-port={wish.dashboard_port}"]
    command += ["--include-dashboard=true", f"--dashboard-agent-listen-port={free_port('Ray')}"]
    # Ray's own range is the same for every Ray of a machine.
    command += ["--min-worker-port=0", "--max-worker-port=0"]
    command += [f"--temp-dir={setting.folder.ray / 'r'}", f"--object-store-memory={_STORE_BYTES}"]
    command += ["--include-log-monitor=false", "--disable-usage-stats"]
    command += [f"--num-cpus={wish.cpus}"] if wish.cpus is not None else []
    return command + ([f"--num-gpus={wish.gpus}"] if wish.gpus is not None else [])


def _environment(setting: Setting) -> Mapping[str, str]:
    ours = surroundings(setting)
    programs = str(Path(sys.executable).parent)
    return {
        **ENVIRONMENT,
        # How long a study that is stopped may take to leave in order; Ray's default is 3 s.
        "RAY_JOB_STOP_WAIT_TIME_S": "30",
        **ours,
        **ensure_token().environment(),
        **_reach(setting),
        # `challenger-study` of this very environment comes first.
        "PATH": f"{programs}{os.pathsep}{ours.get('PATH', os.defpath)}",
        HOOK: "cluster.service.start_hook.without_client_server",
        **_studies(setting),
    }


def _reach(setting: Setting) -> Mapping[str, str]:
    return _NO_METRICS if setting.is_open else {_CLUSTERS: "0"}


def prepare_to_join(setting: Setting) -> None:
    """Set what a process of this machine needs to join as a driver; before it imports Ray.

    Ray takes 127.0.0.1 for another address of the machine's unless it is told so, and the head
    does not listen there.
    """
    prepare_environment()
    os.environ.update(_reach(setting))


def _studies(setting: Setting) -> Mapping[str, str]:
    """Give what studies are told: where results go, with the passwords."""
    told = {"CHALLENGER_STORAGE": str(setting.wish.storage)}
    if setting.wish.data_root is not None:
        told["CHALLENGER_DATA"] = str(setting.wish.data_root)
    if setting.wish.has_postgres:
        told["CHALLENGER_DATABASE"] = url_of(read_login(setting.folder.postgres))
    return {**told, "CHALLENGER_TRACKING_URI": _tracking_uri(setting)}


def _tracking_uri(setting: Setting) -> str:
    if not setting.is_open:
        return setting.mlflow
    who = f"{ADMIN}:{read_passwords(setting.folder).admin}"
    return f"http://{who}@{setting.address}:{setting.wish.mlflow_port}"


def _make_folder(folder: Path) -> None:
    remove_ray_folder(folder)
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ClusterError(
            f"{folder} must be free for Ray's sockets and logs, but: {error.strerror}; delete it."
        ) from None


def remove_ray_folder(folder: Path) -> None:
    """Delete Ray's folder, unless it is another user's: names below ``/tmp`` can be guessed."""
    with suppress(FileNotFoundError):
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def _refusal(setting: Setting) -> str | None:
    url = f"{setting.dashboard}/api/v0/nodes?limit=1000"
    answer = ask(url, require_token().headers())
    if answer.status != 200:
        return answer.reason
    listed: list[dict[str, Any]] = answer.json()["data"]["result"]["result"]
    if not any(node["is_head_node"] and node["state"] == "ALIVE" for node in listed):
        return "its head node has not registered"
    stranger = ask(url)
    return None if stranger.status == 401 else f"it answers without a token ({stranger.status})"


def _end(begun: Begun, _: Setting) -> None:
    # An orderly end waits half a minute for work to move to other nodes. The drivers have ended
    # before, and nothing that Ray holds is read again.
    begun.kill()


RAY: Final = Part(
    name="ray",
    title="Ray",
    # Two busy cores took 40 s.
    patience_s=240.0,
    place=lambda setting: f"{setting.head}, dashboard and jobs at {setting.dashboard}",
    ports=_ports,
    launch=_launch,
    refusal=_refusal,
    end=_end,
    kill=_end,
)
