"""A study whose database goes away in the middle: its trials run on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.postgres import PostgresServer
from tests.study.fault_tolerance.consistency import assert_as_if_nothing_had_been
from tests.study.fault_tolerance.shell import PATIENCE_S, Shell


@pytest.mark.postgres
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "executor", ["inline", pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.ray])]
)
def test_trials_run_on_while_the_server_is_dead_and_all_is_told_when_it_is_back(
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
    assert process.wait(PATIENCE_S) == 0
    said = opened.log.read_text(encoding="utf-8")
    assert "the Optuna database does not answer (" in said
    assert "the Optuna database answers again, after " in said
    assert "Traceback" not in said
    assert_as_if_nothing_had_been(opened, uninterrupted)
