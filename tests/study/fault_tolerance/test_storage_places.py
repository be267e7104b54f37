"""Storages in odd places, moved ones, and databases that are no place for a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.cli.main import run
from study.engine.executors import EXECUTORS
from study.records.errors import StoreError
from study.storage.layout import StudyFolder
from tests.study.fault_tolerance.test_damage_matrix import (
    STUDY,
    NoSync,
    publish_nothing,
    simulate_tested,
)
from tests.support.simulated import assigned


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a study file; train nothing and start no process."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "tiny.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(work)
    monkeypatch.setitem(EXECUTORS, "inline", simulate_tested)
    for module in ("study.engine.publishing", "study.engine.run"):
        monkeypatch.setattr(f"{module}.start_sync", lambda *_: NoSync())
        monkeypatch.setattr(f"{module}.publish_report", publish_nothing)
    return work


RUN = ["run", "tiny.yaml", "--executor", "inline"]


@pytest.mark.parametrize("name", ["st?x", "feature%2Fx", "{x}", "a b#c@d:e", "naïve 研究"])
def test_a_storage_of_any_name_holds_its_study_and_nothing_is_beside_it(
    work: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*RUN, "--storage", name]) == 0
    capsys.readouterr()
    assert run(["export", "tiny", "-o", "-", "--storage", name]) == 0
    assert capsys.readouterr().out.count("COMPLETE") == 4
    assert sorted(path.name for path in work.iterdir()) == sorted([name, "tiny.yaml"])
    assert (work / name / "optuna.db").stat().st_size


def test_a_moved_storage_goes_on_in_its_new_place(work: Path) -> None:
    assert run([*RUN, "--storage", "old"]) == 0
    Path("old").rename("new")
    sweep = ["sensitivity", "tiny", "--over", "top_k", "--values", "2,5", "--executor", "inline"]
    assert run([*sweep, "--storage", "new"]) == 0
    for command in ("status", "show", "report", "repair"):
        more = ["--executor", "inline"] if command == "repair" else []
        assert run([command, "tiny", *more, "--storage", "new"]) == 0
    assert sorted(path.name for path in work.iterdir()) == ["new", "tiny.yaml"]


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (
            ["--database", "sqlite:///one.db", "--tracking-uri", "sqlite:///../work/one.db"],
            "one.db",
        ),
        (
            ["--database", "postgresql://a@h/x", "--tracking-uri", "postgresql+psycopg://h/x"],
            "h/x",
        ),
        (["--tracking-uri", "sqlite:///{}/challenger-studies/optuna.db"], "optuna.db"),
    ],
)
def test_one_database_for_optuna_and_mlflow_is_refused(
    work: Path, options: list[str], refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*RUN, *(option.format(work) for option in options)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert refusal in line
    assert "must be the database of Optuna alone, but is that of MLflow too" in line
    assert [path.name for path in work.iterdir()] == ["tiny.yaml"]


def test_a_database_in_memory_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*RUN, "--database", "sqlite://"]) == 2
    assert capsys.readouterr().err == (
        "Error: --database must be a file or a server, which outlive the run, got 'sqlite://'; "
        "give it a path, sqlite:////folder/optuna.db.\n"
    )


def test_a_storage_that_is_closed_while_a_study_runs_pauses_it_with_its_reason(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As after `chmod 000`, which root passes.
    def close(coordinator, context) -> None:
        del context
        assigned(coordinator)
        coordinator.stop(StoreError("the storage must be writable, but is not."))
        monkeypatch.setattr(Path, "unlink", refuse)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setitem(EXECUTORS, "inline", close)
    assert run(RUN) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Error: the storage must be writable, but is not. The study is paused and nothing is "
        "lost: the same command goes on."
    )
    monkeypatch.undo()
    assert StudyFolder(path=work / "challenger-studies" / "tiny").stop.exists()
