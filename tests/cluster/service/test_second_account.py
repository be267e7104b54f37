"""Loopback is not one user: what another account of the machine can do to a running service."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.postgres import find_programs, read_login, server_pids
from cluster.process import processes
from cluster.service.components import COMPONENTS, find_daemon
from cluster.service.daemon import has_instance_id
from cluster.service.mlflow_component import basic_headers, read_passwords
from tests.cluster.service.harness import (
    CLUSTER_COMMAND,
    ServiceHarness,
    call,
    command_line,
    make_harness,
)
from tests.support.second_account import Targets, attempts, targets_of

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800), pytest.mark.extended]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def harness(request: pytest.FixtureRequest) -> Iterator[ServiceHarness]:
    """Give a service that runs for this machine alone, in a home that others may look into."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    has_postgres = request.param == "postgresql"
    if has_postgres:
        try:
            find_programs()
        except ClusterError as error:
            pytest.skip(str(error))
    harness = make_harness()
    try:
        harness.run(harness.up(*(["--postgres"] if has_postgres else [])))
        yield harness
    finally:
        harness.remove()


def targets(harness: ServiceHarness) -> Targets:
    daemon = [find_daemon(component, harness.service) for component in COMPONENTS]
    numbers = {number for each in daemon if each is not None for number in each.pids()}
    numbers |= {
        each.pid for each in processes() if has_instance_id(each.pid, harness.service.instance_id)
    }
    numbers |= set(server_pids(harness.folder.postgres))
    found = targets_of(numbers, [harness.storage, harness.token.parent, harness.folder.ray])
    if not harness.service.config.has_postgres:
        return found
    login = read_login(harness.folder.postgres)
    # Who runs PostgreSQL for root passes through these, and so do others; nobody lists them.
    passable = {str(harness.storage), str(harness.folder.root)}
    assert all(Path(each).stat().st_mode & 0o777 == 0o711 for each in passable)
    return dataclasses.replace(found, postgres=[(login.user, login.port)])


def test_nothing_is_read_written_or_run_by_another_account(harness: ServiceHarness) -> None:
    experiments = f"{harness.service.mlflow}/api/2.0/mlflow/experiments/create"
    assert call(experiments, basic_headers(harness.folder), {"name": "the owner's"})[0] == 200
    found = targets(harness)
    # Something was tried: MLflow, the dashboard, the head and workers; logs, sockets, secrets.
    assert {port for _, port in found.ports} >= set(harness.ports)
    assert len(found.ports) > 6
    assert len(found.sockets) >= 2
    assert {
        str(harness.token),
        str(harness.folder.passwords),
        str(harness.storage / "mlflow.db"),
    } <= set(found.paths)
    assert attempts(found) == []
    search = f"{harness.service.mlflow}/api/2.0/mlflow/experiments/search?max_results=9"
    assert "stranger" not in call(search, basic_headers(harness.folder))[1]
    assert call(f"{harness.service.dashboard}/api/jobs/", harness.headers) == (200, "[]")


def test_the_command_lines_that_everybody_sees_hold_no_secret(harness: ServiceHarness) -> None:
    passwords = read_passwords(harness.folder)
    link = harness.folder.link(harness.ports[2]).read_text()
    secrets = [
        harness.token.read_text(),
        passwords.admin,
        passwords.session_key,
        link.partition("owner:")[2].partition("@")[0],
    ]
    if harness.service.config.has_postgres:
        secrets.append(read_login(harness.folder.postgres).password)
    lines = [command_line(each.pid) for each in processes()]
    assert all(len(secret) > 20 for secret in secrets)
    assert not [line for line in lines for secret in secrets if secret in line]


def test_the_check_finds_what_was_opened_to_others(harness: ServiceHarness) -> None:
    check = (*CLUSTER_COMMAND, "check", f"--storage={harness.storage}")
    said = harness.run(check).stdout
    assert "✗" not in said
    assert f"✓ {harness.token}: account 0, mode 600\n" in said
    assert "✓ MLflow: requires its secret\n" in said
    harness.folder.passwords.chmod(0o640)
    harness.folder.ray.chmod(0o755)
    try:
        said = harness.run(check, 1).stdout
    finally:
        harness.folder.passwords.chmod(0o600)
        harness.folder.ray.chmod(0o700)
    assert [line for line in said.splitlines() if line.startswith("✗")] == [
        f"✗ {path}: account 0, mode {mode}, others may open it; run 'chmod {wanted} {path}'"
        for path, mode, wanted in (
            (harness.folder.passwords, "640", "600"),
            (harness.folder.ray, "755", "700"),
        )
    ]


def test_the_owner_s_own_processes_get_in(harness: ServiceHarness) -> None:
    assert harness.state()["is_healthy"] is True
    link = harness.folder.link(harness.ports[2]).read_text().strip()
    assert f"MLflow     {link}\n" in harness.run(harness.up()).stdout
