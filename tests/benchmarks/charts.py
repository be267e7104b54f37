"""How long MLflow's page of charts takes in a browser, for a study of so many trials.

A synthetic study goes to a database as a study's process sends it; MLflow's server runs on it, and
headless Chromium opens the view that the printed link opens.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from study.storage.sqlite import sqlite_url
from study.tracking import mlflow_records
from study.tracking.arm_summary import arm_summary_records
from study.tracking.mlflow_mirror import MlflowMirror
from study.tracking.outbox import Outbox
from study.tracking.saved_views import CHART_VIEW, VIEW_TAG, view_address
from study.tracking.sync import MlflowSync
from study.tracking.tracking_uri import TrackingUri
from tests.support.mlflow_server import MlflowServer
from tests.support.trial_tables import TableShape, make_trial_table

CHROMIUM: Final = "/usr/bin/chromium"
_DRAWN: Final = ".js-plotly-plot:has(.main-svg)"
_TIMEOUT_MS: Final = 300_000
_ARMS_THAT_SEARCH: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPage:
    """Seconds until the first screen of a view's charts is drawn, in a fresh browser profile.

    Attributes:
        trials: Search trials of the study.
        view: The view.
        charts: Number of charts that were drawn.
        seconds: One value per round.
    """

    trials: int
    view: str
    charts: int
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median over the rounds, in seconds."""
        return statistics.median(self.seconds)


def measure_charts(
    root: Path, trials: int, rounds: int, on_message: Callable[[str], None] = lambda _: None
) -> tuple[ChartPage, ...]:
    """Measure the views of charts of a study of ``trials`` search trials.

    Args:
        root: Empty folder for database and server.
        trials: Search trials over both arms that search.
        rounds: How often each view is opened.
        on_message: Called with what is done now.
    """
    shape = TableShape(search_trials=trials // _ARMS_THAT_SEARCH, epochs=15)
    table = make_trial_table(shape)
    server = MlflowServer(root / "mlflow", os.environ)
    outbox = Outbox(path=root / "outbox.db")
    tracked = mlflow_records.TrackedStudy(
        study=table.study,
        objective=table.objective,
        higher_is_better={table.objective: True, "test/accuracy": True},
        settings={},
        dimensions=tuple(table.arm("challenger").dimensions),
        swept=("top_k",),
    )
    outbox.put(mlflow_records.all_records(tracked, table))
    outbox.put(arm_summary_records(table))
    on_message(f"{outbox.pending().records} records go to MLflow")
    mirror = MlflowMirror(
        address=TrackingUri.parse(sqlite_url(server.database)),
        experiment=table.study,
        artifacts=server.artifacts,
    )
    sync = MlflowSync(outbox=outbox, mirror=mirror, should_stop=lambda: False)
    while sync.step(1000):
        pass
    outbox.close()
    views = [
        tag.removeprefix(VIEW_TAG)
        for tag in mlflow_records.saved_views(tracked, table)
        if tag.startswith(f"{VIEW_TAG}{CHART_VIEW}")
    ]
    server.launch()
    try:
        server.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            found = []
            for view in views:
                on_message(f"{view}: {rounds} rounds")
                drawn = [_open(browser, server.uri, view) for _ in range(rounds)]
                seconds = tuple(one for one, _ in drawn)
                count = min(count for _, count in drawn)
                found.append(ChartPage(trials=trials, view=view, charts=count, seconds=seconds))
            browser.close()
        return tuple(found)
    finally:
        server.kill()


def _open(browser: Browser, uri: str, view: str) -> tuple[float, int]:
    """Return the seconds from the address to the last chart of the first screen, and how many."""
    user, _, rest = uri.partition("://")[2].partition(":")
    password, _, host = rest.partition("@")
    context = browser.new_context(
        viewport={"width": 1600, "height": 1000},
        http_credentials={"username": user, "password": password},
    )
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT_MS)
    began = time.monotonic()
    # MLflow numbers its own empty experiment 0.
    page.goto(f"http://{host}/{view_address('1', view)}")
    page.locator(_DRAWN).first.wait_for()
    count = -1
    while count != (count := page.locator(_DRAWN).count()):
        page.wait_for_timeout(1000)
    # The last wait has shown that nothing more comes.
    seconds = time.monotonic() - began - 1.0
    context.close()
    return seconds, count
