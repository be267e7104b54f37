"""The measure of the overhead is taken on a study that is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from study.bench.overhead import BLOCKS, measure_overhead
from study.store.folder import Storage
from study.store.ledger import Ledger

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.mark.usefixtures("ray_home")
def test_a_measured_study_is_a_whole_one_and_every_figure_is_there(tmp_path: Path) -> None:
    found = measure_overhead(tmp_path, trials=16, slots=2)
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
    storage = Storage(root=tmp_path / "study")
    ledger = Ledger(storage.database_url, "bench", maximise=True, must_exist=True)
    entries = ledger.entries("challenger", "search")
    complete = [entry for entry in entries if entry.state == "COMPLETE"]
    assert len(complete) >= 16 + 2
    folder = storage.study("bench")
    for entry in complete:
        lines = folder.reports(entry.key).read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
        attempts = (folder.trial(entry.key) / "attempts.jsonl").read_text(encoding="utf-8")
        assert len(attempts.splitlines()) == 1
        # Its checkpoints were written, and deleted when it ended.
        assert not list(folder.trial(entry.key).glob("*.pt"))
    assert folder.outbox.exists()
