"""The delivery into MLflow, as real processes over a real store: nothing lost, nothing twice."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.service.folder import ServiceFolder
from cluster.service.mlflow_component import ensure_passwords
from study.records.errors import TrackingError
from study.tracking import sync_process
from study.tracking.outbox import Outbox, PendingRecords
from study.tracking.record_types import (
    CloseRun,
    DatasetInput,
    LogArtifact,
    LogMetrics,
    LogTable,
    MlflowRecord,
    OpenRun,
    SetTags,
    note,
)

pytestmark = pytest.mark.service

HOME = Path(__file__).resolve().parents[3]
# Generous: a test ends as soon as what it waits for is there.
PATIENCE_S = 120.0


def opening(key: str, parent: str | None = None, **params: str) -> OpenRun:
    return OpenRun(
        run_key=key,
        parent_key=parent,
        name=f"name of {key}",
        start_ms=1_000,
        params=params,
        tags={"arm": "a", "mlflow.user": "ada"},
        dataset=DatasetInput(name="digits", digest="0a1b", source="scikit-learn"),
    )


def report(key: str, epoch: int, **metrics: float) -> LogMetrics:
    return LogMetrics(run_key=key, epoch=epoch, time_ms=2_000 + epoch, metrics=metrics)


def many(n_runs: int, n_reports: int) -> list[MlflowRecord]:
    """Make runs with five metrics and a table each."""
    entries: list[MlflowRecord] = []
    for run in range(n_runs):
        key = f"trial/a/search/{run}"
        entries.append(opening(key, top_k=str(run)))
        for epoch in range(n_reports):
            values = {f"m/{name}": epoch + 0.5 for name in range(5)}
            entries.append(LogMetrics(run_key=key, epoch=epoch, time_ms=epoch, metrics=values))
        entries.append(LogTable(run_key=key, name="replicas.json", columns={"seed": [run]}))
        entries.append(CloseRun(run_key=key, status="FINISHED", end_ms=9_000, tags={}))
    return entries


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A study's folder with its own MLflow database."""

    folder: Path
    outbox: Outbox
    address: str

    def start(self, address: str | None = None) -> sync_process.SyncProcess:
        return sync_process.start(
            self.outbox.path,
            "tiny",
            self.folder / "artifacts",
            address or self.address,
            self.folder / "sync.log",
        )

    def deliver(self) -> PendingRecords:
        return self.start().finish(PATIENCE_S, lambda _: None)

    def sql(self, query: str) -> list[tuple[object, ...]]:
        database = sqlite3.connect(self.folder / "mlflow.db", timeout=30)
        try:
            with database:
                return database.execute(query).fetchall()
        finally:
            database.close()

    def content(self) -> dict[str, list[str]]:
        """Return all that MLflow holds of the study."""
        tables = ("runs", "tags", "params", "metrics", "inputs", "datasets", "experiment_tags")
        return {name: sorted(map(repr, self.sql(f"SELECT * FROM {name}"))) for name in tables}

    def log(self) -> str:
        return (self.folder / "sync.log").read_text()


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make MLflow's tables once: that takes seconds."""
    folder = tmp_path_factory.mktemp("empty")
    outbox = Outbox(path=folder / "outbox.sqlite")
    address = f"sqlite:///{folder / 'mlflow.db'}"
    Place(folder=folder, outbox=outbox, address=address).deliver()
    outbox.close()
    database = sqlite3.connect(folder / "mlflow.db")
    database.execute("DELETE FROM experiment_tags")
    database.execute("DELETE FROM experiments WHERE name = 'tiny'")
    database.commit()
    database.close()
    return folder / "mlflow.db"


@pytest.fixture
def place(tmp_path: Path, empty_store: Path) -> Iterator[Place]:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    outbox = Outbox(path=tmp_path / "outbox.sqlite")
    yield Place(folder=tmp_path, outbox=outbox, address=f"sqlite:///{tmp_path / 'mlflow.db'}")
    outbox.close()


