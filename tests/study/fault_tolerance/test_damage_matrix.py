"""Every file of a study × seven damages × every command.

A command ends with the results as they were, or with one message and exit code 2; it changes
nothing but what it rebuilds, and ``repair`` leads back to the results.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from study.cli.main import run
from study.config.run_options import RunOptions
from study.engine import publishing
from study.engine import run as engine_run
from study.engine.coordinator import TrialCoordinator
from study.engine.executors import EXECUTORS
from study.engine.protocol import ExecutionContext, TrialAssignment
from study.results.build import load_trial_table
from study.storage.layout import StorageRoot, StudyFolder
from study.tracking.outbox import Outbox, PendingRecords
from tests.support.simulated import simulated_reports, study_text

STUDY = study_text(sampler="random", arms=[{"method": "base"}, {"method": "challenger"}])

DAMAGES: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    "removed": lambda _: None,
    "emptied": lambda _: b"",
    "null": lambda _: b"null",
    "a list": lambda _: b"[1, 2]",
    "deep": lambda _: b"[" * 200_000,
    "cut": lambda content: content[: len(content) // 2],
    "in another encoding": lambda content: content.decode("latin-1").encode("utf-16"),
}
TRIAL: Final = "tiny/trials/challenger/final/00000"
FILES: Final = (
    "tiny/study.yaml",
    "tiny/manifest.json",
    "tiny/provenance.json",
    "tiny/sweeps.json",
    "tiny/lock",
    "tiny/outbox.db",
    "optuna.db",
    f"{TRIAL}/trial.json",
    f"{TRIAL}/reports.jsonl",
    f"{TRIAL}/end.json",
)
COMMANDS: Final = {
    "run": ("run", "tiny.yaml", "--executor", "inline"),
    "resume": ("resume", "tiny", "--executor", "inline"),
    "sensitivity": (
        "sensitivity",
        "tiny",
        "--over",
        "top_k",
        "--values",
        "2,5",
        "--executor",
        "inline",
    ),
    "status": ("status", "tiny"),
    "show": ("show", "tiny"),
    "export": ("export", "tiny", "-o", "-"),
    "list": ("list", "studies"),
    "report": ("report", "tiny"),
    "mlflow rebuild": ("mlflow", "rebuild", "tiny"),
    "repair": ("repair", "tiny", "--executor", "inline"),
}
# What a command may write, whatever it reads.
_WRITTEN: Final = ("-shm", "-wal", "tiny/lock", "tiny/outbox.db", "tiny/stop")
CASES: Final = list(itertools.product(FILES, DAMAGES, COMMANDS))
# Every second damage of a file, with one command.
SOME: Final = [case for i, case in enumerate(CASES) if i % (2 * len(COMMANDS)) == i // 20 * 3 % 10]


def simulate_tested(coordinator: TrialCoordinator, context: ExecutionContext) -> None:
    """Execute a study without training; final trials report a test metric."""
    del context
    while isinstance(step := coordinator.ask(), TrialAssignment):
        *most, last = simulated_reports(step.config)
        if step.config.is_final:
            tested = {"test/accuracy": last.metrics["val/accuracy"]}
            last = replace(last, metrics={**last.metrics, **tested})
        for report in (*most, last):
            coordinator.report(step.key, report)
        coordinator.tell(step.key)


class NoSync:
    """A synchronizing process that has sent everything."""

    def put(self, records: object) -> None:
        del records

    def stop(self) -> None:
        pass

    def finish(self, *_: object) -> PendingRecords:
        return PendingRecords()


@pytest.fixture(scope="module", autouse=True)
def simulated() -> Iterator[None]:
    """Train nothing, draw nothing and start no process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXECUTORS, "inline", simulate_tested)
        for module in (publishing, engine_run):
            patch.setattr(module, "start_sync", lambda *_: NoSync())
        patch.setattr(publishing, "publish_report", publish_nothing)
        patch.setattr(engine_run, "publish_report", publish_nothing)
        yield


