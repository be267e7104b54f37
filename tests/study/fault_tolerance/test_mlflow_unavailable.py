"""An MLflow that is absent, broken or slow costs a study nothing; it is told later, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.study.fault_tolerance.consistency import assert_as_if_nothing_had_been
from tests.study.fault_tolerance.shell import Shell
from tests.support.faulty_server import faulty_server


@pytest.mark.parametrize(
    "is_slow",
    [pytest.param(False, id="500"), pytest.param(True, id="10 s", marks=pytest.mark.slow)],
)
def test_a_broken_mlflow_is_never_called_by_the_driver_or_a_trial_and_told_later(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], capsys, is_slow: bool
) -> None:
    inline = shell("inline")
    with faulty_server(is_slow=is_slow) as rude:
        inline.tracking = f"http://127.0.0.1:{rude.port}"
        assert inline.finish_watched("connects", "run", "tiny.yaml") == 0
    # The delivery tried, in its own process.
    assert rude.asked
    connects = inline.folder / "connects"
    called = connects.read_text() if connects.exists() else ""
    assert str(rude.port) not in called
    said = inline.log.read_text(encoding="utf-8")
    assert "MLflow has not taken " in said
    assert "nothing is lost. When it answers, deliver them with: " in said
    pending = status(inline, capsys)
    assert pending["activity"] == "finished"
    assert pending["waiting_entries"] > 0
    assert pending["tracking_error"]
    inline.tracking = None
    assert inline.finish("resume", "tiny") == 0
    assert_as_if_nothing_had_been(inline, uninterrupted)
    assert status(inline, capsys)["waiting_entries"] == 0


def status(shell: Shell, capsys) -> dict[str, Any]:
    from study.cli import main

    capsys.readouterr()
    assert main.run(["status", "tiny", "--json", "--storage", str(shell.root)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found