def one_of_each(folder: Path) -> list[MlflowRecord]:
    (folder / "figure.png").write_bytes(b"figure")
    child = "trial/a/search/0"
    return [
        SetTags(run_key=None, tags={"mlflow.experiment.primaryMetric.name": "val/accuracy"}),
        note(None, "# Tiny"),
        # The child first: the parent is opened before it all the same.
        opening(child, "arm/a", top_k="2"),
        opening("arm/a"),
        report(child, 0, **{"val/accuracy": 0.5}),
        report(child, 10, **{"val/accuracy": 0.75, "filter_cosine/conv3": -0.25}),
        LogTable(run_key=child, name="replicas.json", columns={"seed": [3, 4], "x": [0.5, None]}),
        LogArtifact(
            run_key="arm/a", path=str(folder / "figure.png"), artifact_folder="figures/top_k"
        ),
        note("arm/a", "long " * 2000),
        CloseRun(run_key=child, status="KILLED", end_ms=5_000, tags={"state": "PRUNED"}),
    ]


@pytest.mark.extended
def test_everything_arrives_and_a_second_delivery_of_it_changes_nothing(place: Place) -> None:
    place.outbox.put(one_of_each(place.folder))
    pending = place.deliver()
    assert (pending.records, pending.rejected, pending.last_error) == (0, 0, None)

    ids = dict(place.sql("SELECT value, run_uuid FROM tags WHERE key = 'challenger.run_key'"))
    assert set(ids) == {"arm/a", "trial/a/search/0"}
    parent, child = ids["arm/a"], ids["trial/a/search/0"]
    ((name, status, began, ended, artifacts),) = place.sql(
        f"SELECT name, status, start_time, end_time, artifact_uri FROM runs "
        f"WHERE run_uuid = '{child}'"
    )
    assert (name, status, began, ended) == ("name of trial/a/search/0", "KILLED", 1_000, 5_000)
    assert str(artifacts).startswith((place.folder / "artifacts").as_uri())
    tags = dict(place.sql(f"SELECT key, value FROM tags WHERE run_uuid = '{child}'"))
    expected = {"mlflow.parentRunId": parent, "state": "PRUNED", "mlflow.user": "ada", "arm": "a"}
    assert expected.items() <= tags.items()
    assert place.sql(f"SELECT key, value FROM params WHERE run_uuid = '{child}'") == [
        ("top_k", "2")
    ]
    assert place.sql("SELECT key, step, timestamp, value FROM metrics ORDER BY step, key") == [
        ("val/accuracy", 0, 2_000, 0.5),
        ("filter_cosine/conv3", 10, 2_010, -0.25),
        ("val/accuracy", 10, 2_010, 0.75),
    ]
    assert place.sql("SELECT name, digest FROM datasets") == [("digits", "0a1b")]
    experiment = dict(place.sql("SELECT key, value FROM experiment_tags"))
    assert experiment["mlflow.note.content"] == "# Tiny"
    assert experiment["mlflow.experiment.primaryMetric.name"] == "val/accuracy"
    ((told,),) = place.sql(
        f"SELECT value FROM tags WHERE key = 'mlflow.note.content' AND run_uuid = '{parent}'"
    )
    assert str(told).endswith("(cut here; the whole text is among the artifacts)")
    kept = place.folder / "artifacts"
    assert (kept / str(parent) / "artifacts/figures/top_k/figure.png").read_bytes() == b"figure"
    table = json.loads((kept / str(child) / "artifacts/replicas.json").read_text())
    assert table == {"columns": ["seed", "x"], "data": [[3, 0.5], [4, None]]}
    assert json.loads(str(tags["mlflow.loggedArtifacts"])) == [
        {"path": "replicas.json", "type": "table"}
    ]

    before = place.content()
    place.outbox.requeue_all()
    assert place.deliver().records == 0
    assert place.content() == before
    table = json.loads((kept / str(child) / "artifacts/replicas.json").read_text())
    assert len(table["data"]) == 2


