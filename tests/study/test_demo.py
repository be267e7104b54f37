"""The demo, as a user starts it: the embedded study on real digits, on a Ray of its own."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.config.run_options import RunOptions
from study.records.trial_table import TrialTable
from study.results.build import load_trial_table
from study.storage.layout import StorageRoot

# Four minutes on two idle cores.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(2400)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo that ended."""

    folder: Path
    code: int
    out: str
    err: str

    @property
    def storage(self) -> Path:
        return self.folder / "challenger-studies"

    def table(self) -> TrialTable:
        return load_trial_table("demo", RunOptions(storage=StorageRoot(root=self.storage)))

    def tracked(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.storage / "mlflow.db", timeout=30)) as database:
            return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    ray = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    names = ("CHALLENGER_", "MLFLOW_", "RAY_", "TUNE_", "PYTEST_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(names) and k != "UV"}
    done = subprocess.run(
        ["challenger-study", "demo"],
        cwd=folder,
        env={**kept, "HOME": str(folder), "RAY_TMPDIR": ray},
        capture_output=True,
        text=True,
        check=False,
    )
    yield Demo(folder=folder, code=done.returncode, out=done.stdout, err=done.stderr)
    shutil.rmtree(ray, ignore_errors=True)


def test_the_demo_ends_well_and_says_where_its_results_are(demo: Demo) -> None:
    assert demo.code == 0, demo.err
    *_, report, mlflow = demo.out.splitlines()
    assert report == "report: challenger-studies/demo/report/report.html"
    assert mlflow == "mlflow: challenger-study mlflow"
    assert (demo.folder / report.removeprefix("report: ")).stat().st_size > 10_000
    assert demo.err == ""


def test_the_demo_trains_all_its_trials(demo: Demo) -> None:
    table = demo.table()
    assert {row.state for row in table.rows} == {"COMPLETE"}
    counts = Counter((row.arm, row.phase) for row in table.rows)
    # The chosen K is one of the swept values, or another.
    assert counts.pop(("challenger", "final")) in {6, 7}
    assert counts == {
        ("challenger", "search"): 6,
        ("base", "final"): 1,
        ("random-like-challenger", "final"): 1,
    }
    for row in table.rows:
        epochs = [report.epoch for report in row.reports]
        assert epochs == sorted(set(epochs))
        assert (epochs[0], epochs[-1]) == (0, table.arm(row.arm).epochs)


def test_the_control_of_the_demo_has_the_choice_and_the_seeds_of_challenger(demo: Demo) -> None:
    table = demo.table()
    (control,) = (row for row in table.rows if row.arm == "random-like-challenger")
    shared = {name: control.params[name] for name in ("n_features", "alpha", "beta", "split")}
    chosen = [
        row
        for row in table.rows
        if row.arm == "challenger"
        and row.phase == "final"
        and shared.items() <= row.params.items()
    ]
    assert len(chosen) in {6, 7}
    assert {row.seeds for row in chosen} == {control.seeds}


def test_mlflow_holds_the_demo_s_parents_with_figures_and_a_child_per_trial(demo: Demo) -> None:
    experiments = "JOIN experiments USING (experiment_id) WHERE experiments.name = 'demo'"
    parent = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId'"
    (children,) = demo.tracked(
        f"SELECT count(*) FROM runs {experiments} AND run_uuid IN ({parent})"
    )
    parents = demo.tracked(
        f"SELECT run_uuid, artifact_uri FROM runs {experiments} AND run_uuid NOT IN ({parent})"
    )
    assert children == (len(demo.table().rows),)
    assert len(parents) == 3
    for _, uri in parents:
        folder = Path(str(uri).removeprefix("file://"))
        assert folder.is_relative_to(demo.storage / "mlflow-artifacts")
        assert list(folder.glob("figures/*.png"))
        assert (folder / "report.html").exists()
    statuses = demo.tracked(f"SELECT DISTINCT runs.status FROM runs {experiments}")
    assert statuses == [("FINISHED",)]
