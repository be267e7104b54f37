"""What is measured of the delivery is delivered."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.benchmarks.tracking import METRICS, REPORTS, RUNS, measure_tracking

# MLflow's own use of what it imports.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.service]


def test_every_point_of_the_three_ways_reaches_the_server(tmp_path: Path) -> None:
    found = measure_tracking(tmp_path, rounds=1)
    assert found.points == RUNS * REPORTS * METRICS
    data = found.as_data()
    assert json.loads(json.dumps(data)) == data
    assert data["backlog_to_bare"] == pytest.approx(
        data["backlog_points_per_second"] / data["bare_points_per_second"]
    )
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as database:
        (points,) = database.execute("SELECT count(*) FROM metrics").fetchone()
        ended = database.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()
    # Three ways, in one round and in the one before it.
    assert points == 3 * 2 * found.points
    assert ended == (2 * RUNS,)
