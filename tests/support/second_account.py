"""Another account of the machine, which tries to get at a user's processes, files and ports.

``python -m tests.support.second_account`` becomes a user that owns nothing and is in no group,
reads :class:`Targets` as JSON from standard input, tries all of them, and writes each success as
a line of JSON; see :func:`attempts`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import psutil
import psycopg
import pytest

# An account that no process has, as the one of a container's unknown user.
_UID: Final = 65533
_PROJECT: Final = Path(__file__).resolve().parents[1]

# One of each kind of server that Ray has.
_METHODS: Final = (
    "CoreWorkerService/GetCoreWorkerStats",
    "InternalKVGcsService/InternalKVGet",
    "JobInfoGcsService/GetAllJobInfo",
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "ObjectManagerService/Pull",
    "ReporterService/GetTraceback",
)
# What is asked of every server that speaks HTTP: MLflow's and Ray's.
_QUESTIONS: Final = (
    ("GET", "/api/jobs/", None),
    ("POST", "/api/jobs/", {"entrypoint": "true"}),
    ("GET", "/api/v0/nodes", None),
    ("GET", "/api/v0/logs", None),
    ("GET", "/api/cluster_status", None),
    ("GET", "/nodes?view=summary", None),
    ("GET", "/metrics", None),
    ("POST", "/get_or_create_runtime_env", {}),
    ("GET", "/version", None),
    ("GET", "/get-artifact?run_id=x&path=auth_token", None),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts", None),
    ("GET", "/api/2.0/mlflow/experiments/search?max_results=1", None),
    (
        "POST",
        "/api/2.0/mlflow/experiments/create",
        {"name": "stranger's", "artifact_location": "file:///tmp/x"},
    ),
    ("POST", "/api/2.0/mlflow/experiments/delete", {"experiment_id": "1"}),
    ("POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=x&path=y", {}),
    ("POST", "/ajax-api/3.0/mlflow/assistant/message", {"message": "id"}),
)
# Nothing is there, or nobody may.
_CLOSED: Final = {401, 403, 404, 405}
_REFUSALS: Final = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAVAILABLE,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What a user has on a machine.

    Attributes:
        processes: Numbers of the user's processes.
        paths: Files and folders, each of which is the user's alone.
        ports: Address and port of what listens.
        sockets: Names of sockets in the file system, or ``@`` and an abstract name.
        postgres: Users and ports of PostgreSQL.
    """

    processes: Sequence[int]
    paths: Sequence[str]
    ports: Sequence[tuple[str, int]]
    sockets: Sequence[str]
    postgres: Sequence[tuple[str, int]] = ()


def targets_of(processes: Iterable[int], folders: Iterable[Path]) -> Targets:
    """Look, as root, what processes have and what lies in folders.

    Args:
        processes: Of one service or one run.
        folders: Of which nothing is for others; what processes have open in these or in folders
            for temporary files is added.
    """
    numbers = sorted(processes)
    homes = (*map(str, folders), "/tmp/", "/dev/shm/", "/var/tmp/", "/run/user/")
    paths = {str(path) for folder in folders for path in (folder, *folder.rglob("*"))}
    ports, sockets = set(), set()
    for number in numbers:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(number)
            paths |= {each.path for each in process.open_files() if each.path.startswith(homes)}
            for each in process.net_connections("all"):
                if each.status == psutil.CONN_LISTEN:
                    ports.add((each.laddr.ip.removeprefix("::ffff:"), each.laddr.port))
                elif each.family == socket.AF_UNIX and each.laddr:
                    sockets.add(each.laddr.replace("\0", "@"))
    paths |= {path for path in sockets if not path.startswith("@")}
    return Targets(
        processes=numbers,
        paths=sorted(paths),
        ports=sorted(ports),
        sockets=sorted(sockets),
    )


def attempts(targets: Targets) -> list[str]:
    """Let the other account try all of it; gives what it could do.

    Skips the test where we are not root, who alone can become another.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.second_account"],
        input=json.dumps(dataclasses.asdict(targets)),
        capture_output=True,
        text=True,
        check=True,
        cwd=_PROJECT,
        env={"PATH": os.defpath, "GRPC_VERBOSITY": "NONE", "PYTHONPATH": str(_PROJECT)},
    )
    found: list[str] = json.loads(done.stdout)
    return found


def _main() -> None:
    given = json.load(sys.stdin)
    # Python reads the list of codecs and protocols only now and then.
    with contextlib.suppress(OSError):
        http.client.HTTPConnection("127.0.0.1", 1, timeout=1).request("GET", "/")
    os.setgroups([])
    os.setgid(_UID)
    os.setuid(_UID)
    os.chdir("/")
    assert os.geteuid() == _UID
    found = [
        *(each for path in given["paths"] for each in _path(path)),
        *(each for name in given["sockets"] for each in _socket(name)),
        *(each for number in given["processes"] for each in _process(number)),
        *(each for place in given["ports"] for each in _port(*place)),
        *(each for place in given["postgres"] for each in _postgres(*place)),
    ]
    print(json.dumps(found))


def _path(path: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            os.listdir(path)
            yield f"lists {path}"
        elif not stat.S_ISSOCK(mode) and not stat.S_ISFIFO(mode):
            with open(path, "rb"):
                yield f"reads {path}"
    with contextlib.suppress(OSError):
        if os.path.isdir(path):
            os.mkdir(f"{path}/stranger")
            yield f"writes into {path}"
        elif os.access(path, os.W_OK):
            yield f"writes {path}"


def _socket(name: str) -> Iterator[str]:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(f"\0{name[1:]}" if name.startswith("@") else name)
        yield f"connects to {name}"


def _process(number: int) -> Iterator[str]:
    for name in ("environ", "mem", "maps", "io"):
        with contextlib.suppress(OSError), open(f"/proc/{number}/{name}", "rb") as file:
            file.read(1)
            yield f"reads /proc/{number}/{name}"
    with contextlib.suppress(OSError):
        os.listdir(f"/proc/{number}/fd")
        yield f"lists /proc/{number}/fd"
    with contextlib.suppress(OSError):
        os.kill(number, 0)
        yield f"may signal {number}"


def _port(host: str, port: int) -> Iterator[str]:
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)
    for method, path, content in _QUESTIONS:
        try:
            status = _status(host, port, method, path, content)
        except (OSError, http.client.HTTPException):
            # It speaks something else.
            break
        if status not in _CLOSED:
            yield f"{method} {host}:{port}{path}: {status}"
    else:
        return
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        for name in _METHODS:
            try:
                channel.unary_unary(f"/ray.rpc.{name}")(b"", timeout=20)
            except grpc.RpcError as error:
                if error.code() not in _REFUSALS:
                    yield f"calls {name} at {host}:{port}: {error.code()}"
            else:
                yield f"calls {name} at {host}:{port}"


def _status(host: str, port: int, method: str, path: str, content: Any) -> int:  # noqa: ANN401
    client = http.client.HTTPConnection(host, port, timeout=20)
    try:
        body = None if content is None else json.dumps(content)
        client.request(method, path, body, {"Content-Type": "application/json"})
        return client.getresponse().status
    finally:
        client.close()


def _postgres(user: str, port: int) -> Iterator[str]:
    for name in (user, "postgres"):
        for password in (None, "", "postgres", "challenger"):
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(
                    host="127.0.0.1", port=port, user=name, password=password, dbname="postgres"
                ).close()
                yield f"connects to PostgreSQL at {port} as {name}"


if __name__ == "__main__":
    _main()