def publish_nothing(
    table: object, folder: StudyFolder, outbox: Outbox, *_: object, **__: object
) -> Path:
    del table
    outbox.pending()
    return folder.report / "report.html"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a study file and its finished study, swept over K once more."""
    root = tmp_path_factory.mktemp("whole")
    (root / "tiny.yaml").write_text(STUDY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert run(list(COMMANDS["run"])) == 0
        assert run(list(COMMANDS["sensitivity"])) == 0
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = Path(shutil.copytree(whole, tmp_path / "copy"))
    monkeypatch.chdir(root)
    return root


def contents(root: Path) -> dict[str, bytes]:
    storage = root / "challenger-studies"
    return {
        name: path.read_bytes()
        for path in sorted(storage.rglob("*"))
        if path.is_file() and not (name := str(path.relative_to(storage))).endswith(_WRITTEN)
    }


def results(root: Path) -> set[tuple[object, ...]]:
    options = RunOptions(storage=StorageRoot(root=root / "challenger-studies"))
    return {
        (row.arm, row.phase, str(dict(row.params)), row.state, row.value, row.seeds)
        for row in load_trial_table("tiny", options).rows
    }


def check(root: Path, whole: Path, case: tuple[str, str, str], capsys) -> None:
    file, damage, command = case
    path = root / "challenger-studies" / file
    content = DAMAGES[damage](path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    before = contents(root)
    capsys.readouterr()
    code = run(list(COMMANDS[command]))
    output = capsys.readouterr()
    assert code in (0, 2), output
    if code == 2:
        (line,) = output.err.splitlines()
        assert line.startswith("Error: ")
        assert len(line) < 2000
    if code == 2 and command != "repair":
        assert contents(root) == before
    elif command in ("run", "resume", "repair", "sensitivity") and code == 0:
        assert results(root) == results(whole)
    elif command in ("status", "show", "export", "list"):
        capsys.readouterr()
        assert run(list(COMMANDS[command])) == 0
        assert capsys.readouterr().out == output.out
        assert contents(root) == before


@pytest.mark.parametrize("case", SOME, ids=" ".join)
def test_a_damaged_file_is_named_or_rebuilt(root: Path, whole: Path, case, capsys) -> None:
    check(root, whole, case, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_every_damage_is_named_or_rebuilt_by_every_command(
    root: Path, whole: Path, case, capsys
) -> None:
    check(root, whole, case, capsys)


@pytest.mark.parametrize(
    ("file", "damage"),
    [case for i, case in enumerate(itertools.product(FILES, DAMAGES)) if i % 4 == 0],
)
def test_repair_leads_back_to_the_results(root: Path, whole: Path, file: str, damage: str) -> None:
    path = root / "challenger-studies" / file
    content = DAMAGES[damage](path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    if file == "optuna.db" and content:
        # The message says so.
        path.unlink()
    if file == "tiny/study.yaml":
        assert run(list(COMMANDS["run"])) == 0
    assert run(list(COMMANDS["repair"])) == 0
    if file == "tiny/sweeps.json":
        # The message says so.
        assert run(list(COMMANDS["sensitivity"])) == 0
    assert results(root) == results(whole)


def test_a_study_whose_folder_is_gone_is_refused_until_it_is_deleted(
    root: Path, whole: Path, capsys
) -> None:
    shutil.rmtree(root / "challenger-studies" / "tiny")
    for _ in range(2):
        capsys.readouterr()
        assert run(list(COMMANDS["run"])) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "base/final/0: is COMPLETE in the Optuna database, but its files are gone" in line
        assert line.endswith(" put the folder back, or remove what is left by 'delete tiny'.")
        assert not (root / "challenger-studies" / "tiny").exists()
    assert run(["delete", "tiny", "--yes"]) == 0
    assert run(list(COMMANDS["run"])) == 0
    assert run(list(COMMANDS["sensitivity"])) == 0
    assert results(root) == results(whole)
