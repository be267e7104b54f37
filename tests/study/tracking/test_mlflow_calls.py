"""How many calls MLflow gets: each is a request to a server that others use too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from study.tracking import mlflow_mirror
from study.tracking.outbox import Outbox
from study.tracking.record_types import (
    EXPERIMENT_ID,
    CloseRun,
    DatasetInput,
    LogMetrics,
    LogTable,
    OpenRun,
    note,
)
from study.tracking.sync import MlflowSync
from study.tracking.tracking_uri import TrackingUri

KEY = "trial/a/search/0"


class CountingClient:
    """Answers as MLflow's client does, and counts."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_: object, **__: object) -> Any:  # noqa: ANN401 (MLflow's)
            self.calls[name] += 1
            if name == "search_runs":
                return []
            run = SimpleNamespace(run_id="r", lifecycle_stage="active", experiment_id="1")
            return SimpleNamespace(
                info=run,
                data=SimpleNamespace(tags={}),
                experiment_id="1",
                lifecycle_stage="active",
            )

        return call


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> CountingClient:
    kinds = ("Metric", "Param", "RunTag", "Dataset", "InputTag", "DatasetInput")
    entities = SimpleNamespace(**{kind: lambda *a, **k: (a, k) for kind in kinds})
    monkeypatch.setattr(mlflow_mirror, "_mlflow", lambda: SimpleNamespace(entities=entities))
    return CountingClient()


def report(epoch: int) -> LogMetrics:
    values = {f"val/{name}": 0.5 for name in "abcde"}
    return LogMetrics(run_key=KEY, epoch=epoch, time_ms=epoch, metrics=values)


def test_a_tag_of_the_experiment_may_name_the_experiment(
    tmp_path: Path, client: CountingClient
) -> None:
    mirror = mlflow_mirror.MlflowMirror(
        address=TrackingUri.parse("http://mlflow:5000"), experiment="tiny", artifacts=tmp_path
    )
    mirror._client = client
    mirror.connect()
    sent: list[tuple[str, str, str]] = []
    client.set_experiment_tag = lambda *tag: sent.append(tag)  # type: ignore[attr-defined]
    mirror.send(None, [note(None, f"[charts](#/experiments/{EXPERIMENT_ID}/runs)")])
    assert sent == [("1", "mlflow.note.content", "[charts](#/experiments/1/runs)")]


def test_a_report_is_one_call_and_a_backlog_of_them_is_one_too(
    tmp_path: Path, client: CountingClient
) -> None:
    outbox = Outbox(path=tmp_path / "outbox.db")
    mirror = mlflow_mirror.MlflowMirror(
        address=TrackingUri.parse("http://mlflow:5000"), experiment="tiny", artifacts=tmp_path
    )
    mirror._client = client
    drain = MlflowSync(outbox=outbox, mirror=mirror, should_stop=lambda: False)

    def calls() -> dict[str, int]:
        drain.step(1000)
        found = dict(client.calls)
        client.calls.clear()
        return found

    opening = OpenRun(
        run_key=KEY,
        parent_key=None,
        name="a trial",
        start_ms=1,
        params={"alpha": "0.5"},
        tags={},
        dataset=DatasetInput(name="digits", digest="0a1b", source="scikit-learn"),
    )
    outbox.put([opening])
    opened = {"search_runs": 1, "create_run": 1, "log_batch": 1, "log_inputs": 1}
    assert calls() == {"get_experiment_by_name": 1, **opened}
    for epoch in range(1, 5):
        outbox.put([report(epoch)])
        assert calls() == {"log_batch": 1}
    outbox.put(report(epoch) for epoch in range(5, 25))
    assert calls() == {"log_batch": 1}
    outbox.put(
        [
            LogTable(run_key=KEY, name="replicas.json", columns={"seed": [0]}),
            CloseRun(run_key=KEY, status="FINISHED", end_ms=9, tags={"state": "COMPLETE"}),
        ]
    )
    # The table is a file and an entry of a tag; the end has tags of its own.
    assert calls() == {"log_text": 1, "get_run": 1, "log_batch": 2, "set_terminated": 1}
    assert calls() == {}
