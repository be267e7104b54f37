"""``export`` and ``report``."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from study.config.study_spec import load
from study.engine import publishing
from study.engine.coordinator import TrialCoordinator
from study.engine.protocol import TrialAssignment
from study.records.trial_table import TrialTable
from study.storage.json_record import checksum
from study.storage.layout import StudyFolder, read_manifest, write_manifest
from tests.support.simulated import StudyFixture, empty_database, simulated_reports

QUICKSTART = Path(__file__).resolve().parents[3] / "docs" / "quickstart.md"


def finish(coordinator: TrialCoordinator) -> None:
    """Simulate the remaining trials of a study, final ones with a test metric."""
    while isinstance(step := coordinator.ask(), TrialAssignment):
        *most, last = simulated_reports(step.config)
        if step.config.is_final:
            tested = {"test/accuracy": last.metrics["val/accuracy"]}
            last = replace(last, metrics={**last.metrics, **tested})
        for report in (*most, last):
            coordinator.report(step.key, report)
        coordinator.tell(step.key)


def finished(folder: StudyFolder) -> TrialTable:
    """Finish a created study and return its table."""
    from study.results.build import build_trial_table

    place = StudyFixture(root=folder.path.parent, spec=load(folder.spec))
    place.storage.database.write_bytes(empty_database())
    finish(place.coordinator())
    return build_trial_table(place.spec, place.folder, place.state())


@pytest.fixture
def table(created_study) -> TrialTable:
    return finished(created_study)


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ([], "mine-trials.csv"),
        (["--per", "trial", "--format", "csv"], "mine-trials.csv"),
        (["-o", "mine.csv"], "mine.csv"),
        (["-o", "some.where/mine.txt", "--format", "csv"], "some.where/mine.txt"),
    ],
)
def test_a_file_has_a_row_per_trial(run_cli, table, arguments, file):
    ended = run_cli("export", "mine", *arguments)
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
def test_parquet_is_chosen_by_the_format_or_by_how_the_file_ends(run_cli, table, arguments, file):
    assert run_cli("export", "mine", *arguments).code == 0
    frame = pd.read_parquet(file)
    assert len(frame) == len(table.rows)
    assert frame.attrs["study"] == "mine"


def test_a_row_may_stand_for_a_replica_or_for_one_at_one_evaluation(run_cli, table):
    assert run_cli("export", "mine", "--per", "replica").code == 0
    replicas = pd.read_csv("mine-replicas.csv")
    assert replicas["seed"].tolist() == [seed for row in table.rows for seed in row.seeds]
    assert run_cli("export", "mine", "--per", "report", "--format", "parquet").code == 0
    reports = pd.read_parquet("mine-reports.parquet")
    assert len(reports) == sum(len(row.seeds) * len(row.reports) for row in table.rows)
    assert sorted(set(reports["epoch"])) == list(range(0, 101, 10))


@pytest.mark.usefixtures("table")
def test_a_dash_writes_csv_alone_to_standard_output(run_cli):
    ended = run_cli("export", "mine", "-o", "-")
    assert run_cli("export", "mine").code == 0
    assert ended.err == ""
    assert ended.out == Path("mine-trials.csv").read_text(encoding="utf-8")
    assert run_cli("export", "mine", "-o", "-", "--format", "csv") == ended


@pytest.mark.usefixtures("table")
def test_a_file_that_exists_is_replaced_only_by_force(run_cli):
    Path("mine-trials.csv").write_text("dear to somebody", encoding="utf-8")
    ended = run_cli("export", "mine")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(
        "Error: mine-trials.csv must not exist, but does; replace it with --force, or name "
        "another FILE with -o.\n"
    )
    assert Path("mine-trials.csv").read_text(encoding="utf-8") == "dear to somebody"
    assert run_cli("export", "mine", "--force").code == 0
    assert len(pd.read_csv("mine-trials.csv")) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-o", "-", "--format", "parquet"],
            "'-' supports CSV only, got --format parquet; name a FILE with -o.",
        ),
        (
            ["-o", "mine.xlsx"],
            "mine.xlsx must end in .csv or .parquet; use --format csv or --format parquet for "
            "other names.",
        ),
    ],
)
@pytest.mark.usefixtures("created_study")
def test_a_format_that_cannot_be_is_refused(run_cli, arguments, message):
    ended = run_cli("export", "mine", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(f"Error: {message}\n")


def test_a_study_that_does_not_exist_is_named(run_cli, created_study):
    ended = run_cli("export", "yours")
    assert ended.code == 2
    assert ended.err == (
        f"Error: there is no study 'yours' in {created_study.path.parent}; known: mine.\n"
    )
    assert not Path("yours-trials.csv").exists()


@pytest.mark.usefixtures("table")
def test_an_unwritable_output_is_named(run_cli):
    Path("file").write_text("", encoding="utf-8")
    ended = run_cli("export", "mine", "-o", "file/mine.csv")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: file/mine.csv must be writable, but is not (File exists); free it or "
        "name another folder.\n"
    )


def test_a_study_without_trials_has_a_header_alone(run_cli, created_study):
    StudyFixture(root=created_study.path.parent, spec=load(created_study.spec)).store()
    ended = run_cli("export", "mine", "-o", "-")
    assert ended.code == 0
    assert pd.read_csv(io.StringIO(ended.out)).empty
    assert ended.out.startswith("study,arm,dataset,")


def quickstart_block(language: str, beginning: str) -> str:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", QUICKSTART.read_text("utf-8"), re.S | re.M)
    (found,) = [block for kind, block in blocks if kind == language and beginning in block]
    return str(found)


def test_the_lines_of_the_quickstart_on_pandas_run(run_cli, created_study):
    """The commands and the lines of Python as they stand there, on a study of that name."""
    name = "tiny-mnist-top-k"
    folder = StudyFolder(path=created_study.path.rename(created_study.path.parent / name))
    text = folder.spec.read_text(encoding="utf-8")
    text = text.replace("name: mine", f"name: {name}")
    folder.spec.write_text(text, encoding="utf-8")
    manifest = replace(read_manifest(folder.manifest), name=name, study=checksum(text.encode()))
    write_manifest(folder.manifest, manifest)
    table = finished(folder)
    lines = quickstart_block("", "challenger-study export").splitlines()
    exports = [line.split("#")[0].split() for line in lines if " export " in line]
    assert len(exports) == 2
    for words in exports:
        assert words[:3] == ["uv", "run", "challenger-study"]
        assert run_cli(*words[3:]).code == 0
    said: dict[str, pd.DataFrame] = {}
    exec(quickstart_block("python", "read_csv"), said)
    assert len(said["trials"]) == len(table.rows)
    assert list(said["chosen"]["arm"]) == [arm.name for arm in table.arms]
    assert said["chosen"]["test/accuracy"].notna().all()
    curve = said["curves"].loc["challenger", 0]
    row = table.select("challenger", "search")[0]
    means = [sum(r.metrics["val/accuracy"]) / 3 for r in row.reports if r.epoch > 0]
    assert curve.loc[10:].tolist() == pytest.approx(means)


@pytest.fixture
def without_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what is queued for MLflow in the outbox."""
    monkeypatch.setattr(publishing, "start_sync", lambda *_: None)
    monkeypatch.setattr(publishing, "wait_for_sync", lambda *_: None)


