"""A whole study through the runner and the command line, trained inline."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from cluster.errors import ClusterError
from study.cli import main
from study.config.run_options import RunOptions
from study.engine import run
from study.engine.executors import EXECUTORS
from study.engine.run import RunResult
from study.results.build import load_trial_table
from study.storage.json_record import checksum
from study.storage.layout import Manifest, StorageRoot, read_manifest
from study.storage.lease import lease
from study.tracking.mlflow_mirror import RUN_KEY_TAG
from tests.support.simulated import StudyFixture, assigned, metrics_of, study_file, study_text
from trainables.datasets import Digits
from trainables.trial import TrialContext, run_trial

pytestmark = pytest.mark.service

SWEPT = {"sweep": [1, 2]}


def quiet() -> Console:
    return Console(quiet=True, width=200)


def run_tiny(text: str, storage: Path, **changes: Any) -> RunResult:  # noqa: ANN401 (Options)
    """Run a study without Ray."""
    options = replace(RunOptions(storage=StorageRoot(root=storage), executor="inline"), **changes)
    return run.run_study(text, "study.yaml", options, quiet())


def rows(storage: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(storage / "mlflow.db", timeout=30)) as database:
        return database.execute(query).fetchall()


def tracked(storage: Path) -> dict[str, list[str]]:
    """Return the rows of MLflow's tables that belong to runs."""
    tables = ("runs", "tags", "params", "metrics", "inputs", "datasets", "experiment_tags")
    return {name: sorted(map(repr, rows(storage, f"SELECT * FROM {name}"))) for name in tables}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished study."""

    storage: Path
    result: RunResult


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    storage = tmp_path_factory.mktemp("runner")
    return Finished(storage=storage, result=run_tiny(study_text(**SWEPT), storage))


@pytest.fixture
def command() -> Iterator[Callable[..., int]]:
    """Run the command line in this process; it takes the SIGTERM handler."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: main.run([str(argument) for argument in arguments])
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def study_yaml(tmp_path: Path) -> Callable[..., Path]:
    """Write a study file."""

    def write(**changes: Any) -> Path:  # noqa: ANN401 (study_file)
        path = tmp_path / "study.yaml"
        path.write_text(study_text(**changes))
        return path

    return write


def test_a_study_ends_with_its_trials_a_report_and_nothing_waiting(finished: Finished) -> None:
    result = finished.result
    assert result.is_finished
    assert result.problems == ()
    assert result.pending.records == result.pending.rejected == 0
    assert result.report is not None
    assert "<html" in result.report.read_text(encoding="utf-8")
    table = result.table
    assert {row.state for row in table.rows} == {"COMPLETE"}
    counts = Counter((row.arm, row.phase) for row in table.rows)
    assert counts.pop(("challenger", "final")) in (2, 3)
    assert counts == {
        ("base", "final"): 1,
        ("random", "search"): 2,
        ("random", "final"): 1,
        ("challenger", "search"): 2,
    }
    for row in table.rows:
        assert [r.epoch for r in row.reports] == [0, 1, 2, 3]
        has_test = any(name.startswith("test/") for name in row.reports[-1].metrics)
        assert has_test == (row.phase == "final")
        assert not any(n.startswith("test/") for r in row.reports[:-1] for n in r.metrics)
        assert row.started_ms <= row.reports[0].time_ms <= row.reports[-1].time_ms
        assert row.finished_ms is not None
        assert row.reports[-1].time_ms <= row.finished_ms


def test_the_file_of_a_database_is_whole_alone_at_the_end(
    finished: Finished, tmp_path: Path
) -> None:
    ended = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
    sent = "SELECT count(*) FROM record WHERE state = 'sent' AND kind = 'close'"
    for path, query in ((Path("optuna.db"), ended), (Path("tiny", "outbox.db"), sent)):
        copy = shutil.copy(finished.storage / path, tmp_path)
        with closing(sqlite3.connect(copy)) as database:
            ((count,),) = database.execute(query).fetchall()
        assert count >= len(finished.result.table.rows)


