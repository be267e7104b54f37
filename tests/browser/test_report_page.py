"""The report in a browser: opened from disk, by pointer, in the dark, on a phone, on paper."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from study.report import write_report
from study.report.markdown import summarize
from study.report.page import render_page
from study.report.panel import RenderedFigure
from study.sensitivity import sweep_curve
from tests.browser.conftest import Save
from tests.study.figures.charts import RECORDS, panel_of
from tests.support.trial_tables import TableShape, make_trial_table, occluded, write_maps

pytestmark = pytest.mark.browser

TABLE = occluded(make_trial_table(TableShape(replicas=3, layers=2, sweep=(1, 3, 5))))
CURVE = "challenger-over-top-k"
WIDE, PHONE = {"width": 1100, "height": 900}, {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
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


def unfold(page: Page) -> None:
    """Open all folds and wait for the charts in them."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.wait_for_function(
        "document.querySelectorAll('.frame[data-name]:not(.is-live)').length === 0",
        timeout=READY_MS,
    )


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


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_first_screen_is_the_verdict_with_the_arms_minus_base(
    browser: Browser, report: Path, screenshots: Path, viewport: dict[str, int]
):
    found = opened(browser, report.as_uri(), viewport=viewport)
    page = found.page
    name = f"report-first-{viewport['width']}.png"
    page.screenshot(path=screenshots / name)
    expect(page.locator(".verdict")).to_be_in_viewport(ratio=1)
    expect(page.locator(".verdict")).to_contain_text("paired t test over 3 seeds")
    links = page.locator("nav a")
    assert links.all_inner_texts() == [
        "Result",
        "Sensitivity",
        "Filters",
        "Searches",
        "Method and limits",
    ]
    assert len({link.bounding_box()["y"] for link in links.all()}) == 1
    forest, curve = page.locator(".first .frame").all()
    expect(forest).to_be_in_viewport(ratio=0.9 if viewport == DESK else 0.3)
    if viewport == DESK:
        expect(curve).to_be_in_viewport(ratio=0.9)
    page.context.close()


def test_the_page_is_short_until_something_is_unfolded(browser: Browser, report: Path):
    found = opened(browser, report.as_uri(), viewport=DESK)
    size = found.page.evaluate(
        r"""() => {
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            let words = 0;
            while (texts.nextNode()) {
                const { parentElement: place, data } = texts.currentNode;
                if (place.closest('script, .frame') || !place.checkVisibility()) continue;
                words += data.split(/\s+/).filter(Boolean).length;
            }
            return [document.documentElement.scrollHeight / innerHeight, words];
        }"""
    )
    screens, words = size
    assert screens <= 8
    assert words <= 1200
    found.page.context.close()


def test_every_chart_is_drawn_in_place_of_its_picture(light: Opened):
    unfold(light.page)
    frames = light.page.locator(".frame[data-name]")
    assert frames.count() >= 7
    for frame in frames.all():
        expect(frame.locator(".live svg")).to_be_visible()
        expect(frame.locator(".still")).to_be_hidden()
        assert frame.locator(".live .role-mark path, .live .role-mark image").count() > 0


