"""A study that was made at once is one that every command reads as its own."""

from __future__ import annotations

from pathlib import Path

from study.config.run_options import RunOptions
from study.engine.status import study_status
from study.results.state import StudyState
from study.storage.layout import StorageRoot
from study.storage.trial_store import TrialStore
from tests.benchmarks.large_study import make_large_study


def test_a_study_made_at_once_is_whole_finished_and_holds_together(tmp_path: Path) -> None:
    options = RunOptions(storage=StorageRoot(root=tmp_path))
    spec = make_large_study(options, 30)
    folder = options.storage.study(spec.name)
    store = TrialStore(options.database_url, spec.name, maximize=True, must_exist=True)
    state = StudyState(spec, folder, store)
    records = list(state.records())
    assert [record.state for record in records] == ["COMPLETE"] * 31
    for record in records:
        reports = state.reports_of(record.key)
        assert [report.epoch for report in reports] == [1, 2, 3, 4]
        assert record.value is not None
        assert abs(reports[-1].metrics["val/accuracy"][0] - record.value) < 1e-9
        # Its point is one that a real trial could have.
        assert state.config(record).hash()
    assert study_status(folder, options.database_url, must_exist=True).activity == "finished"