def test_the_study_s_folder_holds_no_checkpoint_at_the_end(finished: Finished) -> None:
    folder = finished.storage / "tiny"
    assert list(folder.rglob("*.pt")) == list(folder.rglob("*.tmp")) == []
    files = {path.name for path in folder.glob("trials/*/*/*/*")}
    assert files == {
        "attempts.jsonl",
        "attribution_maps.npz",
        "end.json",
        "reports.jsonl",
        "trial.json",
        "weights-0.npz",
        "weights-1.npz",
    }
    assert (folder / "study.yaml").read_text() == study_text(**SWEPT)


# MLflow warns of its own dependencies when it is imported.
@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_a_parent_per_arm_and_a_child_per_trial(finished: Finished) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished.storage / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny")
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    parents = {r.info.run_id: r for r in found if "mlflow.parentRunId" not in r.data.tags}
    assert {r.data.tags["arm"] for r in parents.values()} == {"base", "random", "challenger"}
    children = {
        (r.data.tags["arm"], r.data.tags["phase"], int(r.data.tags["trial_number"])): r
        for r in found
        if r.info.run_id not in parents
    }
    table = finished.result.table
    assert set(children) == {(row.arm, row.phase, row.number) for row in table.rows}
    assert len(found) == len(parents) + len(children)
    for row in table.rows:
        child = children[row.arm, row.phase, row.number]
        parent = parents[child.data.tags["mlflow.parentRunId"]]
        assert parent.data.tags["arm"] == row.arm
        assert child.info.status == "FINISHED"
        assert {name: child.data.params[name] for name in row.params} == {
            name: str(value) for name, value in row.params.items()
        }
        for report in row.reports:
            for name, values in report.metrics.items():
                history = client.get_metric_history(child.info.run_id, name)
                (point,) = [p for p in history if p.step == report.epoch]
                assert point.value == pytest.approx(sum(values) / len(values), rel=1e-12)
                assert point.timestamp == report.time_ms


@pytest.mark.filterwarnings("ignore")
def test_runs_are_found_and_sorted_in_mlflow(finished: Finished) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished.storage / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny").experiment_id

    def found(asked: str, *order: str) -> list[Any]:
        return list(client.search_runs([experiment], asked, order_by=list(order)))

    table = finished.result.table
    finals = found("tags.phase = 'final'", "metrics.`test/accuracy` DESC")
    accuracies = [run_tiny.data.metrics["test/accuracy"] for run_tiny in finals]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len(finals) == sum(row.phase == "final" for row in table.rows)
    ones = found("params.top_k = '1' and tags.kind = 'trial'")
    assert len(ones) == sum(row.params.get("top_k") == 1 for row in table.rows) > 0
    # An arm's run has its chosen trial's results under the same keys.
    for arm in found("tags.kind = 'arm'"):
        name = arm.data.tags["arm"]
        (chosen,) = found(f"tags.is_chosen = 'true' and tags.arm = '{name}'")
        for key in ("val/accuracy", "test/accuracy", "test/accuracy_std"):
            assert arm.data.metrics[key] == chosen.data.metrics[key]
        assert arm.data.metrics["cost/trained_s"] >= chosen.data.metrics["cost/trained_s"] > 0
        assert chosen.data.metrics["system/system_memory_usage_megabytes"] > 0


