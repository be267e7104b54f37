"""What the delivery sends together, and how it behaves when sending fails."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from study.tracking.mlflow_mirror import is_permanent_error
from study.tracking.outbox import QueuedRecord
from study.tracking.record_types import LogMetrics, SetTags, note
from study.tracking.sync import points_per_call, retry_delay_s, split_calls


def queued(sizes: list[int]) -> list[QueuedRecord]:
    """Make a report with so many metrics for each size; a note for a 0."""
    return [
        QueuedRecord(
            seq=seq,
            record=LogMetrics(
                run_key="arm/a", epoch=seq, time_ms=0, metrics={f"m{i}": 0.0 for i in range(size)}
            )
            if size
            else SetTags(run_key="arm/a", tags={}),
        )
        for seq, size in enumerate(sizes)
    ]


@given(st.lists(st.integers(0, 6)), st.integers(1, 10))
def test_calls_keep_the_order_and_their_size_and_mix_no_kinds(
    sizes: list[int], points: int
) -> None:
    items = queued(sizes)
    calls = list(split_calls(items, points))
    assert [item for call in calls for item in call] == items
    for call in calls:
        assert len({type(item.record) for item in call}) == 1
        if len(call) > 1:
            assert all(isinstance(item.record, LogMetrics) for item in call)
            assert sum(sizes[item.seq] for item in call) <= points


def test_neighboring_reports_share_a_call() -> None:
    calls = split_calls(queued([4, 4, 4, 0, 4, 4]), 8)
    assert [[item.seq for item in call] for call in calls] == [[0, 1], [2], [3], [4, 5]]


def test_calls_shrink_and_pauses_grow_while_sending_fails() -> None:
    assert [points_per_call(failures) for failures in (0, 1, 2, 50)] == [1000, 500, 250, 30]
    assert [retry_delay_s(failures) for failures in (1, 2, 3, 5, 6, 5000)] == [1, 2, 4, 16, 30, 30]


def test_only_a_refusal_is_final() -> None:
    class Answer(Exception):  # noqa: N818 - stands for MLflow's exception
        def __init__(self, status: int) -> None:
            self.status = status

        def get_http_status_code(self) -> int:
            return self.status

    final = [
        status
        for status in (400, 401, 403, 404, 413, 422, 429, 500, 503)
        if is_permanent_error(Answer(status))
    ]
    assert final == [400, 413, 422]
    assert is_permanent_error(FileNotFoundError())
    assert not is_permanent_error(ConnectionError())


def test_a_note_that_is_too_long_is_cut_and_says_so() -> None:
    assert note(None, "short").tags == {"mlflow.note.content": "short"}
    (cut,) = note(None, "x" * 9000).tags.values()
    assert len(cut) == 8000
    assert cut.endswith("x\n\n… (cut here; the whole text is among the artifacts)")
