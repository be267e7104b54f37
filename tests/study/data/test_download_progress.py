"""Progress as lines in a log and as a bar on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from study.data import show_progress
from study.data.download_progress import LogProgress


def log() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=40), out


def test_a_log_gets_at_most_one_line_in_five_seconds():
    console, out = log()
    now = [100.0]
    lines = LogProgress(console, clock=lambda: now[0])
    lines.start("set/a.gz", 1_000_000, 9_000_000)
    for second in range(1, 15):
        now[0] = 100.0 + second
        lines.update(1_000_000 + 400_000 * second)
    lines.finish()
    assert out.getvalue().splitlines() == [
        "set/a.gz: 3.0 MB of 9.0 MB (33 %), 400.0 kB/s",
        "set/a.gz: 5.0 MB of 9.0 MB (55 %), 400.0 kB/s",
    ]


def test_a_file_of_unknown_size_has_no_share():
    console, out = log()
    now = [0.0]
    lines = LogProgress(console, clock=lambda: now[0])
    lines.start("set/a.gz", 0, None)
    now[0] = 10.0
    lines.update(2_000_000)
    assert out.getvalue() == "set/a.gz: 2.0 MB, 200.0 kB/s\n"


def test_a_log_takes_long_lines_and_brackets_as_they_are():
    console, out = log()
    with show_progress(console) as progress:
        progress.log("[red] " + "long " * 20)
    assert out.getvalue() == "[red] " + "long " * 20 + "\n"


def test_a_terminal_shows_a_bar_with_the_bytes_and_lines_above_it():
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None)
    with show_progress(console) as progress:
        progress.start("set/a.gz", 1_000_000, 9_000_000)
        progress.update(3_000_000)
        progress.log("said")
    shown = out.getvalue()
    assert "a.gz ━" in shown
    assert "3.0/9.0 MB" in shown
    assert "said" in shown
    out.truncate(0)
    with show_progress(console) as progress:
        progress.start("set/a.gz", 0, None)
        progress.finish()
    assert "a.gz" not in out.getvalue().splitlines()[-1]
