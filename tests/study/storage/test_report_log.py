"""The report log and outcome of a trial, and their durability."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.records.trial_table import StoredReport
from study.storage.json_record import checksum
from study.storage.report_log import ReportLog, append_report, read_reports
from tests.support.simulated import StudyFixture, assigned, simulated_reports, study_text

DIGEST = "0123456789abcdef"


def report(epoch: int, *values: float) -> StoredReport:
    return StoredReport(epoch=epoch, time_ms=1000 + epoch, metrics={"val/accuracy": values})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "reports.jsonl"
    path.touch()
    return path


def append(path: Path, *reports: StoredReport) -> None:
    for each in reports:
        append_report(path, each, DIGEST)


def read(path: Path, replicas: int = 1) -> ReportLog:
    return read_reports(path, DIGEST, replicas, epochs=3)


def test_reports_come_back_in_the_order_in_which_they_came(path: Path) -> None:
    append(path, *(report(epoch, 0.5, 0.25) for epoch in (2, 0, 3, 1)))
    log = read(path, replicas=2)
    assert [r.epoch for r in log.reports] == [2, 0, 3, 1]
    assert (log.damage, log.is_cut) == (None, False)


def test_a_file_cut_at_any_byte_keeps_its_complete_reports_and_takes_more(path: Path) -> None:
    first, second, third = report(1, 0.1), report(2, 0.2), report(3, 0.3)
    append(path, first)
    length = path.stat().st_size
    append(path, second)
    whole = path.read_bytes()
    for size in range(length, len(whole)):
        path.write_bytes(whole[:size])
        log = read(path)
        assert (log.reports, log.damage, log.is_cut) == ((first,), None, size > length)
        append(path, third, second)
        assert read(path).reports == (first, third, second)


def altered(text: bytes) -> bytes:
    return text.replace(b"0.2", b"0.7")


def without_middle(text: bytes) -> bytes:
    first, _, last = text.splitlines(keepends=True)
    return first + last


def swapped(text: bytes) -> bytes:
    first, second, last = text.splitlines(keepends=True)
    return second + first + last


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (altered, 2),
        (without_middle, 2),
        (swapped, 1),
        (lambda text: text.replace(b"\n", b"\n\n", 1), 2),
        (lambda text: b"null\n" + text, 1),
        (lambda text: b"\xff" + text, 1),
        (lambda text: text + b"[" * 100_000 + b"\n", 4),
    ],
)
def test_a_line_that_was_altered_removed_or_added_is_named(
    path: Path, damage: Callable[[bytes], bytes], line: int
) -> None:
    append(path, *(report(epoch, 0.1 * epoch) for epoch in (1, 2, 3)))
    path.write_bytes(damage(path.read_bytes()))
    log = read(path)
    assert log.damage == f"line {line} was altered, or is of another trial"
    assert len(log.reports) == line - 1


@pytest.mark.parametrize(
    ("body", "damage"),
    [
        ({"epoch": 4}, "line 1 is of epoch 4 of 3"),
        ({"epoch": -1}, "line 1 holds no report (epoch: Input should be greater than or equal to"),
        ({"metrics": {"a": [1.0]}}, "line 1 has 1 values of a for 2 replicas"),
        ({"metrics": {"a": [1.0, math.nan]}}, "line 1 holds no report (metrics.a.1: Input"),
        ({"metrics": {"a": [1.0, math.inf]}}, "line 1 holds no report (metrics.a.1: Input"),
        ({"usage": None}, "line 1 holds no report (usage: Input should be an object)"),
    ],
)
def test_numbers_that_no_trial_reports_are_damage_whatever_their_checksum(
    path: Path, body: dict[str, object], damage: str
) -> None:
    fields = {"epoch": 1, "time_ms": 1, "metrics": {"a": [1.0, 2.0]}, "usage": {}, **body}
    line = json.dumps(fields).encode()[:-1]
    code = checksum(DIGEST.encode() + line)
    path.write_bytes(line + f', "checksum": "{code}"}}\n'.encode())
    assert (read(path, replicas=2).damage or "").startswith(damage)


def test_the_log_of_another_trial_is_none_of_this_one(path: Path) -> None:
    append_report(path, report(1, 0.1), "fedcba9876543210")
    assert read(path).damage == "line 1 was altered, or is of another trial"


def test_a_report_longer_than_a_block_is_followed_by_another(path: Path) -> None:
    metrics = {f"filter_cosine/layer{number}": (0.5,) for number in range(5000)}
    long = StoredReport(epoch=1, time_ms=1, metrics=metrics)
    append(path, long, report(2, 0.5), long)
    assert read(path).reports == (long, report(2, 0.5), long)


def test_a_number_that_is_none_is_not_written(path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        append(path, report(1, math.nan))
    assert path.read_bytes() == b""


def test_a_report_is_on_disk_before_the_call_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        assert os.path.samestat(os.fstat(descriptor), path.stat())
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", note)
    append(path, report(1, 0.5))
    assert synced == [path.read_bytes()]
    assert synced[0].endswith(b"\n")


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2).map(
            tuple
        ),
        max_size=4,
    ),
    st.integers(0, 3),
    st.integers(0, 2**53),
    st.dictionaries(st.text(max_size=5), st.floats(0, 1e9), max_size=2),
)
@settings(max_examples=30)
def test_numbers_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    metrics: dict[str, tuple[float, ...]],
    epoch: int,
    time_ms: int,
    usage: dict[str, float],
) -> None:
    path = tmp_path_factory.mktemp("results") / "reports.jsonl"
    path.touch()
    stored = StoredReport(epoch=epoch, time_ms=time_ms, metrics=metrics, usage=usage)
    append(path, stored)
    (found,) = read(path, replicas=2).reports
    assert found == stored
    assert repr(found) == repr(stored)


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
    # The file, and then its name.
    assert [name.split(".")[1] if name.startswith(".") else name for name in synced] == [
        "end",
        step.folder.name,
    ]