def test_a_kill_in_the_middle_loses_nothing_and_doubles_nothing(place: Place) -> None:
    entries = many(n_runs=30, n_reports=20)
    place.outbox.put(entries)
    first = place.start()
    wait_until(lambda: place.outbox.pending().records < len(entries) * 0.7)
    first.process.kill()
    first.process.wait()
    assert 0 < place.outbox.pending().records < len(entries)

    assert place.deliver().records == 0
    keys = place.sql("SELECT value FROM tags WHERE key = 'challenger.run_key'")
    assert sorted(keys) == sorted((f"trial/a/search/{run}",) for run in range(30))
    assert place.sql("SELECT count(*) FROM runs WHERE status = 'FINISHED'") == [(30,)]
    counts = place.sql("SELECT run_uuid, key, count(*) FROM metrics GROUP BY run_uuid, key")
    assert len(counts) == 30 * 5
    assert {count for _, _, count in counts} == {20}


@pytest.mark.extended
def test_what_mlflow_refuses_does_not_hold_up_the_rest(place: Place) -> None:
    good, bad = "trial/a/search/0", "trial/a/search/1"
    place.outbox.put([opening(good), *(report(good, epoch, a=0.5) for epoch in range(4))])
    vanishing = place.folder / "vanishing.png"
    vanishing.write_bytes(b"")
    place.outbox.put(
        [
            opening(bad, **{"bad@param": "1"}),
            report(good, 4, **{"bad@metric": 0.5}),
            LogArtifact(run_key=good, path=str(vanishing), artifact_folder=""),
            report(bad, 1, a=0.5),
            *(report(good, epoch, a=0.5) for epoch in range(5, 8)),
            CloseRun(run_key=good, status="FINISHED", end_ms=9_000, tags={}),
        ]
    )
    vanishing.unlink()
    pending = place.deliver()
    assert (pending.records, pending.rejected) == (0, 3)
    assert sorted(place.sql("SELECT key, step FROM metrics")) == [
        ("a", 0), ("a", 1), ("a", 1), ("a", 2), ("a", 3), ("a", 5), ("a", 6), ("a", 7)
    ]  # fmt: skip
    assert place.sql("SELECT status FROM runs WHERE status = 'FINISHED'") == [("FINISHED",)]
    assert f"metrics of {good}: Invalid value" in place.log()
    assert f"open of {bad}: Invalid value" in place.log()
    assert f"artifact of {good}: {vanishing}: the artifact is no longer there" in place.log()


@pytest.mark.extended
def test_a_deleted_experiment_is_said_and_its_entries_wait_for_its_return(place: Place) -> None:
    assert place.deliver().records == 0
    place.sql("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'tiny'")
    place.outbox.put([opening("arm/a")])
    running = place.start()
    wait_until(lambda: place.outbox.pending().last_error is not None)
    assert place.outbox.pending().last_error == (
        f"{place.address}: the experiment 'tiny' must be active, but it was "
        "deleted; bring it back with 'mlflow experiments restore --experiment-id 1' or give the "
        "study another name"
    )
    place.sql("UPDATE experiments SET lifecycle_stage = 'active' WHERE name = 'tiny'")
    assert running.finish(PATIENCE_S, lambda _: None).records == 0
    assert place.outbox.pending().rejected == 0
    assert place.sql("SELECT name FROM runs") == [("name of arm/a",)]


@pytest.mark.slow
def test_an_experiment_deleted_under_way_costs_no_entry(place: Place) -> None:
    key = "trial/a/search/0"
    place.outbox.put([opening(key)])
    running = place.start()
    wait_until(lambda: place.outbox.pending().records == 0)
    place.sql("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'tiny'")
    place.sql("UPDATE runs SET lifecycle_stage = 'deleted'")
    place.outbox.put([report(key, 1, a=0.5), opening("trial/a/search/1")])
    wait_until(lambda: "must be active" in str(place.outbox.pending().last_error))
    assert place.outbox.pending().rejected == 0
    place.sql("UPDATE experiments SET lifecycle_stage = 'active' WHERE name = 'tiny'")
    place.sql("UPDATE runs SET lifecycle_stage = 'active'")
    assert running.finish(PATIENCE_S, lambda _: None).records == 0
    assert place.sql("SELECT step FROM metrics") == [(1,)]
    assert place.sql("SELECT count(*) FROM runs") == [(2,)]


