"""MLflow's own pages on a real study, in a real browser."""

from __future__ import annotations

import http.server
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect
from rich.console import Console

from study.config.run_options import RunOptions
from study.engine import run
from study.records.trial_table import TrialTable
from study.sensitivity import sweep_curve
from study.storage.layout import StorageRoot
from tests.support.simulated import study_text

pytestmark = [pytest.mark.browser, pytest.mark.extended]

_PROGRAM = Path(sys.executable).with_name("challenger-study")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A study that ran, and MLflow's server on its copy.

    Attributes:
        table: Its trials.
        page: The study's page, as the server announced it: with the owner's password.
    """

    table: TrialTable
    page: str

    def view(self, key: str) -> str:
        """Return the address of another view of its runs."""
        return f"{self.page.partition('&viewStateShareKey=')[0]}&viewStateShareKey={key}"

    def charts(self, key: str) -> str:
        """Return the address of a view's charts."""
        return f"{self.view(key)}&compareRunsMode=CHART"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run a small study without Ray, and MLflow's server on what it left."""
    storage = StorageRoot(root=tmp_path_factory.mktemp("mlflow"))
    options = RunOptions(storage=storage, executor="inline")
    text = study_text(sampler="random", trials=4, epochs=3, sweep=[1, 2, 4, 10])
    result = run.run_study(text, "study.yaml", options, Console(quiet=True))
    assert result.pending.records == result.pending.rejected == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [_PROGRAM, "mlflow", "--storage", str(storage.root), "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        server.stdout.readline()
        name, _, address = server.stdout.readline().strip().partition(": ")
        assert name == "tiny"
        yield Served(table=result.table, page=address)
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=120)


@pytest.fixture
def opened(page: Page, served: Served) -> Page:
    """Open the study's arms, and close MLflow's assistant."""
    page.goto(served.view("arms"))
    page.get_by_role("link", name="challenger", exact=True).wait_for()
    page.get_by_role("button", name="Close", exact=True).first.click()
    return page


def drawn(page: Page, count: int) -> list[dict[str, Any]]:
    """Return the charts in view once so many are drawn: axis title, and lines by run and key."""
    plots = page.locator(".js-plotly-plot:has(.main-svg)")
    expect(plots.nth(count - 1)).to_be_attached()
    found = plots.evaluate_all(
        """plots => plots.map(plot => ({
            axis: plot.layout.xaxis.title.text,
            lines: plot.data.map(line => [line.name, line.metricKey, line.x, line.y]),
        }))"""
    )
    return [
        {
            "axis": plot["axis"],
            "lines": {
                (run, key): dict(zip(x, y, strict=True)) for run, key, x, y in plot["lines"]
            },
        }
        for plot in found
    ]


def names(page: Page) -> list[str]:
    """Return the names in the table of runs, from top to bottom."""
    rows = page.locator(".ag-pinned-left-cols-container .ag-row")
    found = {
        int(row.get_attribute("row-index") or 0): row.get_by_role("link").first.inner_text()
        for row in rows.all()
    }
    return [found[index].strip() for index in sorted(found)]


def heads(page: Page) -> list[str]:
    """Return the heads of the shown columns, from left to right."""
    cells = page.locator(".ag-header-row-column .ag-header-cell").all()
    found = [(cell.bounding_box() or {"x": 0.0})["x"] for cell in cells]
    texts = [cell.inner_text().strip() for cell in cells]
    return [text for _, text in sorted(zip(found, texts, strict=True)) if text]


def artifact(page: Page, *path: str) -> None:
    """Open a file in the tree of a run's artifacts, folder by folder."""
    for name in path:
        page.get_by_text(name, exact=True).first.click()


def open_run(page: Page, name: str | re.Pattern[str], tab: str = "Overview") -> None:
    """Click on a run in the table, and on a tab of its page."""
    page.get_by_role("link", name=name).first.click()
    page.get_by_role("tab", name=tab).click()


def test_the_printed_link_needs_no_typing_and_nobody_else_gets_in(
    opened: Page, served: Served, browser: Browser
) -> None:
    login, _, fragment = served.view("arms").partition("/login")
    plain = f"http://{login.rpartition('@')[2]}"
    assert login.startswith("http://owner:")
    # Neither in the address bar nor in the history.
    assert opened.url.startswith(f"{plain}/{fragment}")
    assert opened.evaluate("location.href") == opened.url
    # The browser remembers it, without the link.
    opened.goto(f"{plain}/#/experiments?workflowType=machine_learning")
    opened.get_by_role("link", name="tiny", exact=True).first.wait_for()
    stranger = browser.new_context().new_page()
    answer = stranger.request.get(plain)
    assert answer.status == 401
    stranger.context.close()
    # A page of another port of this machine, opened in the same browser.
    with other_page() as other:
        opened.goto(other)
        asked = "url => fetch(url, {credentials: 'include'}).then(r => r.status, () => 'refused')"
        search = f"{plain}/ajax-api/2.0/mlflow/experiments/search?max_results=1"
        assert opened.evaluate(asked, search) == "refused"
        create = f"{plain}/ajax-api/2.0/mlflow/experiments/create"
        posted = (
            "url => fetch(url, {method: 'POST', credentials: 'include', mode: 'no-cors',"
            " body: JSON.stringify({name: 'foreign'})}).then(() => 'sent', () => 'refused')"
        )
        opened.evaluate(posted, create)
    opened.goto(f"{plain}/#/experiments?workflowType=machine_learning")
    opened.get_by_role("link", name="tiny", exact=True).first.wait_for()
    assert opened.get_by_text("foreign", exact=True).count() == 0


