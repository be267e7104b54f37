"""A study whose database becomes unavailable: its trials run on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.postgres import PostgresServer
from tests.study.fault_tolerance.consistency import assert_equals_uninterrupted
from tests.study.fault_tolerance.shell import TIMEOUT_S, Shell

pytestmark = pytest.mark.extended


@pytest.mark.postgres
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "executor", ["inline", pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.ray])]
)
def test_trials_run_on_without_the_server_and_all_is_stored_when_it_is_back(
    shell: Callable[[str], Shell],
    uninterrupted: dict[str, Any],
    postgres: PostgresServer,
    postgres_url: str,
    executor: str,
) -> None:
    opened = shell(executor)
    opened.database = postgres_url
    process = opened.start("run", "tiny.yaml")
    opened.until_reports(process, 10)
    postgres.kill()
    try:
        opened.until_reports(process, opened.n_reports() + 2)
        opened.wait_until(lambda: "does not answer" in opened.log.read_text(), process)
    finally:
        postgres.start()
    assert process.wait(TIMEOUT_S) == 0
    output = opened.log.read_text(encoding="utf-8")
    assert "the Optuna database does not answer (" in output
    assert "the Optuna database answers again, after " in output
    assert "Traceback" not in output
    assert_equals_uninterrupted(opened, uninterrupted)
