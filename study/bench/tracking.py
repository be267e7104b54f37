"""How fast a backlog reaches MLflow, beside bare ``log_batch`` calls on the same server.

A study that trained while MLflow was away has its trials' runs in the outbox: they are opened,
with their params and dataset, their reports are sent and they are closed. Beside it the same
points are sent by MLflow's client alone, 1,000 in a call (MLflow's limit), to runs that are there.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from study.chaos.mlflow_server import MlflowServer
from study.tracking.address import Address
from study.tracking.drain import Drain
from study.tracking.entries import CloseRun, Entry, LogMetrics, OpenRun
from study.tracking.outbox import Outbox
from study.tracking.review_copy import ReviewCopy
from trainables.benchmark import Spread, named, ratio, spread

RUNS: Final = 4
REPORTS: Final = 100
METRICS: Final = 40
_POINTS: Final = RUNS * REPORTS * METRICS
_POINTS_PER_CALL: Final = 1000
_MS: Final = 1_700_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Metric points per second, and their ratio within each round.

    Attributes:
        points: Points of a round, of each.
        backlog: Of the delivery, runs opened and closed included.
        reports_alone: Of the delivery, where the runs are open already and stay so.
        bare: Of MLflow's client alone.
        backlog_to_bare: Share of the bare rate that the delivery reaches.
        reports_to_bare: The same where the runs are open.
    """

    points: int
    backlog: Spread
    reports_alone: Spread
    bare: Spread
    backlog_to_bare: Spread
    reports_to_bare: Spread

    def as_data(self) -> dict[str, Any]:
        """Give the figures as plain data."""
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
            **named(spreads),
        }


def measure_tracking(
    root: Path, rounds: int, say: Callable[[str], None] = lambda _: None
) -> Tracking:
    """Deliver backlogs and send the same points by hand, in turn.

    Args:
        root: An empty folder on the disk that is meant.
        rounds: How often, after one that is not counted.
        say: Told what is going on.

    Raises:
        TrackingError: If MLflow's server does not start.
    """
    times: list[tuple[float, float, float]] = []
    # The delivery's own process is as quiet.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    with _server(root / "mlflow") as uri:
        address = Address.of(uri)
        client = importlib.import_module("mlflow").MlflowClient(tracking_uri=address.uri)
        copy = ReviewCopy(address=address, experiment="backlog", artifacts=root / "artifacts")
        experiment = client.create_experiment("bare")
        for number in range(rounds + 1):
            say(f"round {number} of {rounds}: {_POINTS} points each")
            outbox = Outbox(path=root / f"outbox-{number}.db")
            drain = Drain(outbox=outbox, copy=copy, is_over=lambda: False)
            times.append(
                (
                    _seconds(outbox, drain, list(_whole(f"whole-{number}"))),
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
    def rate(seconds: tuple[float, ...]) -> Spread:
        return spread(tuple(_POINTS / each for each in seconds))

    return Tracking(
        points=_POINTS,
        backlog=rate(backlog),
        reports_alone=rate(alone),
        bare=rate(bare),
        # A rate by another is the other's time by the one's.
        backlog_to_bare=ratio(bare, backlog),
        reports_to_bare=ratio(bare, alone),
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


def _seconds(outbox: Outbox, drain: Drain, entries: list[Entry]) -> float:
    """Give how long a backlog takes once it is there."""
    outbox.put(entries)
    began = time.monotonic()
    while drain.step(_POINTS_PER_CALL):
        pass
    return time.monotonic() - began


def _seconds_alone(outbox: Outbox, drain: Drain, name: str) -> float:
    _seconds(outbox, drain, [_opened(f"{name}-{run}") for run in range(RUNS)])
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


def _whole(name: str) -> Iterator[Entry]:
    for run in range(RUNS):
        key = f"{name}-{run}"
        yield _opened(key)
        yield from _reports(key)
        yield CloseRun(
            run_key=key, status="FINISHED", end_ms=_MS + REPORTS * 1000, tags={"state": "COMPLETE"}
        )


def _opened(key: str) -> OpenRun:
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
