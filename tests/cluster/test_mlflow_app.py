"""MLflow's server as we run it: who gets in, what each user may do, and where artifacts lie."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.mlflow_server import BasicAuth, server_command, server_environment
from cluster.ports import free_port
from cluster.service.folder import ServiceFolder
from cluster.service.mlflow_component import ADMIN_USER, create_auth

pytestmark = [pytest.mark.timeout(900), pytest.mark.service]

_API = "/api/2.0/mlflow"
_SECRET = "Ray's token, of a file with mode 600"
_OTHER = "somebody-else", "their-long-password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs, and a folder beside its own that is none of its business."""

    home: Path
    guard: BasicAuth

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.guard.port}"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def private(self) -> Path:
        return self.home / "private"

    def ask(
        self,
        path: str,
        who: tuple[str, str] | None,
        content: Any = None,  # noqa: ANN401 (JSON)
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> tuple[int, str]:
        """Ask as a user, or as nobody; gives status and body."""
        given = {"Content-Type": "application/json", **(headers or {})}
        if who is not None:
            given["Authorization"] = basic(*who)
        raw = content if content is None or isinstance(content, bytes) else json.dumps(content)
        request = urllib.request.Request(
            self.address + path,
            headers=given,
            data=raw.encode() if isinstance(raw, str) else raw,
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")

    @property
    def admin(self) -> tuple[str, str]:
        return ADMIN_USER, self.guard.password

    def experiment(self, name: str, who: tuple[str, str]) -> str:
        status, said = self.ask(f"{_API}/experiments/create", who, {"name": name})
        assert status == 200, said
        return str(json.loads(said)["experiment_id"])

    def run_in(self, experiment: str, who: tuple[str, str]) -> str:
        status, said = self.ask(f"{_API}/runs/create", who, {"experiment_id": experiment})
        assert status == 200, said
        return str(json.loads(said)["run"]["info"]["run_id"])

    def sql(self, command: str, *values: object) -> None:
        """Change the database as an older server's request has left it."""
        with closing(sqlite3.connect(self.home / "mlflow.db", timeout=30)) as store, store:
            store.execute(command, values)


def basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("guarded")
    folder = ServiceFolder(root=home / "service")
    folder.prepare()
    port = free_port("MLflow")
    guard = create_auth(folder, ("127.0.0.1", "localhost"), port)
    server = Server(home=home, guard=guard)
    server.artifacts.mkdir()
    server.private.mkdir()
    (server.private / "auth_token").write_text(_SECRET)
    settings = server_environment(f"sqlite:///{home}/mlflow.db", server.artifacts, guard)
    process = subprocess.Popen(
        server_command("127.0.0.1", port),
        env={**os.environ, **settings},
        cwd=home,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 300
        while not is_well(server):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.2)
        name, password = _OTHER
        made = {"username": name, "password": password}
        assert server.ask(f"{_API}/users/create", server.admin, made)[0] == 200
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_well(server: Server) -> bool:
    with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        return server.ask("/health", None)[0] == 200
    return False


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/#/experiments",
        "/version",
        "/login",
        "/static-files/index.html",
        "/favicon.ico",
        "/signup",
        "/graphql",
        "/get-artifact?run_id=x&path=y",
        "/model-versions/get-artifact?name=x&version=1&path=y",
        "/metrics",
        "/health/",
        "//health",
        "/gateway/x/mlflow/invocations",
        "/v1/traces",
        "/ajax-api/3.0/mlflow/assistant/config",
        "/ajax-api/3.0/mlflow/server-info",
        "/ajax-api/3.0/jobs/x",
        "/api/2.0/mlflow-artifacts/artifacts",
        "/api/2.0/mlflow-artifacts/artifacts/0/x",
        f"{_API}/experiments/search?max_results=1",
        f"{_API}/users/get?username=admin",
        "/nothing/of/the/kind",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_nothing_answers_without_a_password(server: Server, path: str, method: str) -> None:
    assert server.ask(path, None, method=method)[0] == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !",
        "Basic YWRtaW4=",
        "Bearer x",
        basic("admin", ""),
        basic("admin", "password1234"),
        basic("owner", ""),
        basic("owner", "x" * 32),
        basic("", ""),
        basic("admin\0", "x"),
    ],
)
def test_a_wrong_password_is_none(server: Server, header: str) -> None:
    given = {"Authorization": header}
    for path in ("/login", "/version", f"{_API}/experiments/search?max_results=1"):
        assert server.ask(path, None, headers=given)[0] == 401