@pytest.mark.extended
def test_a_second_run_trains_nothing_and_leaves_mlflow_as_it_is(finished: Finished) -> None:
    folder = StorageRoot(root=finished.storage).study("tiny")
    before, files = tracked(finished.storage), metrics_of(folder)
    again = run_tiny(study_text(**SWEPT), finished.storage)
    assert again.is_finished
    assert again.table.rows == finished.result.table.rows
    assert metrics_of(folder) == files
    assert again.pending.records == 0
    assert tracked(finished.storage)["metrics"] == before["metrics"]
    assert tracked(finished.storage)["params"] == before["params"]
    assert len(tracked(finished.storage)["runs"]) == len(before["runs"])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One run in MLflow, without its id."""

    info: tuple[Any, ...]
    parent: str | None
    params: dict[str, str]
    tags: dict[str, str]
    points: list[tuple[Any, ...]]
    inputs: list[tuple[Any, ...]]
    files: dict[str, bytes]


def tracked_runs(storage: Path) -> dict[str, TrackedRun]:
    """Return all runs in MLflow by their keys."""
    runs = rows(
        storage,
        "SELECT run_uuid, runs.name, status, start_time, end_time, artifact_uri "
        "FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = 'tiny'",
    )
    tags: dict[str, dict[str, str]] = {number: {} for number, *_ in runs}
    for number, key, value in rows(storage, "SELECT run_uuid, key, value FROM tags"):
        tags[number][key] = value
    keys = {number: found[RUN_KEY_TAG] for number, found in tags.items()}
    found = {}
    for number, *info, place in runs:
        parent = tags[number].pop("mlflow.parentRunId", None)
        folder = Path(place.removeprefix("file://"))
        of_run = f"WHERE run_uuid = '{number}'"
        found[keys[number]] = TrackedRun(
            info=tuple(info),
            parent=None if parent is None else keys[parent],
            params=dict(rows(storage, f"SELECT key, value FROM params {of_run}")),
            tags=tags[number],
            points=sorted(
                rows(storage, f"SELECT key, step, timestamp, value, is_nan FROM metrics {of_run}")
            ),
            inputs=rows(
                storage,
                "SELECT name, digest, dataset_profile, dataset_schema FROM inputs "
                f"JOIN datasets ON source_id = dataset_uuid WHERE destination_id = '{number}'",
            ),
            files={
                str(path.relative_to(folder)): path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file()
            },
        )
    assert len(found) == len(runs)
    return found


@pytest.mark.extended
def test_a_rebuilt_copy_in_mlflow_equals_the_first_in_everything(
    finished: Finished, tmp_path: Path, command: Callable[..., int]
) -> None:
    storage = tmp_path / "storage"
    shutil.copytree(finished.storage, storage)
    first = tracked_runs(finished.storage)
    assert sum(len(review.points) for review in first.values()) > 1000
    assert all(review.params and review.tags for review in first.values())
    (storage / "mlflow.db").unlink()
    shutil.rmtree(StorageRoot(root=storage).artifacts)
    assert command("mlflow", "rebuild", "tiny", "--storage", storage) == 0
    again = tracked_runs(storage)
    assert again.keys() == first.keys()
    for key, review in first.items():
        assert again[key] == review, key


@pytest.mark.extended
def test_a_larger_study_file_continues_and_a_different_one_is_refused(
    finished: Finished, tmp_path: Path, command: Callable[..., int], capsys
) -> None:
    storage = tmp_path / "storage"
    shutil.copytree(finished.storage, storage)
    larger = run_tiny(study_text(sweep=[1, 2, 3], trials=3), storage)
    assert larger.is_finished
    old = {(r.arm, r.phase, r.number): r for r in finished.result.table.rows}
    new = {(r.arm, r.phase, r.number): r for r in larger.table.rows}
    assert {key: new[key] for key in old} == old
    assert sum(key[:2] == ("challenger", "search") for key in new) == 3
    (tmp_path / "study.yaml").write_text(study_text(epochs=4))
    arguments = ("--executor", "inline", "--storage", storage)
    assert command("run", tmp_path / "study.yaml", *arguments) == 2
    assert "training.epochs = 3, but the file now says 4" in capsys.readouterr().err


@pytest.mark.extended
def test_records_that_a_crash_lost_reach_mlflow_at_the_next_run(
    finished: Finished,
) -> None:
    # The state after a driver stored reports and trials, and was killed before it queued them.
    text = study_text(name="crashed", **SWEPT)
    place = StudyFixture.of(finished.storage, text)
    coordinator = place.coordinator()
    for _ in range(2):
        step = assigned(coordinator)
        trial = TrialContext(
            folder=step.folder, data=place.context.data, device=torch.device("cpu")
        )
        for report in run_trial(step.config, trial):
            coordinator.report(step.key, report)
        coordinator.tell(step.key)
    result = run_tiny(text, finished.storage)
    assert result.is_finished
    assert result.pending.records == 0
    query = (
        "SELECT count(*) FROM metrics JOIN runs USING (run_uuid) JOIN experiments USING "
        "(experiment_id) JOIN tags USING (run_uuid) WHERE experiments.name = '{}' "
        "AND metrics.key = 'val/accuracy' AND tags.key = 'phase'"
    )
    (count,) = rows(finished.storage, query.format("crashed"))[0]
    assert count == 3 * len(result.table.rows)


@pytest.mark.extended
def test_a_diverging_arm_fails_with_its_reason_and_the_others_finish(
    finished: Finished, study_yaml, command: Callable[..., int], capsys
) -> None:
    arms = study_file()["arms"]
    wild = {"optimizer": {"name": "sgd", "lr": 1e3, "weight_decay": 1e3}}
    arms[1] = {"method": "random", "training": {**wild, "eval_every": 3}}
    arms.append({"method": "random", "name": "wild", "training": wild})
    path = study_yaml(name="diverging", arms=arms)
    arguments = ("--executor", "inline", "--storage", finished.storage)
    assert command("run", path, *arguments) == 1
    out = capsys.readouterr().out
    result = run_tiny(path.read_text(), finished.storage)
    failed = [row for row in result.table.rows if row.arm in ("random", "wild")]
    assert [(row.phase, row.state) for row in failed] == [("search", "FAIL")] * 4
    for row in failed:
        assert row.reason is not None
        assert f"{row.arm}/search/{row.number} failed: {row.reason}" in result.problems
        assert f"problem: {row.arm}/search/{row.number} failed: {row.reason}" in out
        where = "at step 2 (epoch 2)" if row.arm == "random" else "val/nll is nan at epoch 1"
        assert f"{where} of the replica with seed {row.seeds[0]}; parameters: {{" in row.reason
        for name, value in row.params.items():
            assert f"'{name}': {value}" in row.reason
    assert result.problems[-2:] == tuple(
        f"arm {arm} has no completed search trial, so nothing was chosen and tested."
        for arm in ("random", "wild")
    )
    others = [row for row in result.table.rows if row not in failed]
    assert {row.state for row in others} == {"COMPLETE"}
    assert {(row.arm, row.phase) for row in others} >= {("base", "final"), ("challenger", "final")}
    statuses = rows(
        finished.storage,
        "SELECT runs.status FROM runs JOIN experiments USING (experiment_id) "
        "JOIN tags USING (run_uuid) WHERE experiments.name = 'diverging' "
        "AND runs.status = 'FAILED' AND tags.key = 'mlflow.parentRunId'",
    )
    assert len(statuses) == 4


@pytest.mark.extended
def test_a_study_without_any_result_exits_with_1_and_reports_it(
    finished: Finished, study_yaml, command: Callable[..., int], capsys
) -> None:
    data = study_file(name="hopeless")
    data["defaults"]["training"]["optimizer"] = {"name": "sgd", "lr": 1e3, "weight_decay": 1e3}
    path = study_yaml(**data)
    arguments = ("--executor", "inline", "--storage", finished.storage)
    assert command("run", path, *arguments) == 1
    out = capsys.readouterr().out.splitlines()
    problems = [line for line in out if line.startswith("problem: ")]
    assert len([line for line in problems if " failed: val/nll is nan at epoch 1" in line]) == 5
    assert problems[-1] == (
        "problem: no arm has a completed final trial, so there is nothing to report."
    )
    assert out[-1].startswith("mlflow: ")
    assert not (finished.storage / "hopeless" / "report").exists()
    assert command("resume", "hopeless", *arguments) == 1


@pytest.mark.extended
def test_an_mlflow_that_does_not_answer_does_not_affect_the_study(
    finished: Finished,
    study_yaml,
    command: Callable[..., int],
    capsys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("study.engine.publishing.SYNC_TIMEOUT_S", 1.0)
    path = study_yaml(name="offline", arms=[{"method": "base"}])
    arguments = ("--executor", "inline", "--storage", finished.storage)
    assert command("run", path, *arguments, "--tracking-uri", "http://127.0.0.1:1") == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("MLflow has not taken ")]
    count = int(line.split()[4])
    assert count > 0
    assert "nothing is lost. Send them later with: " in line
    assert "resume offline" in line
    assert out.splitlines()[-1] == "mlflow: http://127.0.0.1:1"
    before = metrics_of(StorageRoot(root=finished.storage).study("offline"))
    assert command("resume", "offline", *arguments) == 0
    assert "MLflow has not taken" not in capsys.readouterr().out
    assert metrics_of(StorageRoot(root=finished.storage).study("offline")) == before
    names = rows(finished.storage, "SELECT name FROM experiments WHERE name = 'offline'")
    assert names == [("offline",)]


@pytest.mark.extended
def test_an_interrupted_study_shows_how_to_continue_and_continues(
    finished: Finished,
    study_yaml,
    command: Callable[..., int],
    capsys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(coordinator, context) -> None:  # noqa: ARG001
        coordinator.ask()
        coordinator.ask()
        raise KeyboardInterrupt

    path = study_yaml(name="interrupted")
    arguments = ("--executor", "inline", "--storage", finished.storage)
    with monkeypatch.context() as patch:
        patch.setitem(EXECUTORS, "inline", interrupted)
        assert command("run", path, *arguments) == 130
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("interrupted; nothing is lost. Resume with: ")
    assert last.endswith(f"challenger-study resume interrupted --storage {finished.storage}")
    assert command("resume", "interrupted", *arguments) == 0
    (number,) = {
        len(list((finished.storage / "interrupted" / "trials" / arm / "search").iterdir()))
        for arm in ("random", "challenger")
    }
    assert number == 2


def assert_refused(code: int, captured, folder: Path) -> str:
    """Check for exit code 2, one message, and an unchanged folder; return the message."""
    assert code == 2
    assert captured.out == ""
    assert "Traceback" not in captured.err
    (line,) = captured.err.splitlines()
    assert not folder.exists()
    return str(line)


def test_a_missing_gpu_is_refused_before_anything_is_created(
    tmp_path: Path, study_yaml, command: Callable[..., int], capsys, monkeypatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    path = study_yaml(resources={"gpus": 1})
    for executor in ("inline", "ray"):
        code = command("run", path, "--executor", executor, "--storage", tmp_path / "s")
        assert assert_refused(code, capsys.readouterr(), tmp_path / "s") == (
            "Error: resources.gpus is 1, but this machine has 0 GPUs; set it to 0 or use "
            "another machine."
        )


def test_an_address_without_a_ray_is_refused_before_anything_is_created(
    tmp_path: Path, study_yaml, command: Callable[..., int], capsys
) -> None:
    code = command("run", study_yaml(), "--address", "127.0.0.1:1", "--storage", tmp_path / "s")
    message = assert_refused(code, capsys.readouterr(), tmp_path / "s")
    assert message.startswith("Error: no Ray answered at 127.0.0.1:1: ")


def mnist_study() -> dict[str, Any]:
    data = study_file()
    data["defaults"]["dataset"] = {"name": "mnist", "train_per_class": 1}
    return data


@pytest.mark.ray
def test_a_ray_that_can_hold_no_trial_leaves_no_study_behind(
    tmp_path: Path, ray_address: str
) -> None:
    text = study_text(**SWEPT) + "\nresources: {cpus: 3}\n"
    with pytest.raises(ClusterError, match="resources require 3 CPUs"):
        run_tiny(text, tmp_path, executor="ray", address=ray_address)
    assert StorageRoot(root=tmp_path).studies() == ()
    assert not (tmp_path / "tiny").exists()


def test_a_missing_data_root_is_refused_before_anything_is_created(
    tmp_path: Path, study_yaml, command: Callable[..., int], capsys, monkeypatch
) -> None:
    monkeypatch.delenv("CHALLENGER_DATA", raising=False)
    path = study_yaml(**mnist_study())
    code = command("run", path, "--storage", tmp_path / "s")
    message = assert_refused(code, capsys.readouterr(), tmp_path / "s")
    assert message.startswith(f"Error: {path}: arm base: dataset 'mnist' is read from a data")
    code = command("run", path, "--storage", tmp_path / "s", "--data-root", tmp_path / "nowhere")
    message = assert_refused(code, capsys.readouterr(), tmp_path / "s")
    assert f"{tmp_path}/nowhere/mnist/MNIST/raw/train-images-idx3-ubyte.gz is missing" in message


@pytest.mark.data
def test_a_truncated_file_is_refused_before_anything_is_created(
    challenger_data: Path, tmp_path: Path, study_yaml, command: Callable[..., int], capsys
) -> None:
    root = tmp_path / "data"
    shutil.copytree(challenger_data / "mnist", root / "mnist")
    file = root / "mnist" / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    file.chmod(0o644)
    with file.open("rb+") as stream:
        stream.truncate(1000)
    path = study_yaml(**mnist_study())
    code = command("run", path, "--storage", tmp_path / "s", "--data-root", root)
    message = assert_refused(code, capsys.readouterr(), tmp_path / "s")
    assert f"{file} is damaged: its md5 should be " in message
    assert "(1000 bytes); replace it by a fresh copy." in message


@pytest.mark.extended
def test_every_result_shows_the_provenance_of_its_data(
    tmp_path: Path, study_yaml, command: Callable[..., int], capsys, monkeypatch
) -> None:
    monkeypatch.setattr(Digits, "provenance", lambda *_: "subset of 40 of 50 records")
    text = study_text(name="held", arms=[{"method": "base"}, {"method": "base", "name": "two"}])
    result = run_tiny(text, tmp_path)
    named = "digits (1 per class; subset of 40 of 50 records)"
    assert [arm.dataset for arm in result.table.arms] == [named, named]
    assert result.report is not None
    assert named in result.report.read_text(encoding="utf-8")
    summary = result.report.with_name("summary.md").read_text(encoding="utf-8")
    assert f"Base on {named} reached" in summary
    tags = rows(tmp_path, "SELECT DISTINCT value FROM tags WHERE key = 'dataset'")
    assert tags == rows(tmp_path, "SELECT name FROM datasets") == [(named,)]
    # A command that reads the study, without data, shows the same.
    options = RunOptions(storage=StorageRoot(root=tmp_path))
    assert load_trial_table("held", options).arms == result.table.arms
    monkeypatch.undo()
    code = command(
        "run",
        study_yaml(**study_file(name="held")),
        *("--executor", "inline", "--storage", tmp_path),
    )
    assert (code, "was begun with" in capsys.readouterr().err) == (2, True)


def test_a_running_study_is_not_run_twice(
    finished: Finished, study_yaml, command: Callable[..., int], capsys
) -> None:
    path = study_yaml()
    storage = StorageRoot(root=finished.storage)
    with lease(storage.study("tiny"), storage.database_url, print):
        code = command("run", path, "--executor", "inline", "--storage", finished.storage)
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith("Error: study 'tiny' is being run by process ")


def test_a_study_is_stored_in_the_named_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'my.db'}"
    storage = tmp_path / "s"
    text = study_text(arms=[{"method": "base"}])
    result = run_tiny(text, storage, database=url, tracking_uri=f"sqlite:///{storage}/mlflow.db")
    assert result.is_finished
    assert not (storage / "optuna.db").exists()
    assert (tmp_path / "elsewhere" / "my.db").exists()
    table = load_trial_table("tiny", RunOptions(storage=StorageRoot(root=storage), database=url))
    assert table.rows == result.table.rows


def test_the_manifest_has_the_budgets_and_the_number_of_final_trials(
    finished: Finished,
) -> None:
    finals = len(finished.result.table.select("challenger", "final"))
    folder = StorageRoot(root=finished.storage).study("tiny")
    assert read_manifest(folder.manifest) == Manifest(
        name="tiny",
        metric="val/accuracy",
        direction="maximize",
        search={"base": 0, "random": 2, "challenger": 2},
        final={"base": 1, "random": 1, "challenger": finals},
        study=checksum(folder.spec.read_bytes()),
    )


@pytest.mark.extended
def test_the_manifest_of_a_finished_study_counts_its_trials(tmp_path: Path) -> None:
    """A point that two sweeps share is trained once."""
    sweep = {"over": "split", "values": [0.5, 0.6]}
    arms = [
        {"method": "base"},
        {
            "method": "challenger",
            "search": {"trials": 1, "space": {"top_k": [3, 4]}},
            "sensitivity": [{"over": "top_k", "values": [3, 4]}, sweep],
        },
    ]
    result = run_tiny(study_text(arms=arms, epochs=1), tmp_path)
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    finals = len(result.table.select("challenger", "final"))
    assert manifest["final"] == {"base": 1, "challenger": finals}
