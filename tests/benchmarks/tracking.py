"""The rate at which a backlog reaches MLflow, and the share of a study's time spent on tracking.

A backlog of whole runs is synchronized in turn with the same points sent by MLflow's client
alone, 1,000 in a call (MLflow's limit), to runs that exist.
"""

from __future__ import annotations

import importlib
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from study.engine.executors import run_inline
from study.engine.protocol import Callback
from study.engine.publishing import SYNC_TIMEOUT_S, publish_report
from study.records.trial_table import StoredReport
from study.storage.layout import TrialKey
from study.storage.trial_store import TrialRecord
from study.tracking.callback import tracked_study
from study.tracking.mlflow_mirror import MlflowMirror
from study.tracking.outbox import Outbox
from study.tracking.record_types import CloseRun, LogMetrics, MlflowRecord, OpenRun
from study.tracking.sync import MlflowSync
from study.tracking.tracking_uri import TrackingUri
from tests.benchmarks import Quartiles, as_plain_data, paired_ratio, quartiles
from tests.benchmarks.measured_study import measured_study
from tests.benchmarks.reuse import stated_study
from tests.support.mlflow_server import MlflowServer
from trainables.config import TrialConfig

RUNS: Final = 4
REPORTS: Final = 100
METRICS: Final = 40
_POINTS: Final = RUNS * REPORTS * METRICS
_POINTS_PER_CALL: Final = 1000
_MS: Final = 1_700_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Metric points per second, and their ratio within each round."""

    points: int
    backlog: Quartiles
    reports_alone: Quartiles
    bare: Quartiles
    backlog_to_bare: Quartiles
    reports_to_bare: Quartiles

    def as_data(self) -> dict[str, Any]:
        spreads = {
            "backlog_points_per_second": self.backlog,
            "reports_alone_points_per_second": self.reports_alone,
            "bare_points_per_second": self.bare,
            "backlog_to_bare": self.backlog_to_bare,
            "reports_to_bare": self.reports_to_bare,
        }
        return {
            "points": self.points,
            "rounds": self.bare.rounds,
            **as_plain_data(spreads),
        }


def measure_tracking(
    root: Path, rounds: int, on_message: Callable[[str], None] = lambda _: None
) -> Tracking:
    """Deliver backlogs and send the same points by hand, in turn."""
    times: list[tuple[float, float, float]] = []
    # As in the process that synchronizes.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    with _server(root / "mlflow") as uri:
        address = TrackingUri.parse(uri)
        os.environ["MLFLOW_TRACKING_USERNAME"] = address.user or ""
        os.environ["MLFLOW_TRACKING_PASSWORD"] = address.password or ""
        client = importlib.import_module("mlflow").MlflowClient(tracking_uri=address.uri)
        mirror = MlflowMirror(address=address, experiment="backlog", artifacts=root / "artifacts")
        experiment = client.create_experiment("bare")
        for number in range(rounds + 1):
            on_message(f"round {number} of {rounds}: {_POINTS} points each")
            outbox = Outbox(path=root / f"outbox-{number}.db")
            drain = MlflowSync(outbox=outbox, mirror=mirror, should_stop=lambda: False)
            times.append(
                (
                    _seconds(outbox, drain, list(_whole_runs(f"whole-{number}"))),
                    _seconds_alone(outbox, drain, f"open-{number}"),
                    _seconds_bare(client, experiment),
                )
            )
            outbox.close()
    backlog, alone, bare = zip(*times[1:], strict=True)
    return _tracking(backlog, alone, bare)


def _tracking(
    backlog: tuple[float, ...], alone: tuple[float, ...], bare: tuple[float, ...]
) -> Tracking:
    def rate(seconds: tuple[float, ...]) -> Quartiles:
        return quartiles(tuple(_POINTS / each for each in seconds))

    return Tracking(
        points=_POINTS,
        backlog=rate(backlog),
        reports_alone=rate(alone),
        bare=rate(bare),
        # A rate by another is the other's time by the one's.
        backlog_to_bare=paired_ratio(bare, backlog),
        reports_to_bare=paired_ratio(bare, alone),
    )


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    server = MlflowServer(folder, os.environ)
    server.launch()
    try:
        server.wait()
        yield server.uri
    finally:
        server.kill()


def _seconds(outbox: Outbox, drain: MlflowSync, entries: list[MlflowRecord]) -> float:
    """Return the seconds in which a queued backlog is synchronized."""
    outbox.put(entries)
    began = time.monotonic()
    while drain.step(_POINTS_PER_CALL):
        pass
    return time.monotonic() - began


def _seconds_alone(outbox: Outbox, drain: MlflowSync, name: str) -> float:
    _seconds(outbox, drain, [_open_run(f"{name}-{run}") for run in range(RUNS)])
    return _seconds(
        outbox, drain, [each for run in range(RUNS) for each in _reports(f"{name}-{run}")]
    )


def _seconds_bare(client: Any, experiment: str) -> float:  # noqa: ANN401 (MLflow has no types)
    metric = importlib.import_module("mlflow.entities").Metric
    runs = [client.create_run(experiment).info.run_id for _ in range(RUNS)]
    began = time.monotonic()
    for run_id in runs:
        points = [
            metric(key, value, report.time_ms, report.epoch)
            for report in _reports(run_id)
            for key, value in report.metrics.items()
        ]
        for first in range(0, len(points), _POINTS_PER_CALL):
            client.log_batch(
                run_id, metrics=points[first : first + _POINTS_PER_CALL], synchronous=True
            )
    return time.monotonic() - began


def _whole_runs(name: str) -> Iterator[MlflowRecord]:
    for run in range(RUNS):
        key = f"{name}-{run}"
        yield _open_run(key)
        yield from _reports(key)
        yield CloseRun(
            run_key=key, status="FINISHED", end_ms=_MS + REPORTS * 1000, tags={"state": "COMPLETE"}
        )


def _open_run(key: str) -> OpenRun:
    return OpenRun(
        run_key=key,
        parent_key=None,
        name=key,
        start_ms=_MS,
        params={f"setting_{i}": str(i) for i in range(30)},
        tags={"kind": "trial"},
        dataset=None,
    )


def _reports(key: str) -> Iterator[LogMetrics]:
    for epoch in range(REPORTS):
        yield LogMetrics(
            run_key=key,
            epoch=epoch,
            time_ms=_MS + epoch * 1000,
            metrics={f"val/metric_{i}": 0.5 + i / 100 + epoch / 1000 for i in range(METRICS)},
            name="report",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingShare:
    """Seconds of a study, and the share of them in which it waited for its tracking."""

    trials: int
    study_seconds: float
    queued_seconds: float
    last_seconds: float
    delivery_cpu_seconds: float
    waited: float


def measure_tracking_share(
    root: Path, on_message: Callable[[str], None], text: str | None = None
) -> TrackingShare:
    """Run the study to its report and to its last entry in MLflow."""
    clock = _Clock()
    others_s = _cpu_s_of_children()
    with measured_study(
        root, text or stated_study(), (), on_message, clocked=clock.around
    ) as built:
        began = time.monotonic()
        run_inline(built.coordinator, built.context())
        built.require_whole()
        table = built.table()
        publish_report(table, built.folder, built.sync.outbox, tracked_study(built.spec))
        left = time.monotonic()
        built.sync.finish(SYNC_TIMEOUT_S, lambda _: None)
        ended = time.monotonic()
    return TrackingShare(
        trials=len(table.rows),
        study_seconds=ended - began,
        queued_seconds=clock.seconds,
        last_seconds=ended - left,
        delivery_cpu_seconds=_cpu_s_of_children() - others_s,
        waited=(clock.seconds + ended - left) / (ended - began),
    )


def _cpu_s_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(slots=True)
class _Clock:
    """The time that a callback takes. Mutable."""

    callback: Callback | None = None
    seconds: float = 0.0

    def around(self, callback: Callback) -> Callback:
        self.callback = callback
        return self

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:
        self._time("on_trial_start", record, config)

    def on_report(self, key: TrialKey, report: StoredReport) -> None:
        self._time("on_report", key, report)

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:
        self._time("on_trial_end", record, reports)

    def _time(self, event: str, *arguments: object) -> None:
        began = time.monotonic()
        getattr(self.callback, event)(*arguments)
        self.seconds += time.monotonic() - began
