"""MLflow's own pages on a real study, in a real browser."""

from __future__ import annotations

import http.server
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect
from rich.console import Console

from study.config.run_options import RunOptions
from study.engine import run
from study.records.trial_table import TrialTable
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
        return self.page.replace("viewStateShareKey=arms", f"viewStateShareKey={key}")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run a small study without Ray, and MLflow's server on what it left."""
    storage = StorageRoot(root=tmp_path_factory.mktemp("mlflow"))
    options = RunOptions(storage=storage, executor="inline")
    text = study_text(sampler="random", trials=2, epochs=2, sweep=[1, 2])
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
    """Open the study's page by its link, and close MLflow's assistant."""
    page.goto(served.page)
    page.get_by_role("link", name="challenger", exact=True).wait_for()
    page.get_by_role("button", name="Close", exact=True).first.click()
    return page


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
    login, _, fragment = served.page.partition("/login")
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


def test_a_study_opens_on_its_arms_with_the_best_test_result_first(
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
    assert columns[place + 1] == "test/accuracy_std"
    assert columns[place + 2] == "test/accuracy_minus_base"


def test_the_menu_offers_the_studys_views(opened: Page, screenshot: Callable[[str], None]) -> None:
    opened.get_by_test_id("saved-views-trigger").click()
    items = opened.get_by_role("menuitem").filter(has=opened.get_by_label("Copy share link"))
    expect(items).to_have_text(
        [
            "Arms",
            "Arms with their trials",
            "Search trials",
            "Final trials",
            "Final trials by top_k",
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


def test_final_trials_are_grouped_by_the_swept_param(
    opened: Page, served: Served, screenshot: Callable[[str], None]
) -> None:
    opened.goto(served.view("over-top_k"))
    for value in (1, 2):
        expect(opened.get_by_text(f"Group: {value}", exact=False).first).to_be_visible()
    screenshot("mlflow-grouped-by-param")


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
        expect(opened.get_by_text(arm, exact=True).first).to_be_visible()
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