def test_the_health_check_alone_is_public(server: Server) -> None:
    assert server.ask("/health", None) == (200, "OK")


def test_the_owner_s_link_lets_in_and_leaves_no_password_in_the_address(server: Server) -> None:
    owner = ("owner", server.guard.login)
    status, page = server.ask("/login", owner)
    assert status == 200
    assert "location.replace(location.origin" in page
    assert server.guard.login not in page
    assert server.ask("/", owner)[0] == 200
    # The administrator in all: there is no user of that name in MLflow.
    assert server.ask(f"{_API}/users/get?username=admin", owner)[0] == 200
    link = ServiceFolder(root=server.home / "service").link(server.guard.port)
    assert link.read_text() == f"{server.guard.link}\n"
    assert link.stat().st_mode & 0o777 == 0o600
    assert server.guard.link == (
        f"http://owner:{server.guard.login}@127.0.0.1:{server.guard.port}/login"
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
        # A link on another page.
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        # MLflow itself takes every page of this machine for its own.
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
    ],
)
def test_another_page_of_the_owner_s_browser_may_not_ask(
    server: Server, headers: dict[str, str], status: int
) -> None:
    given = {name: text.format(port=server.guard.port) for name, text in headers.items()}
    path = f"{_API}/experiments/search"
    owner = ("owner", server.guard.login)
    assert server.ask(path, owner, {"max_results": 1}, given)[0] == status


@pytest.mark.parametrize(
    "path", ["/ajax-api/3.0/mlflow/assistant/config", "//api/3.0/mlflow/assistant"]
)
def test_no_user_runs_commands_on_the_server_s_machine(server: Server, path: str) -> None:
    for who in (server.admin, _OTHER, ("owner", server.guard.login)):
        assert server.ask(path, who)[0] == 403


def test_only_the_owner_deletes_and_lets_the_server_call_others(server: Server) -> None:
    mine = server.experiment("somebody's own", _OTHER)
    run = server.run_in(mine, _OTHER)
    other_s = server.experiment("the owner's", server.admin)
    refused = [
        (f"{_API}/experiments/delete", {"experiment_id": mine}, "POST"),
        (f"{_API}/experiments/delete", {"experiment_id": other_s}, "POST"),
        ("//api/2.0/mlflow/experiments/delete", {"experiment_id": mine}, "POST"),
        ("/ajax-api/2.0/mlflow/experiments/restore", {"experiment_id": mine}, "POST"),
        (f"{_API}/runs/delete", {"run_id": run}, "POST"),
        (f"{_API}/traces/delete-traces", {"experiment_id": mine}, "POST"),
        (f"/api/2.0/mlflow-artifacts/artifacts/{mine}", None, "DELETE"),
        (f"{_API}/registered-models/delete", {"name": "x"}, "DELETE"),
        (f"{_API}/webhooks", {"name": "x", "url": "http://127.0.0.1:1", "events": []}, "POST"),
        ("/api/3.0/mlflow/gateway/secrets/create", {"secret_name": "x"}, "POST"),
        ("/ajax-api/2.0/mlflow/gateway-proxy", {}, "POST"),
        ("/ajax-api/3.0/jobs/x", None, "GET"),
    ]
    for path, content, method in refused:
        assert server.ask(path, _OTHER, content, method=method)[0] == 403, path
    get = f"{_API}/experiments/get?experiment_id={mine}"
    assert '"active"' in server.ask(get, _OTHER)[1]
    # What is theirs they may label, and nothing else of anybody's.
    tag = {"run_id": run, "key": "note", "value": "x"}
    assert server.ask(f"{_API}/runs/set-tag", _OTHER, tag)[0] == 200
    assert server.ask(f"{_API}/runs/delete-tag", _OTHER, {"run_id": run, "key": "note"})[0] == 200
    assert server.ask(f"{_API}/experiments/get?experiment_id={other_s}", _OTHER)[0] == 403
    gone = {"experiment_id": mine}
    assert server.ask(f"{_API}/experiments/delete", server.admin, gone)[0] == 200


