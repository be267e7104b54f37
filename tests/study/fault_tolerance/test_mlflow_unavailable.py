"""A broken or slow MLflow does not affect a study, and gets all records later, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.study.fault_tolerance.consistency import assert_equals_uninterrupted
from tests.study.fault_tolerance.shell import Shell
from tests.support.faulty_server import faulty_server

pytestmark = pytest.mark.extended


@pytest.mark.parametrize(
    "is_slow",
    [pytest.param(False, id="500"), pytest.param(True, id="10 s", marks=pytest.mark.slow)],
)
def test_a_broken_mlflow_is_called_by_the_sync_process_alone_and_synced_later(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], capsys, is_slow: bool
) -> None:
    inline = shell("inline")
    with faulty_server(is_slow=is_slow) as server:
        inline.tracking = f"http://127.0.0.1:{server.port}"
        assert inline.finish_logged("connects", "run", "tiny.yaml") == 0
    # The sync process tried.
    assert server.paths
    connects = inline.folder / "connects"
    called = connects.read_text() if connects.exists() else ""
    assert str(server.port) not in called
    output = inline.log.read_text(encoding="utf-8")
    assert "MLflow has not taken " in output
    assert "nothing is lost. Send them later with: " in output
    pending = status(inline, capsys)
    assert pending["activity"] == "finished"
    assert pending["waiting_entries"] > 0
    assert pending["tracking_error"]
    inline.tracking = None
    assert inline.finish("resume", "tiny") == 0
    assert_equals_uninterrupted(inline, uninterrupted)
    assert status(inline, capsys)["waiting_entries"] == 0


def status(shell: Shell, capsys) -> dict[str, Any]:
    from study.cli import main

    capsys.readouterr()
    assert main.run(["status", "tiny", "--json", "--storage", str(shell.root)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found
