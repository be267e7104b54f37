"""The report in a browser: opened from disk, by pointer, in the dark, on a phone, on paper."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from study.report import write_report
from study.sensitivity import sweep_curve
from tests.browser.conftest import Save
from tests.support.trial_tables import TableShape, make_trial_table, occluded, write_maps

pytestmark = pytest.mark.browser

TABLE = occluded(make_trial_table(TableShape(replicas=3, layers=2, sweep=(1, 3, 5))))
CURVE = "challenger-over-top-k"
WIDE, PHONE = {"width": 1100, "height": 900}, {"width": 390, "height": 844}
READY_MS = 120_000
"""Two slow cores unpack and draw for ten seconds while other tests run."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of a study once."""
    folder = tmp_path_factory.mktemp("study")
    write_maps(TABLE, folder)
    return write_report(TABLE, folder, folder / "report").html


@dataclass(slots=True)
class Opened:
    """A page, with what it asked for and said."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def color(self, selector: str, style: str) -> str:
        return str(
            self.page.eval_on_selector(selector, f"node => getComputedStyle(node)['{style}']")
        )


def opened(browser: Browser, address: str, **context: Any) -> Opened:  # noqa: ANN401
    """Open a page in a context of its own and wait for its figures."""
    page = browser.new_context(**{"viewport": WIDE, **context}).new_page()
    found = Opened(page=page)
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: found.complaints.append(said.text) if said.type != "log" else None,
    )
    page.goto(address)
    if context.get("java_script_enabled", True):
        page.wait_for_selector("html[data-figures]", timeout=READY_MS)
    return found


@pytest.fixture(scope="module")
def light(browser: Browser, report: Path) -> Iterator[Opened]:
    """Open the report at a desk, for all tests that change nothing that others see."""
    found = opened(browser, report.as_uri())
    yield found
    found.page.context.close()


def test_it_opens_from_disk_without_a_complaint_or_a_request(light: Opened, save: Save):
    assert light.page.get_attribute("html", "data-figures") == "live"
    assert light.complaints == []
    schemes = {address.partition(":")[0] for address in light.requests}
    assert schemes <= {"file", "data", "blob"}
    assert [a for a in light.requests if a.startswith("file:")] == [light.page.url]
    save(light.page, "report-light")


def test_every_chart_is_drawn_in_place_of_its_picture(light: Opened):
    frames = light.page.locator(".frame[data-name]")
    assert frames.count() >= 6
    for frame in frames.all():
        expect(frame.locator(".live .main-svg").first).to_be_visible()
        expect(frame.locator(".still")).to_be_hidden()
        assert frame.locator(".live .scatterlayer .trace").count() > 0
        layout = json.loads(frame.locator("script").text_content() or "")["wide"]
        names = layout["xaxis"].get("ticktext", [])
        shown = frame.locator(".live .xtick text:visible").all_text_contents()
        assert all(any(name.split("<br>")[0] in text for text in shown) for name in names)
    # Maps of pixels stay pictures.
    expect(light.page.locator(".frame:not([data-name]) .still")).to_be_visible()


def test_a_pointer_on_a_point_is_told_its_value_with_interval_and_n(
    light: Opened, screenshots: Path
):
    curve = sweep_curve(TABLE, "challenger", "top_k", "test/accuracy")
    interval = curve.points[1].interval
    page = light.page
    frame = page.locator(f".frame[data-name='{CURVE}']")
    frame.scroll_into_view_if_needed()
    x, y = frame.locator(".live").evaluate(
        """(node, [x, y]) => {
            const box = node.getBoundingClientRect(), {xaxis, yaxis} = node._fullLayout;
            return [box.x + xaxis._offset + xaxis.d2p(x), box.y + yaxis._offset + yaxis.d2p(y)];
        }""",
        [3, interval.mean * 100],
    )
    page.mouse.move(x - 40, y - 40)
    page.mouse.move(x, y, steps=5)
    label = frame.locator(".hoverlayer .hovertext")
    expect(label).to_be_visible()
    for words in (
        "Challenger",
        "K = 3",
        f"{interval.mean * 100:.1f}% [{interval.low * 100:.1f}, {interval.high * 100:.1f}], n = 3",
    ):
        expect(label).to_contain_text(words)
    # Of the window alone: a picture of the whole page moves it below the pointer.
    page.screenshot(path=screenshots / "report-hover.png")


def test_a_name_in_the_legend_hides_all_that_has_it(light: Opened):
    frame = light.page.locator(f".frame[data-name='{CURVE}']")
    frame.scroll_into_view_if_needed()

    def shown() -> set[str]:
        return set(
            frame.locator(".live").evaluate(
                "node => node._fullData.filter(one => one.visible === true).map(one => one.name)"
            )
        )

    assert shown() == {"Base", "Random", "Challenger", "chosen by the search"}
    entry = frame.locator(".legend .traces", has_text="Random").locator(".legendtoggle")
    entry.click()
    light.page.wait_for_function(
        "name => !document.querySelector(`[data-name='${name}'] .legend .traces[style*='0.5']`)"
        " === false",
        arg=CURVE,
    )
    assert shown() == {"Base", "Challenger", "chosen by the search"}
    entry.click()


def test_the_only_button_saves_the_figure_as_a_png_with_a_name(light: Opened):
    frame = light.page.locator(f".frame[data-name='{CURVE}']")
    frame.hover()
    button = frame.locator(".modebar-btn")
    assert button.count() == 1
    with light.page.expect_download(timeout=READY_MS) as download:
        button.click()
    assert download.value.suggested_filename == f"{CURVE}.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_figures_follow_the_theme_also_while_the_page_is_open(
    browser: Browser, report: Path, save: Save
):
    dark = opened(browser, report.as_uri(), color_scheme="dark")
    title = f".frame[data-name='{CURVE}'] .xtitle"
    base = f".frame[data-name='{CURVE}'] .scatterlayer .trace:nth-child(2) path.js-line"
    assert dark.complaints == []
    assert dark.color("body", "backgroundColor") == "rgb(20, 23, 27)"
    assert dark.color(title, "fill") == "rgb(230, 232, 235)"
    assert dark.color(base, "stroke") == "rgb(230, 232, 235)"
    assert dark.color(f".frame[data-name='{CURVE}']", "backgroundColor") == "rgba(0, 0, 0, 0)"
    save(dark.page, "report-dark")
    dark.page.emulate_media(color_scheme="light")
    dark.page.wait_for_function(
        "title => getComputedStyle(document.querySelector(title)).fill === 'rgb(27, 31, 36)'",
        arg=title,
    )
    assert dark.color("body", "backgroundColor") == "rgb(255, 255, 255)"
    dark.page.context.close()


def test_a_phone_shows_panels_below_each_other_and_nothing_is_wider_than_it(
    browser: Browser, report: Path, save: Save
):
    phone = opened(browser, report.as_uri(), viewport=PHONE, is_mobile=True, has_touch=True)
    page = phone.page
    assert phone.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    live = page.locator(f".frame[data-name='{CURVE}'] .live")
    left, right = (
        live.evaluate(f"node => node._fullLayout.{axis}.domain") for axis in ("xaxis", "xaxis2")
    )
    assert left == right == [0, 1]
    for frame in page.locator(".is-live").all():
        box = frame.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        widest = frame.locator(".live text").evaluate_all(
            "nodes => Math.max(...nodes.map(node => node.getBoundingClientRect().right))"
        )
        assert widest <= box["x"] + box["width"] + 1
    save(page, "report-phone")
    page.set_viewport_size(WIDE)
    page.wait_for_function(
        "name => document.querySelector(`[data-name='${name}'] .live`)"
        "._fullLayout.xaxis.domain[1] < 1",
        arg=CURVE,
    )
    page.context.close()


def test_paper_shows_the_still_pictures(browser: Browser, report: Path, save: Save):
    paper = opened(browser, report.as_uri(), viewport={"width": 800, "height": 900})
    page = paper.page
    page.emulate_media(media="print")
    for frame in page.locator(".frame[data-name]").all():
        expect(frame.locator(".still")).to_be_visible()
        expect(frame.locator(".live")).to_be_hidden()
    assert page.locator(".still").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    save(page, "report-print")
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="screen")
    expect(page.locator(f".frame[data-name='{CURVE}'] .live")).to_be_visible()
    assert paper.complaints == []
    page.context.close()


def test_without_a_script_the_still_pictures_are_shown(browser: Browser, report: Path):
    still = opened(browser, report.as_uri(), java_script_enabled=False)
    for frame in still.page.locator(".frame").all():
        expect(frame.locator(".still")).to_be_visible()
    assert still.page.locator(".live:visible").count() == 0
    still.page.context.close()


def test_in_a_sandboxed_frame_figures_are_live_and_headings_are_reached(
    browser: Browser, report: Path, tmp_path: Path
):
    """MLflow shows a page among a run's artifacts like this."""
    around = tmp_path / "around.html"
    around.write_text(
        "<!doctype html><link rel='icon' href='data:,'>"
        '<iframe sandbox="allow-scripts" width="1000" height="800" '
        f'srcdoc="{html.escape(report.read_text())}"></iframe>'
    )
    page = browser.new_context(viewport=WIDE).new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.goto(around.as_uri())
    inside = page.frames[1]
    inside.wait_for_selector("html[data-figures='live']", timeout=READY_MS)
    assert inside.locator(".is-live").count() >= 6
    inside.locator("nav a[href='#environment']").click()
    inside.wait_for_function("scrollY > 1000")
    assert inside.url == "about:srcdoc"
    assert complaints == []
    page.context.close()


def test_a_figure_that_cannot_be_drawn_keeps_its_picture_and_the_others_go_on(
    browser: Browser, report: Path, tmp_path: Path
):
    text = report.read_text()
    start = text.index('<script type="application/json">') + len(
        '<script type="application/json">'
    )
    broken = tmp_path / "broken.html"
    broken.write_text(text[:start] + "{" + text[start:])
    found = opened(browser, broken.as_uri())
    frames = found.page.locator(".frame[data-name]")
    expect(frames.first.locator(".still")).to_be_visible()
    expect(frames.nth(1).locator(".live")).to_be_visible()
    assert len(found.complaints) == 1
    found.page.context.close()


def test_a_foreign_script_does_not_run(browser: Browser, report: Path, tmp_path: Path):
    text = report.read_text()
    path = tmp_path / "foreign.html"
    path.write_text(text.replace("<main>", "<main><script>document.title = 'taken'</script>"))
    found = opened(browser, path.as_uri())
    assert found.page.title() == f"{TABLE.study} · Challenger study"
    assert any("Content Security Policy" in said for said in found.complaints)
    found.page.context.close()
