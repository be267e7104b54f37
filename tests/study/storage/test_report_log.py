"""The report log and outcome of a trial, and their durability."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.records.trial_table import StoredReport
from study.storage.report_log import append_report, read_reports
from tests.support.simulated import StudyFixture, assigned, simulated_reports, study_text


def report(epoch: int, *values: float) -> StoredReport:
    return StoredReport(epoch=epoch, time_ms=1000 + epoch, metrics={"val/accuracy": values})


def test_reports_are_read_by_epoch_in_whatever_order_they_came(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    for epoch in (2, 0, 3, 1):
        append_report(path, report(epoch, 0.5, 0.25))
    assert [r.epoch for r in read_reports(path)] == [0, 1, 2, 3]


def test_a_file_cut_at_any_byte_keeps_its_complete_reports_and_takes_more(
    tmp_path: Path,
) -> None:
    path = tmp_path / "reports.jsonl"
    first, second, third = report(1, 0.1), report(2, 0.2), report(3, 0.3)
    append_report(path, first)
    length = path.stat().st_size
    append_report(path, second)
    whole = path.read_bytes()
    for size in range(length, len(whole)):
        path.write_bytes(whole[:size])
        assert read_reports(path) == (first,)
        append_report(path, third)
        assert read_reports(path) == (first, third)
        append_report(path, second)
        assert read_reports(path) == (first, second, third)


def test_a_report_is_on_disk_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reports.jsonl"
    synced: list[bytes] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        assert os.path.samestat(os.fstat(descriptor), path.stat())
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", note)
    append_report(path, report(1, 0.5))
    assert synced == [path.read_bytes()]
    assert synced[0].endswith(b"\n")


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.lists(st.floats(allow_nan=False), min_size=1, max_size=4).map(tuple),
        max_size=4,
    ),
    st.integers(0, 10**6),
    st.integers(0, 2**53),
)
def test_numbers_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    metrics: dict[str, tuple[float, ...]],
    epoch: int,
    time_ms: int,
) -> None:
    path = tmp_path_factory.mktemp("results") / "reports.jsonl"
    stored = StoredReport(epoch=epoch, time_ms=time_ms, metrics=metrics)
    append_report(path, stored)
    (read,) = read_reports(path)
    assert read == stored
    assert repr(read) == repr(stored)


def test_usage_is_stored_if_there_is_any(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    measured = StoredReport(epoch=2, time_ms=5, metrics={}, usage={"cpu_s": 0.5})
    append_report(path, report(1, 0.5))
    append_report(path, measured)
    assert path.read_bytes().splitlines()[0] == (
        b'{"epoch": 1, "time_ms": 1001, "metrics": {"val/accuracy": [0.5]}}'
    )
    assert read_reports(path) == (report(1, 0.5), measured)


def test_a_report_waits_for_the_disk_once_and_so_does_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def counting(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    place = StudyFixture.of(tmp_path, study_text(arms=[{"method": "base"}]))
    coordinator = place.coordinator()
    step = assigned(coordinator)
    monkeypatch.setattr(os, "fsync", counting)
    for report in simulated_reports(step.config):
        synced.clear()
        coordinator.report(step.key, report)
        assert synced == ["reports.jsonl"]
    synced.clear()
    coordinator.tell(step.key)
    assert len(synced) == 1
    assert synced[0].startswith(".end.json.")