@contextmanager
def other_page() -> Iterator[str]:
    """Serve an empty page at another port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_the_link_opens_on_the_sensitivity_with_intervals_and_both_controls(
    page: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    page.goto(served.page)
    charts = drawn(page, 4)
    page.get_by_role("button", name="Close", exact=True).first.click()
    screenshot("mlflow-sensitivity")
    metrics = ("test/accuracy", "test/auc", "test/nll", "filter_cosine/mean")
    for chart, metric in zip(charts, metrics, strict=False):
        key = f"sensitivity/top_k/{metric.replace('/', '_')}"
        curve = sweep_curve(served.table, "challenger", "top_k", metric)
        assert chart["axis"] == "top_k"
        for end, part in (("", "mean"), ("_ci_low", "low"), ("_ci_high", "high")):
            line = chart["lines"]["challenger", f"{key}{end}"]
            assert line == pytest.approx(
                {p.value: getattr(p.interval, part) for p in curve.points}
            )
            for control in curve.controls:
                level = chart["lines"][control.arm, f"{key}{end}"]
                assert level == pytest.approx(dict.fromkeys(line, getattr(control.interval, part)))
    # Of MLflow's own sections none is open.
    assert page.locator(".du-bois-light-collapse-content-active:visible").count() == 2


def test_the_layers_cosine_is_drawn_over_the_epochs_by_arm(
    page: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    page.goto(served.charts("over-epochs"))
    mean, first, *_ = drawn(page, 3)
    page.get_by_role("button", name="Close", exact=True).first.click()
    screenshot("mlflow-epochs")
    for arm in served.table.arms:
        chosen = served.table.chosen(arm.name)
        assert chosen is not None
        (line,) = (line for (run, _), line in first["lines"].items() if run.startswith(arm.name))
        expected = {
            report.epoch: statistics.fmean(report.metrics["filter_cosine/conv1"])
            for report in chosen.reports
        }
        assert line == pytest.approx(expected)
    assert {key for _, key in mean["lines"]} == {
        f"filter_cosine/mean{end}" for end in ("", "_ci_low", "_ci_high")
    }


def test_the_search_is_drawn_as_parallel_coordinates_colored_by_the_objective(
    page: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    page.goto(served.charts("over-search"))
    page.get_by_text("Parallel Coordinates").first.wait_for()
    for name in ("top_k", "n_features", "alpha", "beta", "split", "val/accuracy"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    page.get_by_role("button", name="Close", exact=True).first.click()
    screenshot("mlflow-parallel-coordinates")


def test_a_sweeps_trials_stand_by_value_without_the_controls(
    opened: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    opened.goto(served.view("trials-top_k"))
    expect(opened.get_by_role("link", name=re.compile("K=10 ")).first).to_be_visible()
    screenshot("mlflow-sweep-trials")
    curve = sweep_curve(served.table, "challenger", "top_k", "test/accuracy")
    shown = [int(re.findall(r"K=(\d+)", name)[0]) for name in names(opened)]
    assert shown == [point.value for point in curve.points]


def test_the_description_leads_to_the_charts(
    opened: Page, screenshot: Callable[[str], None]
) -> None:
    editor = "[data-component-id='mlflow.experiment.metadata_editor.expand_button']"
    opened.locator(editor).first.click()
    screenshot("mlflow-note")
    with opened.expect_popup() as popup:
        opened.get_by_role("link", name="Sensitivity to K").first.click()
    assert drawn(popup.value, 4)[0]["axis"] == "top_k"


def test_arms_are_listed_with_the_best_test_result_first(
    opened: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    results = {}
    for arm in served.table.arms:
        chosen = served.table.chosen(arm.name)
        assert chosen is not None
        values = chosen.last("test/accuracy")
        assert values is not None
        results[arm.name] = sum(values) / len(values)
    shown = names(opened)
    screenshot("mlflow-arms")
    assert sorted(shown) == sorted(results)
    accuracies = [round(results[name], 9) for name in shown]
    assert accuracies == sorted(accuracies, reverse=True)
    columns = heads(opened)
    place = columns.index("test/accuracy")
    assert columns[place + 1 : place + 4] == [
        "test/accuracy_ci_low",
        "test/accuracy_ci_high",
        "test/accuracy_minus_base",
    ]


def test_the_menu_offers_the_studys_views(opened: Page, screenshot: Callable[[str], None]) -> None:
    opened.get_by_test_id("saved-views-trigger").click()
    items = opened.get_by_role("menuitem").filter(has=opened.get_by_label("Copy share link"))
    expect(items).to_have_text(
        [
            "Sensitivity to K",
            "Filter cosine and learning over epochs",
            "Search as parallel coordinates",
            "Arms",
            "Arms with their trials",
            "Search trials",
            "Final trials",
            "Final trials over K",
        ]
    )
    screenshot("mlflow-views")


def test_search_trials_stand_with_their_params_and_the_deviation_beside_the_mean(
    opened: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    opened.goto(served.view("search"))
    expect(opened.get_by_role("link", name="challenger search 0").first).to_be_visible()
    screenshot("mlflow-search-trials")
    trials = [row for row in served.table.rows if row.phase == "search"]
    assert len(names(opened)) == len(trials)
    columns = heads(opened)
    place = columns.index("val/accuracy")
    assert columns[place : place + 2] == ["val/accuracy", "val/accuracy_std"]
    assert {"top_k", "n_features"} <= set(columns)


def test_runs_are_grouped_by_dataset(
    opened: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    opened.goto(served.view("final"))
    opened.get_by_role("button", name="Group by").click()
    opened.get_by_role("menuitemcheckbox", name="Dataset").first.click()
    opened.keyboard.press("Escape")
    expect(opened.get_by_text(re.compile("Group: digits")).first).to_be_visible()
    screenshot("mlflow-grouped-by-dataset")


def test_trials_are_listed_under_their_arm(
    opened: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    opened.goto(served.view("tree"))
    expect(opened.locator("[col-id='metrics.`val/accuracy`']").first).to_be_visible()
    row = opened.locator(".ag-row", has=opened.get_by_role("link", name="challenger", exact=True))
    row.locator("[col-id*='Run Name'] button").click()
    expect(
        opened.get_by_role("link", name=re.compile("challenger final 0 · K=")).first
    ).to_be_visible()
    screenshot("mlflow-nested")


def test_an_arms_page_begins_with_its_own_results(
    opened: Page, screenshot: Callable[[str], None]
) -> None:
    open_run(opened, "challenger")
    expect(opened.get_by_text(re.compile(r"^Test accuracy \[%\]: ")).first).to_be_visible()
    expect(opened.get_by_text(re.compile("^Chosen configuration: K = ")).first).to_be_visible()
    opened.get_by_text("Show more").first.click()
    expect(opened.get_by_role("cell", name="Test NLL [nats]").first).to_be_visible()
    screenshot("mlflow-arm-note")


def test_an_arms_figures_are_seen(opened: Page, screenshot: Callable[[str], None]) -> None:
    open_run(opened, "challenger", "Artifacts")
    artifact(opened, "figures", "challenger-over-top-k.png")
    picture = opened.locator("img[src^='blob:'], img[src*='get-artifact']").first
    expect(picture).to_be_visible()
    assert natural_width(picture) > 500
    screenshot("mlflow-figure")


def natural_width(picture: Locator) -> int:
    """Return the width of an image in pixels, once it is loaded."""
    width: int = picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)")
    return width


def test_an_arms_report_has_live_figures_in_mlflows_frame(
    opened: Page, screenshot: Callable[[str], None]
) -> None:
    open_run(opened, "challenger", "Artifacts")
    artifact(opened, "report.html")
    report: FrameLocator = opened.frame_locator("iframe")
    figure = report.locator(".live svg").first
    figure.scroll_into_view_if_needed()
    expect(figure).to_be_visible()
    screenshot("mlflow-report")


def test_a_table_of_the_report_is_shown_as_a_table(
    opened: Page, screenshot: Callable[[str], None]
) -> None:
    open_run(opened, "challenger", "Artifacts")
    artifact(opened, "tables")
    opened.get_by_text(re.compile("^comparison-test-metrics.*json$")).first.click()
    for arm in ("Base", "Random", "Challenger"):
        # Two replicas of three steps are at chance, which MLflow's table says in words.
        cell = opened.get_by_role("cell", name=f"{arm} (at chance)", exact=True)
        expect(cell.first).to_be_visible()
    screenshot("mlflow-table")


def test_a_trials_system_metrics_are_where_mlflow_shows_them(
    opened: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    opened.goto(served.view("search"))
    open_run(opened, re.compile("challenger search 0"), "System metrics")
    for metric in ("cpu_utilization_percentage", "system_memory_usage_megabytes"):
        expect(opened.get_by_text(metric, exact=True).first).to_be_visible()
    screenshot("mlflow-system-metrics")


def test_two_trials_are_compared(
    opened: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    opened.goto(served.view("search"))
    opened.get_by_role("link", name="challenger search 0").first.wait_for()
    boxes = opened.locator(".ag-pinned-left-cols-container .ag-row input.ag-checkbox-input")
    boxes.nth(0).click()
    boxes.nth(1).click()
    opened.get_by_role("button", name="Compare").click()
    expect(opened.get_by_text("Comparing 2 Runs from 1 Experiment").first).to_be_visible()
    compared = opened.get_by_role("row").filter(has_text="Run Name")
    expect(compared).to_contain_text(re.compile(r"search \d · .*search \d · "))
    params = opened.get_by_role("row").filter(has=opened.get_by_role("rowheader", name="top_k"))
    expect(params.first).to_be_attached()
    screenshot("mlflow-compared")
