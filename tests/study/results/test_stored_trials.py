"""Damage of result files and of the database: named by every reader, and repaired."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from study.config.run_options import RunOptions
from study.engine.protocol import TrialAssignment
from study.engine.repair import repair_study
from study.engine.run import make_manifest
from study.engine.status import study_status
from study.records.errors import StoreError
from study.records.trial_table import PhaseName
from study.results.build import load_trial_table
from study.storage.layout import TrialKey, write_manifest
from tests.support.simulated import (
    StudyFixture,
    complete,
    empty_database,
    simulate,
    study_text,
)

STUDY = study_text(sampler="random")
TRIAL = TrialKey(arm="challenger", phase="final", number=0)


def begin(root: Path, text: str = STUDY) -> StudyFixture:
    place = StudyFixture.of(root, text)
    place.folder.path.mkdir(parents=True, exist_ok=True)
    place.folder.spec.write_text(text, encoding="utf-8")
    write_manifest(place.folder.manifest, make_manifest(place.spec, text))
    return place


def finish(place: StudyFixture) -> StudyFixture:
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    assert coordinator.flush()
    with closing(sqlite3.connect(place.storage.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return place


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finish(begin(tmp_path_factory.mktemp("whole"))).root


@pytest.fixture
def place(whole: Path, tmp_path: Path) -> StudyFixture:
    """Return a copy of a finished study, to be damaged."""
    root = Path(shutil.copytree(whole, tmp_path / "studies"))
    return StudyFixture.of(root, STUDY)


def sql(place: StudyFixture, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(place.storage.database)) as database, database:
        assert database.execute(statement, values).rowcount != 0


def edit(name: str, change: Callable[[str], str]) -> Callable[[StudyFixture], None]:
    def damage(place: StudyFixture) -> None:
        path = place.folder.trial(TRIAL) / name
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    return damage


def remove(name: str) -> Callable[[StudyFixture], None]:
    return lambda place: (place.folder.trial(TRIAL) / name).unlink()


def another_trials(name: str) -> Callable[[StudyFixture], None]:
    def damage(place: StudyFixture) -> None:
        other = place.folder.trial(TrialKey(arm="random", phase="final", number=0))
        shutil.copy(other / name, place.folder.trial(TRIAL) / name)

    return damage


def other_database(place: StudyFixture) -> None:
    """Put the database of another run of the same name, with another seed, beside the folders."""
    other = finish(begin(place.root.parent / "other", study_text(sampler="random", seed=7)))
    shutil.copy(other.storage.database, place.storage.database)


def older_database(place: StudyFixture) -> None:
    other = begin(place.root.parent / "older")
    coordinator = other.coordinator()
    coordinator.ask()
    assert coordinator.flush()
    with closing(sqlite3.connect(other.storage.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(other.storage.database, place.storage.database)


def unchained(text: str) -> str:
    first, *rest = text.splitlines(keepends=True)
    line = json.loads(first)
    line["metrics"] = {name: [0.0] * len(values) for name, values in line["metrics"].items()}
    return json.dumps(line) + "\n" + "".join(rest)


ROW = "trial_id = (SELECT max(trial_id) FROM trials)"
DAMAGES: dict[str, tuple[Callable[[StudyFixture], None], str]] = {
    "folder removed": (
        lambda place: shutil.rmtree(place.folder.trial(TRIAL)),
        "challenger/final/0: is COMPLETE in the Optuna database, but its files are gone",
    ),
    "arm removed": (
        lambda place: shutil.rmtree(place.folder.path / "trials" / "challenger"),
        "challenger/search/0: is COMPLETE in the Optuna database, but its files are gone",
    ),
    "reports removed": (remove("reports.jsonl"), "challenger/final/0: reports.jsonl: is missing"),
    "reports emptied": (
        edit("reports.jsonl", lambda _: ""),
        "challenger/final/0: reports.jsonl has 0 of 4 reports",
    ),
    "last report cut off": (
        edit("reports.jsonl", lambda text: text[: text.rindex("{")]),
        "challenger/final/0: reports.jsonl has 3 of 4 reports",
    ),
    "reports halved": (
        edit("reports.jsonl", lambda text: text[: len(text) // 2]),
        "challenger/final/0: reports.jsonl has ",
    ),
    "report altered": (
        edit("reports.jsonl", unchained),
        "challenger/final/0: reports.jsonl: line 1 was altered, or is of another trial",
    ),
    "reports of another trial": (
        another_trials("reports.jsonl"),
        "challenger/final/0: reports.jsonl: line 1 was altered, or is of another trial",
    ),
    "end of another trial": (
        another_trials("end.json"),
        "challenger/final/0: end.json is that of other reports",
    ),
    "identity of another trial": (
        another_trials("trial.json"),
        "challenger/final/0: trial.json must be of trial challenger/final/0, but is of random/",
    ),
    "end removed": (
        remove("end.json"),
        "challenger/final/0: is COMPLETE in the Optuna database, but has no end.json",
    ),
    "identity removed": (remove("trial.json"), "challenger/final/0: trial.json is missing"),
    "identity altered": (
        edit("trial.json", lambda text: text.replace('"epochs": 3', '"epochs": 4')),
        "challenger/final/0: trial.json must hold what this program wrote, but its checksum is",
    ),
    "database of another run": (other_database, "they are of different runs"),
    "older database": (older_database, "has files, but no row in the Optuna database"),
    "study deleted": (
        lambda place: [
            sql(
                place,
                f"DELETE FROM {table} WHERE trial_id IN (SELECT trial_id FROM trials JOIN "
                "studies USING (study_id) WHERE study_name = 'tiny/random/search')",
            )
            for table in ("trial_values", "trials")
        ],
        "random/search/0: has files, but no row in the Optuna database",
    ),
    "value altered": (
        lambda place: sql(place, f"UPDATE trial_values SET value = 0.5 WHERE {ROW}"),
        "is COMPLETE with 0.5 in the Optuna database, but COMPLETE with ",
    ),
    "state altered": (
        lambda place: sql(place, f"UPDATE trials SET state = 'FAIL' WHERE {ROW}"),
        "is FAIL with None in the Optuna database, but COMPLETE with ",
    ),
    "param altered": (
        lambda place: sql(
            place,
            f"UPDATE trial_params SET param_value = 0.25 WHERE param_name = 'split' AND {ROW}",
        ),
        "they are of different runs",
    ),
    "database removed": (
        lambda place: place.storage.database.unlink(),
        "there is no Optuna database",
    ),
    "database emptied": (
        lambda place: place.storage.database.write_bytes(b""),
        "there is nothing in the Optuna database",
    ),
    "database overwritten": (
        lambda place: place.storage.database.write_bytes(b"x" * 4096),
        "optuna.db cannot be opened: file is not a database; restore it, or name another with",
    ),
}


def contents(root: Path) -> dict[str, bytes]:
    """Return what is below a folder, but for what SQLite keeps while it reads."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_by_every_reader_and_nothing_is_changed(
    place: StudyFixture, name: str
) -> None:
    damage, message = DAMAGES[name]
    damage(place)
    before = contents(place.root)
    for read in (
        lambda: study_status(place.folder, place.storage.database_url, must_exist=False),
        lambda: load_trial_table("tiny", RunOptions(storage=place.storage)),
    ):
        with pytest.raises(StoreError) as caught:
            read()
        assert message in str(caught.value)
    assert contents(place.root) == before