@pytest.mark.slow
def test_a_run_that_mlflow_has_lost_is_made_again_in_full(place: Place) -> None:
    key = "trial/a/search/0"
    place.outbox.put([opening(key, top_k="2"), report(key, 1, a=0.5)])
    assert place.deliver().records == 0
    for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
        place.sql(f"DELETE FROM {table}")
    place.outbox.put([report(key, 2, a=0.25)])
    assert place.deliver().records == 0
    assert place.sql("SELECT count(*) FROM runs") == [(1,)]
    assert place.sql("SELECT value FROM params") == [("2",)]
    assert place.sql("SELECT step FROM metrics ORDER BY step") == [(1,), (2,)]


@pytest.mark.slow
def test_another_mlflow_is_told_everything(place: Place, empty_store: Path) -> None:
    key = "trial/a/search/0"
    place.outbox.put([opening(key), report(key, 1, a=0.5)])
    assert place.deliver().records == 0
    (place.folder / "mlflow.db").rename(place.folder / "old.db")
    shutil.copy(empty_store, place.folder / "new.db")
    moved = place.start(f"sqlite:///{place.folder / 'new.db'}")
    assert moved.finish(PATIENCE_S, lambda _: None).records == 0
    (place.folder / "new.db").rename(place.folder / "mlflow.db")
    assert place.sql("SELECT step FROM metrics") == [(1,)]