def overlapping(page: Page) -> list[list[str]]:
    """Read the boxes of all texts of the charts; return what overlaps, is cut or shrunk.

    A text and its halo stand at the same place and count once.
    """
    return page.evaluate(
        """() => {
            const bad = [];
            for (const frame of document.querySelectorAll('.is-live')) {
                const edge = frame.getBoundingClientRect(), seen = new Map();
                const svg = frame.querySelector('.live svg');
                if (svg.viewBox.baseVal.width > svg.parentNode.clientWidth + 2)
                    bad.push([frame.dataset.name, 'is wider than its place']);
                for (const node of frame.querySelectorAll('.live svg text')) {
                    const words = node.textContent.trim(), box = node.getBoundingClientRect();
                    if (!words || getComputedStyle(node).opacity === '0') continue;
                    // The boxes of slanted names overlap where the names do not.
                    const isSlanted = /rotate/.test(node.getAttribute('transform'));
                    const key = `${words} ${Math.round(box.x)} ${Math.round(box.y)}`;
                    seen.set(key, [words, box, isSlanted]);
                }
                const all = [...seen.values()];
                all.forEach(([words, a, isSlanted], at) => {
                    if (a.left < edge.left - 1 || a.right > edge.right + 1)
                        bad.push([frame.dataset.name, words, 'cut']);
                    for (const [others, b, isToo] of all.slice(at + 1)) {
                        if (isSlanted && isToo) continue;
                        const isOver = a.left + 1 < b.right - 1 && b.left + 1 < a.right - 1
                            && a.top + 2 < b.bottom - 2 && b.top + 2 < a.bottom - 2;
                        if (isOver) bad.push([frame.dataset.name, words, others]);
                    }
                });
            }
            return bad;
        }"""
    )


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with every figure, of realistic records."""
    shown = [panel_of(name) for name in RECORDS]
    stills = {one.name: RenderedFigure(png=b"", svg=b"", data_uri="data:,") for one in shown}
    path = tmp_path_factory.mktemp("page") / "all.html"
    path.write_text(render_page(TABLE, summarize(TABLE), shown, stills))
    return path


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_no_text_of_any_chart_overlaps_another_or_is_cut(
    browser: Browser, everything: Path, save: Save, width: int
):
    found = opened(browser, everything.as_uri(), viewport={"width": width, "height": 900})
    unfold(found.page)
    assert found.complaints == []
    assert found.page.locator(".is-live").count() == len(RECORDS)
    save(found.page, f"all-figures-{width}")
    assert overlapping(found.page) == []
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    found.page.context.close()


def test_axe_finds_nothing_with_all_folds_open(browser: Browser, report: Path):
    found = opened(browser, report.as_uri(), viewport=DESK)
    unfold(found.page)
    violations = Axe().run(found.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
    found.page.context.close()


def test_a_pointer_on_a_point_is_told_its_value_with_interval_and_n(
    light: Opened, screenshots: Path
):
    curve = sweep_curve(TABLE, "challenger", "top_k", "test/accuracy")
    interval = curve.points[1].interval
    frame = light.page.locator(f".frame[data-name='{CURVE}']")
    frame.scroll_into_view_if_needed()
    point = frame.locator(".live .mark-symbol path[aria-label*='K = 3']").first
    point.hover(force=True)
    told = light.page.locator("#vg-tooltip-element")
    expect(told).to_be_visible()
    for words in (
        "Challenger, K = 3",
        f"{interval.mean * 100:.1f}% [{interval.low * 100:.1f}, {interval.high * 100:.1f}], n = 3",
    ):
        expect(told).to_contain_text(words)
    light.page.screenshot(path=screenshots / "report-hover.png")


def test_a_name_in_the_legend_hides_all_that_has_it(light: Opened):
    frame = light.page.locator(f".frame[data-name='{CURVE}']")
    frame.scroll_into_view_if_needed()
    name = frame.locator(".role-legend-entry text", has_text="Challenger")
    point = frame.locator(".live .mark-symbol path[aria-label*='K = 3']").first
    expect(point).to_have_css("opacity", "1")
    name.click()
    expect(point).to_have_css("opacity", "0")
    name.click()
    expect(point).to_have_css("opacity", "1")


def test_a_button_saves_the_figure_as_a_png_with_a_name(light: Opened):
    frame = light.page.locator(f".frame[data-name='{CURVE}']")
    frame.hover()
    button = frame.get_by_role("button", name="Save as PNG")
    with light.page.expect_download(timeout=READY_MS) as download:
        button.click()
    assert download.value.suggested_filename == f"{CURVE}.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_figures_follow_the_theme_also_while_the_page_is_open(
    browser: Browser, report: Path, save: Save
):
    dark = opened(browser, report.as_uri(), color_scheme="dark")
    label = f".frame[data-name='{CURVE}'] .role-legend-label text"
    assert dark.complaints == []
    assert dark.color("body", "backgroundColor") == "rgb(20, 23, 27)"
    assert dark.color(label, "fill") == "rgb(230, 232, 235)"
    assert dark.color(f".frame[data-name='{CURVE}']", "backgroundColor") == "rgba(0, 0, 0, 0)"
    save(dark.page, "report-dark")
    dark.page.emulate_media(color_scheme="light")
    dark.page.wait_for_function(
        "label => document.querySelector(label)"
        " && getComputedStyle(document.querySelector(label)).fill === 'rgb(27, 31, 36)'",
        arg=label,
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
    heads = "[...document.querySelectorAll(`[data-name='${name}'] .live text`)]" + (
        ".filter(one => /^Test (accuracy|AUC)/.test(one.textContent))"
        ".map(one => Math.round(one.getBoundingClientRect().x))"
    )
    left, right = page.evaluate(f"name => {heads}", CURVE)
    assert left == right
    save(page, "report-phone")
    page.set_viewport_size(WIDE)
    page.wait_for_function(f"name => new Set({heads}).size === 2", arg=CURVE)
    page.context.close()


def test_paper_shows_the_still_pictures(browser: Browser, report: Path, save: Save):
    paper = opened(browser, report.as_uri(), viewport={"width": 800, "height": 900})
    page = paper.page
    page.emulate_media(media="print")
    unfolded = page.locator(".frame[data-name]:not(.more *)")
    assert unfolded.count() >= 5
    for frame in unfolded.all():
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
    for frame in still.page.locator(".frame:not(.more *)").all():
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
    inside.locator("nav a[href='#method']").click()
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
