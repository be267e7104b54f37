"""What of a report goes to MLflow, and where it stands there."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from study.records.trial_table import TrialTable
from study.report import ReportFiles, write_report
from study.storage.layout import StudyFolder
from study.tracking.mlflow_records import TrackedStudy
from study.tracking.record_types import LogArtifact, LogTable, MlflowRecord, SetTags
from study.tracking.report_artifacts import artifact_records
from tests.support.trial_tables import TableShape, make_trial_table

TRACKED = TrackedStudy(
    study="tiny-mnist-top-k",
    objective="val/accuracy",
    higher_is_better={"val/accuracy": True},
    settings={},
    dimensions=("top_k",),
    swept=("top_k",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A report and what MLflow is told of it."""

    table: TrialTable
    folder: StudyFolder
    files: ReportFiles
    entries: tuple[MlflowRecord, ...]

    def artifacts(self, run_key: str) -> dict[str, Path]:
        """Return a run's files by their place in MLflow."""
        return {
            str(Path(entry.artifact_folder, Path(entry.path).name)): Path(entry.path)
            for entry in self.entries
            if isinstance(entry, LogArtifact) and entry.run_key == run_key
        }

    def note(self, run_key: str | None) -> str:
        """Return a run's description."""
        (note,) = (
            entry.tags["mlflow.note.content"]
            for entry in self.entries
            if isinstance(entry, SetTags) and entry.run_key == run_key
            if "mlflow.note.content" in entry.tags
        )
        return note


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = StudyFolder(path=tmp_path_factory.mktemp("study"))
    table = make_trial_table(
        TableShape(replicas=3, layers=1, sweep=(1, 5), search_trials=2, epochs=2)
    )
    folder.spec.write_text("name: tiny\n")
    for row in table.rows:
        if row.phase == "final":
            (folder.path / row.folder).mkdir(parents=True, exist_ok=True)
            np.savez_compressed(
                folder.path / row.folder / "attribution_maps.npz",
                inputs=np.zeros((2, 1, 4, 4), np.float32),
                relevance=np.ones((2, 1, 4, 4), np.float32),
                target=np.arange(2),
                predicted=np.arange(2),
            )
    files = write_report(table, folder.path, folder.report)
    entries = tuple(artifact_records(TRACKED, table, files, folder))
    return Published(table=table, folder=folder, files=files, entries=entries)


def test_what_is_opened_first_stands_at_the_top(published: Published) -> None:
    at_top = {place for place in published.artifacts("arm/challenger") if "/" not in place}
    assert at_top == {"environment.json", "report.html", "study.yaml", "summary.md"}
    kept = published.artifacts("arm/challenger")
    assert json.loads(kept["environment.json"].read_text()) == published.table.environment
    assert kept["study.yaml"].read_text() == "name: tiny\n"


def test_sweeps_and_what_the_data_root_held_go_along_where_there_are_any(
    published: Published,
) -> None:
    folder = published.folder
    folder.sweeps.write_text("[]")
    folder.provenance.write_text("{}")
    entries = artifact_records(TRACKED, published.table, published.files, folder)
    places = {Path(entry.path).name for entry in entries if isinstance(entry, LogArtifact)}
    assert {"sweeps.json", "provenance.json"} <= places
    folder.sweeps.unlink()
    folder.provenance.unlink()


def test_every_figure_is_there_to_leaf_through_and_as_svg(published: Published) -> None:
    places = published.artifacts("arm/challenger")
    png = {Path(p).stem for p in places if Path(p).parent == Path("figures")}
    svg = {Path(p).stem for p in places if Path(p).parent == Path("figures/svg")}
    assert png == svg
    assert {"challenger-over-top-k", "challenger-attribution-maps"} <= png


def test_every_analysis_has_its_numbers_as_csv_and_parquet(published: Published) -> None:
    import pandas as pd

    places = published.artifacts("arm/challenger")
    csv = {Path(p).stem: path for p, path in places.items() if p.startswith("tables/csv/")}
    parquet = {Path(p).stem: path for p, path in places.items() if p.startswith("tables/parquet/")}
    assert csv.keys() == parquet.keys()
    assert {"comparison", "challenger-over-top-k"} <= csv.keys()
    for name, path in csv.items():
        text, typed = pd.read_csv(path), pd.read_parquet(parquet[name])
        assert list(text.columns) == list(typed.columns)
        for column in typed.select_dtypes("number"):
            assert typed[column].astype(float).tolist() == pytest.approx(
                text[column].tolist(), nan_ok=True
            )


def test_every_table_of_the_report_is_one_that_mlflow_shows(published: Published) -> None:
    for arm in published.table.arms:
        tables = [
            entry
            for entry in published.entries
            if isinstance(entry, LogTable) and entry.run_key == f"arm/{arm.name}"
        ]
        shown = published.files.shown[arm.name]
        assert [entry.name for entry in tables] == [f"tables/{name}.json" for name, _ in shown]
        for entry, (_, table) in zip(tables, shown, strict=True):
            assert list(zip(*entry.columns.values(), strict=True)) == list(table.rows)
        assert max(Counter(entry.name for entry in tables).values()) == 1


def test_the_chosen_final_trial_has_its_attribution_maps_and_no_other_trial(
    published: Published,
) -> None:
    chosen = published.table.chosen("challenger")
    assert chosen is not None
    key = f"trial/challenger/final/{chosen.number}"
    assert set(published.artifacts(key)) == {
        "attribution_maps.npz",
        "figures/challenger-attribution-maps.png",
    }
    keys = {e.run_key for e in published.entries if isinstance(e, LogArtifact)}
    trials = {key for key in keys if key.startswith("trial/")}
    assert len(trials) == len(published.table.arms)


def test_the_experiments_description_is_the_summary_with_links_to_the_views_after_its_first_line(
    published: Published,
) -> None:
    heading, _, summary = published.files.summary.read_text().partition("\n\n")
    assert heading == "# tiny-mnist-top-k"
    result, links, rest = published.note(None).split("\n\n", 2)
    assert links.split(" · ")[0] == (
        "[Sensitivity to K](#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        "&viewStateShareKey=over-top_k&compareRunsMode=CHART)"
    )
    # The list of experiments shows the beginning as it stands.
    assert not result.startswith(("#", "*"))
    assert summary.replace("**", "").endswith(rest.replace("**", "").replace("&lt;", "<"))


def test_an_arms_description_is_its_own_results_before_the_studys(published: Published) -> None:
    own, _, rest = published.note("arm/challenger").partition("\n# The whole study: ")
    assert own.startswith("**Test accuracy [%]: ")
    assert "Chosen configuration: K = 5, N = 0.12, α = 0.8, β = 1.1, split = 0.5" in own
    for section in published.files.written.sections:
        assert f"## {section.title}" in rest
    assert rest.rindex("\n## ") == rest.index("\n## Missing from the report")
    # Base is compared with nothing.
    assert "minus Base" not in published.note("arm/base").splitlines()[0]


def test_an_arm_without_trials_has_no_run_and_is_told_nothing(published: Published) -> None:
    from dataclasses import replace

    rows = tuple(row for row in published.table.rows if row.arm != "random")
    table = replace(published.table, rows=rows)
    entries = artifact_records(TRACKED, table, published.files, published.folder)
    keys = {entry.run_key for entry in entries}
    assert "arm/random" not in keys
    assert {"arm/base", "arm/challenger", None} <= keys
