"""The trial table as a file, of a study whose trials were simulated."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from study.conductor import Conductor
from study.handout import Assignment
from study.spec import load
from study.store.folder import StudyFolder
from study.trial_table import TrialTable
from tests.study.simulated import Place, empty_database, simulated_reports

README = Path(__file__).resolve().parents[3] / "README.md"


def finish(conductor: Conductor) -> None:
    """Simulate what is left of a study, with a test metric where a real one has some."""
    while isinstance(step := conductor.next(), Assignment):
        *most, last = simulated_reports(step.config)
        if step.config.is_final:
            tested = {"test/accuracy": last.metrics["val/accuracy"]}
            last = replace(last, metrics={**last.metrics, **tested})
        for report in (*most, last):
            conductor.report(step.key, report)
        conductor.finish(step.key)


def finished(folder: StudyFolder) -> TrialTable:
    """Finish a study that was begun, and give its table."""
    from study.rows import trial_table

    place = Place(root=folder.path.parent, spec=load(folder.spec))
    place.storage.database.write_bytes(empty_database())
    finish(place.conductor())
    return trial_table(place.spec, place.folder, place.books())


@pytest.fixture
def table(begun) -> TrialTable:
    return finished(begun)


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ([], "mine-trials.csv"),
        (["--per", "trial", "--format", "csv"], "mine-trials.csv"),
        (["-o", "mine.csv"], "mine.csv"),
        (["-o", "some.where/mine.txt", "--format", "csv"], "some.where/mine.txt"),
    ],
)
def test_a_file_has_a_row_per_trial(call, table, arguments, file):
    ended = call("export", "mine", *arguments)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{len(table.rows)} rows: {file}\n"
    frame = pd.read_csv(file, parse_dates=["started", "finished"])
    assert frame["value"].tolist() == [row.value for row in table.rows]
    assert set(frame["state"]) == {"COMPLETE"}
    assert frame["is_chosen"].sum() == len(table.arms)
    assert (frame["finished"] >= frame["started"]).all()


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["--format", "parquet"], "mine-trials.parquet"),
        (["-o", "mine.PARQUET"], "mine.PARQUET"),
        (["-o", "mine.pq", "--force"], "mine.pq"),
        (["-o", "mine.data", "--format", "parquet"], "mine.data"),
    ],
)
def test_parquet_is_chosen_by_the_format_or_by_how_the_file_ends(call, table, arguments, file):
    assert call("export", "mine", *arguments).code == 0
    frame = pd.read_parquet(file)
    assert len(frame) == len(table.rows)
    assert frame.attrs["study"] == "mine"


def test_a_row_may_stand_for_a_replica_or_for_one_at_one_evaluation(call, table):
    assert call("export", "mine", "--per", "replica").code == 0
    replicas = pd.read_csv("mine-replicas.csv")
    assert replicas["seed"].tolist() == [seed for row in table.rows for seed in row.seeds]
    assert call("export", "mine", "--per", "report", "--format", "parquet").code == 0
    reports = pd.read_parquet("mine-reports.parquet")
    assert len(reports) == sum(len(row.seeds) * len(row.reports) for row in table.rows)
    assert sorted(set(reports["epoch"])) == list(range(0, 101, 10))


@pytest.mark.usefixtures("table")
def test_a_dash_writes_csv_alone_to_standard_output(call):
    ended = call("export", "mine", "-o", "-")
    assert call("export", "mine").code == 0
    assert ended.err == ""
    assert ended.out == Path("mine-trials.csv").read_text(encoding="utf-8")
    assert call("export", "mine", "-o", "-", "--format", "csv") == ended


@pytest.mark.usefixtures("table")
def test_a_file_that_exists_is_replaced_only_by_force(call):
    Path("mine-trials.csv").write_text("dear to somebody", encoding="utf-8")
    ended = call("export", "mine")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(
        "Error: mine-trials.csv must not exist, but does; replace it with --force, or give "
        "another FILE with -o.\n"
    )
    assert Path("mine-trials.csv").read_text(encoding="utf-8") == "dear to somebody"
    assert call("export", "mine", "--force").code == 0
    assert len(pd.read_csv("mine-trials.csv")) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-o", "-", "--format", "parquet"],
            "'-' takes CSV alone, got --format parquet; give a FILE with -o.",
        ),
        (
            ["-o", "mine.xlsx"],
            "mine.xlsx must end in .csv or .parquet, or its format be named; give --format csv or "
            "--format parquet.",
        ),
    ],
)
@pytest.mark.usefixtures("begun")
def test_a_format_that_cannot_be_is_refused(call, arguments, message):
    ended = call("export", "mine", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(f"Error: {message}\n")


def test_a_study_that_does_not_exist_is_named(call, begun):
    ended = call("export", "yours")
    assert ended.code == 2
    assert ended.err == (
        f"SpecError: there is no study 'yours' in {begun.path.parent}; known: mine.\n"
    )
    assert not Path("yours-trials.csv").exists()


@pytest.mark.usefixtures("table")
def test_a_place_that_cannot_be_written_to_is_named(call):
    Path("file").write_text("", encoding="utf-8")
    ended = call("export", "mine", "-o", "file/mine.csv")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "StoreError: file/mine.csv must be writable, but is not (File exists); free it or "
        "name another folder.\n"
    )


def test_a_study_without_trials_has_a_header_alone(call, begun):
    Place(root=begun.path.parent, spec=load(begun.spec)).ledger()
    ended = call("export", "mine", "-o", "-")
    assert ended.code == 0
    assert pd.read_csv(io.StringIO(ended.out)).empty
    assert ended.out.startswith("study,arm,dataset,")


def readme_block(language: str, beginning: str) -> str:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text("utf-8"), re.S | re.M)
    (found,) = [block for kind, block in blocks if kind == language and beginning in block]
    return str(found)


def test_what_the_readme_says_of_pandas_runs(call, begun):
    """The commands and the lines of Python as they stand there, on a study of that name."""
    name = "tiny-mnist-top-k"
    folder = StudyFolder(path=begun.path.rename(begun.path.parent / name))
    text = folder.spec.read_text(encoding="utf-8")
    folder.spec.write_text(text.replace("name: mine", f"name: {name}"), encoding="utf-8")
    table = finished(folder)
    lines = readme_block("", "challenger-study export").splitlines()
    exports = [line.split("#")[0].split() for line in lines if " export " in line]
    assert len(exports) == 2
    for words in exports:
        assert words[:3] == ["uv", "run", "challenger-study"]
        assert call(*words[3:]).code == 0
    said: dict[str, pd.DataFrame] = {}
    exec(readme_block("python", "read_csv"), said)
    assert len(said["trials"]) == len(table.rows)
    assert list(said["chosen"]["arm"]) == [arm.name for arm in table.arms]
    assert said["chosen"]["test/accuracy"].notna().all()
    curve = said["curves"].loc["challenger", 0]
    row = table.select("challenger", "search")[0]
    means = [sum(r.metrics["val/accuracy"]) / 3 for r in row.reports if r.epoch > 0]
    assert curve.loc[10:].tolist() == pytest.approx(means)
