"""A study that was made at once is one that every command reads as its own."""

from __future__ import annotations

from pathlib import Path

from study.bench.large_study import make_large_study
from study.books import Books
from study.options import Options
from study.status import study_status
from study.store.folder import Storage
from study.store.ledger import Ledger


def test_a_study_made_at_once_is_whole_finished_and_holds_together(tmp_path: Path) -> None:
    options = Options(storage=Storage(root=tmp_path))
    spec = make_large_study(options, 30)
    folder = options.storage.study(spec.name)
    ledger = Ledger(options.database_url, spec.name, maximise=True, must_exist=True)
    books = Books(spec, folder, ledger)
    entries = list(books.entries())
    assert [entry.state for entry in entries] == ["COMPLETE"] * 31
    for entry in entries:
        reports = books.reports_of(entry.key)
        assert [report.epoch for report in reports] == [1, 2, 3, 4]
        assert entry.value is not None
        assert abs(reports[-1].metrics["val/accuracy"][0] - entry.value) < 1e-9
        # Its point is one that a real trial could have.
        assert books.config(entry).hash()
    assert study_status(folder, options.database_url, must_exist=True).activity == "finished"