@pytest.mark.parametrize(
    "location",
    [
        "file://{private}",
        "file://localhost{private}",
        "FILE:{private}",
        "{private}",
        "{artifacts}/../private",
        "file://{artifacts}/%2e%2e/private",
        "file://{artifacts}/link",
        "relative",
        "s3://bucket/x",
        "gs://bucket/x",
        "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts/x",
        "sftp://127.0.0.1/x",
        "ftp://127.0.0.1/x",
        "dbfs:/x",
        "hdfs://127.0.0.1/x",
        "mlflow-artifacts://127.0.0.1:1/x",
        "mlflow-artifacts:/../private",
        "mlflow-artifacts:/%2e%2e/private",
        "nonsense:x",
    ],
)
@pytest.mark.parametrize("who", ["admin", "other"])
def test_no_request_names_another_place_for_artifacts(
    server: Server, who: str, location: str
) -> None:
    link(server.artifacts / "link", server.private)
    user = server.admin if who == "admin" else _OTHER
    place = location.format(private=server.private, artifacts=server.artifacts)
    made = {"name": f"{who} {location}", "artifact_location": place}
    status, said = server.ask(f"{_API}/experiments/create", user, made)
    assert status in (400, 403), said
    model = f"{who} {location}".replace("/", "_").replace(":", "_")
    assert server.ask(f"{_API}/registered-models/create", user, {"name": model})[0] == 200
    version = {"name": model, "source": place}
    status, said = server.ask(f"{_API}/model-versions/create", user, version)
    assert status in (400, 403), said


def link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def test_its_own_place_may_be_named_and_is_read_and_written(server: Server) -> None:
    for number, place in enumerate((f"file://{server.artifacts}/a", None)):
        made = {"name": f"own {number}", "artifact_location": place}
        status, said = server.ask(f"{_API}/experiments/create", server.admin, made)
        assert status == 200, said
        if place is not None:
            # It may be another user's.
            theirs = {**made, "name": f"their {number}"}
            assert server.ask(f"{_API}/experiments/create", _OTHER, theirs)[0] == 400
        run = server.run_in(json.loads(said)["experiment_id"], server.admin)
        upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=notes/a.txt"
        status, said = server.ask(upload, server.admin, b"mine")
        assert status == 200, said
        got = server.ask(f"/get-artifact?run_id={run}&path=notes/a.txt", server.admin)
        assert got == (200, "mine")
        listed = server.ask(f"{_API}/artifacts/list?run_id={run}&path=notes", server.admin)[1]
        assert [each["path"] for each in json.loads(listed)["files"]] == ["notes/a.txt"]


@pytest.mark.parametrize(
    "location", ["file://{private}", "{private}", "sftp://127.0.0.1:1/x", "s3://bucket/x"]
)
@pytest.mark.parametrize("who", ["admin", "other"])
def test_a_place_that_an_older_server_took_is_not_opened(
    server: Server, who: str, location: str
) -> None:
    user = server.admin if who == "admin" else _OTHER
    run = server.run_in(server.experiment(f"old {who} {location}", user), user)
    place = location.format(private=server.private)
    server.sql("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", place, run)
    assert_closed(server, run, user)


@pytest.mark.parametrize("who", ["admin", "other"])
@pytest.mark.parametrize("scheme", ["mlflow-artifacts:", "file://"])
def test_no_symbolic_link_is_followed_out_of_the_artifacts(
    server: Server, who: str, scheme: str
) -> None:
    user = server.admin if who == "admin" else _OTHER
    experiment = server.experiment(f"links {who} {scheme}", user)
    run = server.run_in(experiment, user)
    folder = server.artifacts / experiment / run / "artifacts"
    if scheme == "file://":
        server.sql("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", f"file://{folder}", run)
    folder.parent.mkdir(parents=True)
    link(folder, server.private)
    assert_closed(server, run, user)
    folder.unlink()
    folder.mkdir()
    (folder / "mine").write_text("mine")
    link(folder / "auth_token", server.private / "auth_token")
    link(folder / "sub", server.private)
    assert_closed(server, run, user)
    listed = server.ask(f"{_API}/artifacts/list?run_id={run}", user)[1]
    assert [each["path"] for each in json.loads(listed)["files"]] == ["mine", "x"]


