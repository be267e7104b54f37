"""``python -m tests.support.readme_pictures STORAGE``: README's pictures, from a finished demo.

Needs Debian's Chromium. The figure is rendered by vl-convert, the pages are photographed.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from study import open_study

CHROMIUM: Final = "/usr/bin/chromium"
FOLDER: Final = Path(__file__).resolve().parents[2] / ".readme"
_PORT: Final = 5997
_DRAWN_MS: Final = 60_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("storage", type=Path, help="storage of a finished study")
    parser.add_argument("--study", default="demo")
    parser.add_argument("--output", type=Path, default=FOLDER)
    options = parser.parse_args()
    study = open_study(options.study, storage=options.storage)
    curve = study.figure("sweep_curve", arm="challenger", about="top_k")
    curve.save(options.output / "accuracy-over-top-k.png", scale_factor=2)
    with sync_playwright() as playwright:
        # Without its sandbox, which root may not use.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        photograph_report(browser, study.folder / "report" / "report.html", options.output)
        photograph_mlflow(browser, options.storage, options.study, options.output)
        browser.close()


def photograph_report(browser: Browser, report: Path, output: Path) -> None:
    """Photograph the first screen of a report at 1440 × 900 pixels."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(report.resolve().as_uri())
    page.locator("svg, canvas").first.wait_for()
    page.screenshot(path=output / "report-first-screen.png")
    page.close()


def photograph_mlflow(browser: Browser, storage: Path, study: str, output: Path) -> None:
    """Photograph the page that MLflow's printed link opens."""
    server = subprocess.Popen(
        [
            *(Path(sys.executable).with_name("challenger-study"), "mlflow"),
            *("--storage", storage, "--port", str(_PORT)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        lines = (line.strip().partition(": ") for line in server.stdout)
        address = next(address for name, _, address in lines if name == study)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(address)
        page.locator(".js-plotly-plot:has(.main-svg)").nth(2).wait_for(timeout=_DRAWN_MS)
        # MLflow's assistant, which covers a third of the window.
        page.get_by_role("button", name="Close", exact=True).first.click()
        page.wait_for_timeout(2000)
        page.screenshot(path=output / "mlflow-sensitivity.png")
        page.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=120)


if __name__ == "__main__":
    main()