def test_a_whole_study_and_one_that_runs_are_read(place: StudyFixture) -> None:
    table = load_trial_table("tiny", RunOptions(storage=place.storage))
    assert {row.state for row in table.rows} == {"COMPLETE"}
    more = begin(place.root, study_text(sampler="random", trials=4))
    coordinator = more.coordinator()
    for _ in range(2):
        coordinator.ask()
    status = study_status(place.folder, place.storage.database_url)
    assert sum(phase.running for phase in status.phases) == 2


def lose_both(arm: str, phase: PhaseName) -> Callable[[StudyFixture], None]:
    """Remove row and folder of the first trial of an arm and phase."""

    def damage(place: StudyFixture) -> None:
        shutil.rmtree(place.folder.trial(TrialKey(arm=arm, phase=phase, number=0)))
        place.storage.database.unlink()

    return damage


REPAIRED = {
    name: damage for name, (damage, _) in DAMAGES.items() if name != "database overwritten"
}
LOST = {
    "a search trial on both sides": lose_both("challenger", "search"),
    "a final trial on both sides": lose_both("challenger", "final"),
    "folders": lambda place: shutil.rmtree(place.folder.path / "trials"),
}


def results(place: StudyFixture) -> dict[str, object]:
    table = load_trial_table("tiny", RunOptions(storage=place.storage))
    return {
        f"{row.arm}/{row.phase}/{dict(row.params)}": (
            row.state,
            row.value,
            row.seeds,
            [(report.epoch, report.metrics) for report in row.reports],
        )
        for row in table.rows
    }


@pytest.mark.parametrize("name", [*REPAIRED, *LOST])
def test_a_repaired_study_ends_as_it_was(place: StudyFixture, name: str) -> None:
    before = results(place)
    {**REPAIRED, **LOST}[name](place)
    if not place.storage.database.exists() or not place.storage.database.stat().st_size:
        place.storage.database.write_bytes(empty_database())
    said: list[str] = []
    text = repair_study("tiny", RunOptions(storage=place.storage), said.append, said.append)
    assert text == STUDY
    assert any(line.startswith(("repaired", "restored")) or "again" in line for line in said)
    finish(place)
    assert results(place) == before
    again: list[str] = []
    repair_study("tiny", RunOptions(storage=place.storage), again.append, again.append)
    assert again == ["study 'tiny': the database and the result files agree."]


def test_only_what_is_damaged_is_trained_anew(place: StudyFixture) -> None:
    DAMAGES["last report cut off"][0](place)
    shutil.rmtree(place.folder.trial(TrialKey(arm="random", phase="search", number=1)))
    said: list[str] = []
    repair_study("tiny", RunOptions(storage=place.storage), said.append, said.append)
    coordinator = place.coordinator()
    trained = set()
    while isinstance(step := coordinator.ask(), TrialAssignment):
        trained.add(str(step.key))
        complete(coordinator, step)
    assert trained == {"random/search/1", str(TRIAL)}


ARMS = ("base-base-one", "base-base-two", "both-one", "both-two")


def test_a_search_over_several_datasets_is_restored(tmp_path: Path) -> None:
    small = {"name": "digits", "val_size": 20, "test_size": 20}
    datasets = [
        {"dataset": {**small, "train_per_class": count}, "name": name}
        for count, name in ((1, "one"), (2, "two"))
    ]
    arms: list[dict[str, Any]] = [
        {"method": "base", "datasets": [{**d, "name": f"base-{d['name']}"} for d in datasets]},
        {"method": "challenger", "name": "both", "datasets": datasets},
    ]
    place = finish(begin(tmp_path, study_text(sampler="random", arms=arms)))
    before = results(place)
    assert {name.partition("/")[0] for name in before} == set(ARMS)
    place.storage.database.write_bytes(empty_database())
    member = place.spec.groups["both"][0].name
    shutil.rmtree(place.folder.trial(TrialKey(arm=member, phase="search", number=1)))
    said: list[str] = []
    repair_study("tiny", RunOptions(storage=place.storage), said.append, said.append)
    finish(place)
    assert results(place) == before
