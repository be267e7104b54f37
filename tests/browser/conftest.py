"""What browser tests share: one Chromium, pages that say what went wrong in them, screenshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"
# Generous: a test goes on as soon as what it waits for is there.
PATIENCE_MS = 120_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium once, or skip."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs Debian's Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        # Without its sandbox, which root may not use.
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
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
def keep(page: Page) -> Callable[[str], None]:
    """Keep a picture of the page as it is, under a name, where git does not see it."""

    def keep(name: str) -> None:
        page.screenshot(path=ARTEFACTS / f"{name}.png")

    return keep
