"""What browser tests share: one Chromium, pages of their own storage, screenshots."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
# Generous: a test goes on as soon as what it waits for is there.
PATIENCE_MS = 30_000

Save = Callable[[Page, str], Path]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium once per file, or skip.

    Not once per session: while Playwright runs, ``asyncio.run`` is refused in the whole process,
    and these tests come first.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"needs Debian's Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        # Without its sandbox, which root may not use.
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        expect.set_options(timeout=PATIENCE_MS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page of its own storage in a window of a desktop's size."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Return the folder of screenshots: the test's own, or what CHALLENGER_SCREENSHOTS names."""
    folder = Path(os.environ.get("CHALLENGER_SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def screenshot(page: Page, screenshots: Path) -> Callable[[str], None]:
    """Save a screenshot of the page's window under a name."""

    def screenshot(name: str) -> None:
        page.screenshot(path=screenshots / f"{name}.png")

    return screenshot


@pytest.fixture
def save(screenshots: Path) -> Save:
    """Save a screenshot of a whole page under a name."""

    def save(page: Page, name: str) -> Path:
        path = screenshots / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return save
