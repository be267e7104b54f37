"""The measure of the overhead is taken on a study that is whole."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from study.storage.layout import StorageRoot
from tests.benchmarks.measured_study import DatabaseKind
from tests.benchmarks.overhead import BLOCKS, measure_overhead

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.mark.usefixtures("ray_home", "closed_pools")
@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
def test_a_measured_study_is_a_whole_one_and_every_figure_is_there(kind: DatabaseKind) -> None:
    # PostgreSQL's own user must be able to pass, whom pytest's folder shuts out.
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        look_at(Path(folder), kind)


def look_at(root: Path, kind: DatabaseKind) -> None:
    found = measure_overhead(root, trials=16, slots=2, kind=kind)
    assert (found.trials, found.slots, found.study.rounds) == (16, 2, BLOCKS)
    data = found.as_data()
    assert json.loads(json.dumps(data)) == data
    for name in (
        "seconds_per_trial",
        "bare_optuna_seconds_per_trial",
        "stock_tune_seconds_per_trial",
        "ratio_to_bare",
        "ratio_of_stock_tune",
        "start_up_seconds",
    ):
        assert data[name] > 0
    folder = StorageRoot(root=root / "study").study("bench")
    ends = [
        path.parent
        for path in folder.path.glob("trials/challenger/search/*/end.json")
        if json.loads(path.read_text(encoding="utf-8"))["outcome"]["state"] == "COMPLETE"
    ]
    assert len(ends) >= 16 + 2
    for trial in ends:
        lines = (trial / "reports.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
        attempts = (trial / "attempts.jsonl").read_text(encoding="utf-8")
        assert len(attempts.splitlines()) == 1
        # Its checkpoints were written, and deleted when it ended.
        assert not list(trial.glob("*.pt"))
    assert folder.outbox.exists()
    in_file = (root / "study" / "optuna.db").exists()
    assert in_file == (kind == "sqlite")
