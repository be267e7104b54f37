"""The outbox: put twice is put once, and nothing is lost between two processes."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.records.errors import StoreError
from study.tracking.outbox import Outbox, PendingRecords
from study.tracking.record_types import (
    CloseRun,
    DatasetInput,
    LogArtifact,
    LogMetrics,
    LogTable,
    MlflowRecord,
    OpenRun,
    SetTags,
    decode,
    encode,
    note,
)


def opening(run_key: str = "trial/a/search/0") -> OpenRun:
    return OpenRun(
        run_key=run_key,
        parent_key=None,
        name="challenger search 0",
        start_ms=1_000,
        params={"top_k": "2"},
        tags={"arm": "a"},
        dataset=DatasetInput(name="digits", digest="0a1b", source="scikit-learn"),
    )


def report(epoch: int, **metrics: float) -> LogMetrics:
    return LogMetrics(
        run_key="trial/a/search/0", epoch=epoch, time_ms=1_000 + epoch, metrics=metrics
    )


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    queue = Outbox(path=tmp_path / "storage" / "outbox.sqlite")
    yield queue
    queue.close()


def queued(outbox: Outbox) -> list[MlflowRecord]:
    return [item.record for item in outbox.next_batch(1000)]


def deliver_all(outbox: Outbox) -> None:
    outbox.mark_sent(item.seq for item in outbox.next_batch(1000))


def test_an_outbox_that_was_never_used_is_empty_and_makes_no_file(outbox: Outbox) -> None:
    assert outbox.pending() == PendingRecords()
    assert not outbox.path.exists()


def test_entries_come_back_as_they_were_put_and_in_that_order(
    outbox: Outbox, tmp_path: Path
) -> None:
    figure = tmp_path / "figure.png"
    figure.write_bytes(b"png")
    entries: list[MlflowRecord] = [
        opening(),
        report(1, loss=0.5),
        report(0, loss=0.9),
        LogArtifact(run_key="trial/a/search/0", path=str(figure), artifact_folder="figures"),
        LogTable(
            run_key="trial/a/search/0",
            name="replicas.json",
            columns={"seed": [1, 2], "x": [0.5, None]},
        ),
        note(None, "# Tiny"),
        SetTags(run_key="trial/a/search/0", tags={"b": "1", "a": "2"}),
        CloseRun(run_key="trial/a/search/0", status="FINISHED", end_ms=9, tags={}),
    ]
    outbox.put(entries)
    assert queued(Outbox(path=outbox.path)) == entries


def test_what_was_put_before_is_not_queued_again(outbox: Outbox) -> None:
    entries = [opening(), report(1, loss=0.5), note(None, "# Tiny")]
    outbox.put(entries)
    outbox.put(entries)
    assert outbox.pending().records == 3
    deliver_all(outbox)
    outbox.put(entries)
    assert outbox.pending().records == 0
    assert outbox.pending().last_sent_ms is not None


def test_a_report_told_twice_keeps_its_first_values(outbox: Outbox) -> None:
    outbox.put([opening(), report(1, loss=0.5)])
    outbox.put([report(1, loss=0.7)])
    assert queued(outbox) == [opening(), report(1, loss=0.5)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (note(None, "old"), note(None, "new")),
        (SetTags(run_key=None, tags={"a": "1"}), SetTags(run_key=None, tags={"a": "2"})),
        (
            LogTable(run_key="trial/a/search/0", name="t.json", columns={"a": [1]}),
            LogTable(run_key="trial/a/search/0", name="t.json", columns={"a": [2]}),
        ),
        (
            CloseRun(run_key="trial/a/search/0", status="FINISHED", end_ms=1, tags={}),
            CloseRun(run_key="trial/a/search/0", status="FINISHED", end_ms=2, tags={}),
        ),
    ],
    ids=["note", "tags", "table", "close"],
)
def test_new_content_replaces_the_old_and_is_delivered_again(
    outbox: Outbox, first: MlflowRecord, second: MlflowRecord
) -> None:
    outbox.put([opening(), first])
    deliver_all(outbox)
    outbox.put([second])
    assert queued(outbox) == [second]


def test_a_file_is_delivered_again_only_when_its_bytes_change(
    outbox: Outbox, tmp_path: Path
) -> None:
    figure = tmp_path / "figure.png"
    record = LogArtifact(run_key="trial/a/search/0", path=str(figure), artifact_folder="")
    figure.write_bytes(b"first")
    outbox.put([opening(), record])
    deliver_all(outbox)
    outbox.put([record])
    assert queued(outbox) == []
    figure.write_bytes(b"second")
    outbox.put([record])
    assert queued(outbox) == [record]


def test_content_replaced_while_it_is_being_delivered_is_delivered_too(outbox: Outbox) -> None:
    outbox.put([note(None, "old")])
    under_way = outbox.next_batch(10)
    outbox.put([note(None, "new")])
    outbox.mark_sent(item.seq for item in under_way)
    assert queued(outbox) == [note(None, "new")]


def test_entries_of_a_run_wait_until_it_is_opened(outbox: Outbox) -> None:
    outbox.put([report(1, loss=0.5)])
    assert queued(outbox) == []
    assert outbox.pending().records == 1
    outbox.put([opening()])
    assert queued(outbox) == [report(1, loss=0.5), opening()]


def test_a_put_that_fails_leaves_nothing_behind(outbox: Outbox) -> None:
    missing = LogArtifact(run_key="trial/a/search/0", path="/nowhere.png", artifact_folder="")
    with pytest.raises(FileNotFoundError):
        outbox.put([opening(), missing])
    outbox.put([])
    assert outbox.pending().records == 0


def test_waiting_counts_points_and_refusals(outbox: Outbox) -> None:
    outbox.put([opening(), report(1, loss=0.5, accuracy=0.1), report(2, loss=0.4)])
    first, *_ = outbox.next_batch(10)
    outbox.mark_sent([first.seq], rejection="refused: a bad name")
    outbox.save_error("no answer")
    found = outbox.pending()
    assert (found.records, found.metric_points, found.rejected) == (2, 3, 1)
    assert (found.last_rejection, found.last_error) == ("refused: a bad name", "no answer")


def test_a_forgotten_run_is_queued_again_but_not_its_refused_entries(outbox: Outbox) -> None:
    other = opening("trial/a/search/1")
    outbox.put([opening(), report(1, loss=0.5), report(2, loss=0.4), other])
    seqs = [item.seq for item in outbox.next_batch(10)]
    outbox.mark_sent([seqs[2]], rejection="bad")
    outbox.mark_sent([seqs[0], seqs[1], seqs[3]])
    outbox.save_run_id("trial/a/search/0", "f00")
    outbox.requeue_run("trial/a/search/0")
    assert queued(outbox) == [opening(), report(1, loss=0.5)]
    found = outbox.opening("trial/a/search/0")
    assert found is not None
    assert (found.is_pending, found.run_id) == (True, None)


def test_a_reset_queues_everything_again(outbox: Outbox) -> None:
    outbox.put([opening(), report(1, loss=0.5)])
    seqs = [item.seq for item in outbox.next_batch(10)]
    outbox.mark_sent(seqs[:1])
    outbox.mark_sent(seqs[1:], rejection="bad")
    outbox.save_run_id("trial/a/search/0", "f00")
    outbox.requeue_all()
    assert queued(outbox) == [opening(), report(1, loss=0.5)]
    assert outbox.pending().rejected == 0
    assert outbox.opening("trial/a/search/0").run_id is None  # type: ignore[union-attr]


def test_two_threads_and_a_second_opening_of_the_file_lose_nothing(outbox: Outbox) -> None:
    outbox.put([opening()])
    second = Outbox(path=outbox.path)

    def put(queue: Outbox, first: int) -> None:
        for epoch in range(first, 120, 3):
            queue.put([report(epoch, loss=0.5)])

    threads = [
        threading.Thread(target=put, args=(queue, first))
        for first, queue in enumerate((outbox, outbox, second))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outbox.pending().records == 121


def test_the_file_is_in_wal_mode_and_closing_it_loses_nothing(outbox: Outbox) -> None:
    outbox.put([opening()])
    outbox.close()
    database = sqlite3.connect(outbox.path)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()
    assert outbox.pending().records == 1


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_text("not a database, but long enough to be looked at as one " * 10)
    with pytest.raises(StoreError) as raised:
        Outbox(path=path).put([opening()])
    assert str(raised.value) == (
        f"{path}: the outbox must be a writable SQLite file on a local disk; got: file is not a "
        "database; free some space or restore the permissions, or let "
        f"'repair {path.parent.name}' make it again"
    )


@pytest.mark.parametrize(
    ("record", "wrong", "reason"),
    [
        *((report(3), {"metrics": {"loss": x}}, "loss") for x in (math.nan, math.inf, -math.inf)),
        *(
            (opening(), {"run_key": key}, "run_key")
            for key in ("", "it's", 'a"', "a\\b", "a\nb", "a`")
        ),
        (LogArtifact(run_key="a", path="/a", artifact_folder=""), {"path": "a"}, "absolute"),
        (LogTable(run_key="a", name="t.json", columns={}), {"name": "t.csv"}, "name"),
        (
            LogTable(run_key="a", name="t.json", columns={}),
            {"columns": {"a": [1], "b": [1, 2]}},
            "of one length",
        ),
    ],
)
def test_what_mlflow_could_not_keep_is_refused(
    record: MlflowRecord, wrong: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(record, **wrong)


@given(
    metrics=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    epoch=st.integers(0, 10**6),
    name=st.text(),
)
def test_an_entry_survives_its_json(metrics: dict[str, float], epoch: int, name: str) -> None:
    record = LogMetrics(run_key=name, epoch=epoch, time_ms=5, metrics=metrics, name=name)
    assert decode(encode(record)) == record


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("p < 0.05 and **K**", "p &lt; 0.05 and **K**"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        # An escape of Markdown's own stays one; two backslashes are none.
        (r"\<b\>", r"\<b\>"),
        (r"\\<img onerror=x>", r"\\&lt;img onerror=x>"),
        ("a\r\n# H1", "a\n# H1"),
        ("\x1b[31mred\x00", "\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_note_holds_markdown_and_no_markup(written: str, stored: str) -> None:
    assert note("arm/a", written).tags == {"mlflow.note.content": stored}


@pytest.mark.parametrize("bad", ["\x00", "\x1b]0;title\x07", "\r", "\x9b31m", "\ud800"])
def test_what_no_database_keeps_as_text_is_replaced_everywhere(outbox: Outbox, bad: str) -> None:
    text = f"a{bad}b"
    records: list[MlflowRecord] = [
        replace(opening(), name=text, params={"x": text}, tags={"y": text}),
        SetTags(run_key=None, tags={"z": text}),
        CloseRun(run_key="trial/a/search/0", status="FAILED", end_ms=1, tags={"reason": text}),
    ]
    outbox.put(records)
    kept = "".join(encode(record) for record in queued(outbox))
    assert not set(bad) & set(kept) - set("[]0;title31m")
    assert kept.count("\N{REPLACEMENT CHARACTER}") >= 5