@pytest.mark.extended
def test_two_processes_never_synchronize_at_once(place: Place) -> None:
    place.outbox.put([opening("arm/a")])
    with (place.folder / "outbox.sqlite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = place.start()
        wait_until(lambda: "waiting for" in place.log())
        # It has not even asked MLflow.
        assert place.outbox.flag("attempted") is None
        assert place.outbox.pending().records == 1
    assert second.finish(PATIENCE_S, lambda _: None).records == 0
    assert place.sql("SELECT count(*) FROM runs") == [(1,)]


def test_without_an_answer_everything_waits_and_no_password_is_shown(place: Place) -> None:
    place.outbox.put([opening("arm/a")])
    told: list[PendingRecords] = []
    address = f"http://ada:hush%40hush@127.0.0.1:{free_port()}"
    running = place.start(address)
    command = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
    pending = running.finish(0.1, told.append)
    assert running.process.poll() is not None
    assert pending.records == 1
    assert told[0].records == 1
    assert "Connection refused" in str(pending.last_error)
    place.outbox.close()
    files = [path for path in place.folder.iterdir() if path.is_file()]
    for content in (command, *(path.read_bytes() for path in files)):
        assert b"hush" not in content


@pytest.mark.extended
def test_the_process_ends_when_its_parent_is_gone(place: Place) -> None:
    """The parent is killed, so that it cannot end its child itself."""
    source = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from study.tracking import sync_process\n"
        "folder = Path(sys.argv[1])\n"
        "child = sync_process.start(folder / 'outbox.sqlite', 'tiny', folder / 'artifacts',\n"
        "                       sys.argv[2], folder / 'sync.log')\n"
        "print(child.process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", source, str(place.folder), place.address],
        env={**os.environ, "PYTHONPATH": str(HOME)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert int(parent.stdout.readline()) > 0
    wait_until(lambda: place.outbox.flag("attempted") is not None)
    with (place.folder / "outbox.sqlite.lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()

        def is_ended() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_until(is_ended)


@pytest.mark.extended
def test_a_delivery_that_died_is_started_again_to_finish(place: Place) -> None:
    running = place.start()
    running.process.kill()
    running.process.wait()
    place.outbox.put([opening("arm/a")])
    assert running.finish(PATIENCE_S, lambda _: None).records == 0
    assert place.sql("SELECT count(*) FROM runs") == [(1,)]


def test_a_folder_named_study_in_the_current_folder_is_not_imported(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.folder / "study").mkdir()
    (place.folder / "study" / "__init__.py").write_text("raise SystemExit('the wrong study')")
    monkeypatch.chdir(place.folder)
    place.outbox.put([opening("arm/a")])
    assert place.deliver().records == 0


def test_stop_ends_the_process_and_keeps_the_entries(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However busy the machine is, it need not be killed.
    monkeypatch.setattr("study.tracking.sync_process._TERMINATE_TIMEOUT_S", 60.0)
    running = place.start(f"http://127.0.0.1:{free_port()}")
    place.outbox.put([opening("arm/a")])
    wait_until(lambda: place.outbox.pending().last_error is not None)
    running.stop()
    assert running.process.returncode == -signal.SIGTERM
    assert place.outbox.pending().records == 1


@pytest.mark.parametrize("address", ["mlruns", "file:///tmp/mlruns", "http://", "http://a:b:c"])
def test_an_address_that_mlflow_cannot_use_is_refused_before_anything_starts(
    tmp_path: Path, address: str
) -> None:
    with pytest.raises(TrackingError, match=r"^tracking: the address must be http\(s\)://"):
        sync_process.start(tmp_path / "o", "tiny", tmp_path, address, tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_the_driver_never_imports_mlflow() -> None:
    modules = "study.tracking.sync_process, study.tracking.mlflow_server"
    source = f"import sys, {modules}; print('mlflow' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": str(HOME)},
        capture_output=True,
        check=True,
    )
    assert printed.stdout == b"False\n"


@pytest.mark.slow
def test_a_server_that_comes_late_is_told_everything_once(place: Place) -> None:
    """A real server: absent at first, then a kill in the middle, then the end."""
    port = free_port()
    entries = [*many(n_runs=12, n_reports=10), report("trial/a/search/0", 99, **{"b@d": 1.0})]
    place.outbox.put(entries)
    service = ServiceFolder(root=place.folder / "service")
    service.prepare()
    tracking_uri = f"http://admin:{ensure_passwords(service).admin}@127.0.0.1:{port}"
    first = place.start(tracking_uri)
    wait_until(lambda: place.outbox.pending().last_error is not None)
    assert place.outbox.pending().records == len(entries)
    source = (
        "import sys\n"
        "from pathlib import Path\n"
        "from study.tracking.mlflow_server import serve\n"
        "announce = lambda page: print(page.address)\n"
        "folder = Path(sys.argv[2])\n"
        "service = folder.with_name('service')\n"
        "port = int(sys.argv[3])\n"
        "sys.exit(serve(sys.argv[1], folder, service, port=port, announce=announce))\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", source, place.address, str(place.folder / "served"), str(port)],
        env={**os.environ, "PYTHONPATH": str(HOME)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert server.stdout is not None
        wait_until(lambda: place.outbox.pending().records < len(entries) * 0.7)
        first.process.kill()
        first.process.wait()
        assert place.outbox.pending().records > 0
        second = place.start(tracking_uri)
        pending = second.finish(PATIENCE_S, lambda _: None)
        assert (pending.records, pending.rejected) == (0, 1)
    finally:
        server.send_signal(signal.SIGINT)
        output, _ = server.communicate(timeout=PATIENCE_S)
    page = f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning\n"
    assert output == page.encode()
    assert server.returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert place.sql("SELECT count(*), count(DISTINCT name) FROM runs") == [(12, 12)]
    counts = place.sql("SELECT run_uuid, key, count(*) FROM metrics GROUP BY run_uuid, key")
    assert len(counts) == 12 * 5
    assert {count for _, _, count in counts} == {10}
    assert len(list((place.folder / "served").glob("**/replicas.json"))) == 12