def assert_closed(server: Server, run: str, user: tuple[str, str]) -> None:
    """Try all ways to a run's files; nothing is read or written, and nothing of it shown."""
    before = sorted(server.private.rglob("*"))
    for path in ("auth_token", "sub/auth_token"):
        for ask in (
            f"/get-artifact?run_id={run}&path={path}",
            f"/get-artifact?run_uuid={run}&path={urllib.parse.quote(path, safe='')}",
        ):
            status, said = server.ask(ask, user)
            assert status >= 400
            assert _SECRET not in said
    for path in ("x", "sub/x", "sub/deep/x"):
        upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path={path}"
        status, said = server.ask(upload, user, b"intruder")
        if path != "x":
            assert status >= 400, said
    for folder in ("", "&path=sub"):
        _, said = server.ask(f"{_API}/artifacts/list?run_id={run}{folder}", user)
        assert "auth_token" not in said
    assert sorted(server.private.rglob("*")) == before
    assert (server.private / "auth_token").read_text() == _SECRET


def test_the_artifacts_proxy_follows_no_link_out_either(server: Server) -> None:
    folder = server.artifacts / "proxy"
    folder.mkdir()
    link(folder / "sub", server.private)
    link(folder / "auth_token", server.private / "auth_token")
    proxy = "/api/2.0/mlflow-artifacts/artifacts"
    for path in ("proxy/auth_token", "proxy/sub/auth_token", "proxy/..%2f..%2fprivate/auth_token"):
        status, said = server.ask(f"{proxy}/{path}", server.admin)
        assert status >= 400
        assert _SECRET not in said
    assert server.ask(f"{proxy}/proxy/sub/x", server.admin, b"x", method="PUT")[0] >= 400
    assert server.ask(f"{proxy}/proxy/sub/auth_token", server.admin, method="DELETE")[0] >= 400
    listed = server.ask(f"{proxy}?path=proxy/sub", server.admin)
    assert "auth_token" not in listed[1]
    assert [each.name for each in server.private.iterdir()] == ["auth_token"]
    # A link itself may be deleted; what it leads to stays.
    assert server.ask(f"{proxy}/proxy/auth_token", server.admin, method="DELETE")[0] == 200
    assert server.ask(f"{proxy}/proxy/sub", server.admin, method="DELETE")[0] == 200
    assert list(folder.iterdir()) == []
    assert (server.private / "auth_token").read_text() == _SECRET


def test_a_trace_s_files_are_read_from_the_artifacts_alone(server: Server) -> None:
    experiment = server.experiment("traced", server.admin)
    (server.private / "traces.json").write_text(json.dumps({"secret": _SECRET}))
    try:
        made = {"experiment_id": experiment, "timestamp_ms": 1, "request_metadata": [], "tags": []}
        status, said = server.ask(f"{_API}/traces", server.admin, made)
        assert status == 200, said
        trace = json.loads(said)["trace_info"]["request_id"]
        where = "UPDATE trace_tags SET value = ? WHERE key = 'mlflow.artifactLocation'"
        server.sql(where, f"file://{server.private}")
        asked = f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace}"
        status, said = server.ask(asked, server.admin)
        assert status >= 400
        assert _SECRET not in said
    finally:
        (server.private / "traces.json").unlink()


def test_mlflow_s_own_client_gets_in_by_its_environment(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    source = (
        "import sys\n"
        "from mlflow import MlflowClient\n"
        "client = MlflowClient(sys.argv[1])\n"
        "run = client.create_run(client.create_experiment('client')).info\n"
        "client.log_batch(run.run_id, metrics=[])\n"
        "client.log_artifact(run.run_id, sys.argv[2], 'notes')\n"
        "print([each.path for each in client.list_artifacts(run.run_id, 'notes')])\n"
        "print(run.artifact_uri.partition(':')[0])\n"
        "path = client.download_artifacts(run.run_id, 'notes/a.txt')\n"
        "print(open(path).read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, server.address, str(tmp_path / "a.txt")],
        env={
            **os.environ,
            "MLFLOW_TRACKING_USERNAME": ADMIN_USER,
            "MLFLOW_TRACKING_PASSWORD": server.guard.password,
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['notes/a.txt']\nmlflow-artifacts\nmine\n"


def test_no_password_is_in_a_command_line_or_in_what_it_says(server: Server) -> None:
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    for secret in (server.guard.password, server.guard.session_key, server.guard.login):
        assert not any(secret.encode() in line for line in lines)
        assert secret not in f"{server.guard}"