@pytest.mark.usefixtures("table", "without_sync")
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "report.html"),
        (["--format", "html"], "report.html"),
        (["--format", "md"], "report.md"),
    ],
)
def test_the_file_of_the_asked_format_is_named_and_figures_are_written(
    run_cli, created_study, arguments, name
):
    ended = run_cli("report", "mine", *arguments)
    assert ended.code == 0
    said = re.search(r"^report: (.*)$", ended.out, re.MULTILINE)
    assert said is not None
    page = Path(said[1])
    assert page.resolve() == (created_study.report / name).resolve()
    assert page.stat().st_size > 0
    assert (created_study.report / "report.html").exists()
    assert list(created_study.report.glob("*.png"))


@pytest.mark.usefixtures("table", "without_sync")
def test_the_markdown_links_to_the_figures_in_its_folder(run_cli, created_study):
    assert run_cli("report", "mine", "--format", "md").code == 0
    links = re.findall(r"\]\(([^)]+\.png)\)", (created_study.report / "report.md").read_text())
    assert links
    assert all((created_study.report / link).exists() for link in links)


def test_another_format_is_refused(run_cli):
    ended = run_cli("report", "mine", "--format", "pdf")
    assert ended.code == 2
    assert "'pdf' is not one of 'html', 'md'" in ended.err
