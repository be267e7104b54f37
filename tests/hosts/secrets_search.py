"""A search for a cluster's secrets in files and command lines of its hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.postgres import read_login
from cluster.service.folder import ServiceFolder
from cluster.service.mlflow_component import read_passwords
from tests.hosts.testbed import HostTestbed
from tests.study.fault_tolerance.test_secrets import marks_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret of a service."""

    text: str
    home: Path


def secrets_of(testbed: HostTestbed) -> tuple[Secret, ...]:
    """Return the secrets of a service: Ray's token, PostgreSQL's and MLflow's passwords."""
    folder = ServiceFolder(root=testbed.storage.service)
    passwords = read_passwords(folder)
    login = read_login(folder.postgres)
    return (
        Secret(text=testbed.head.token.read_text().strip(), home=testbed.head.token),
        Secret(text=login.password, home=folder.postgres / "login.json"),
        Secret(text=passwords.admin, home=folder.passwords),
        Secret(text=passwords.session_key, home=folder.passwords),
    )


def assert_no_secret_is_shown(testbed: HostTestbed, study: str) -> None:
    """Search all hosts while a study runs: each secret is in one private file alone."""
    on = [host for host in testbed.hosts.values() if host.is_on]
    shown = "\n".join(line for host in on for line in host.processes().values())
    # The driver and its log are searched.
    assert "study run study.yaml" in shown
    command = b"exec python -P -m study run study.yaml"
    logs = files_with(testbed.head.root / "tmp", [command], testbed.started_s)
    assert any(path.name == f"job-driver-{study}-1.log" for path in logs)
    secrets = secrets_of(testbed)
    for secret in secrets:
        assert secret.text not in shown
        assert secret.home.stat().st_mode & 0o777 == 0o600
        marks = list(marks_of(secret.text))
        assert set(files_with(testbed.storage.root, marks, testbed.started_s)) <= {secret.home}
    marks = [mark for secret in secrets for mark in marks_of(secret.text)]
    for host in on:
        assert list(files_with(host.root / "tmp", marks, testbed.started_s)) == []


def files_with(folder: Path, marks: Sequence[bytes], since_s: float) -> Iterator[Path]:
    """Find files that hold one of some texts, of those written since a time; any may vanish."""
    for path in folder.rglob("*"):
        # The storage and the hosts' disks are below /tmp as well.
        if folder.name == "tmp" and path.relative_to(folder).parts[0].startswith("hosts-"):
            continue
        try:
            is_new = path.is_file() and path.stat().st_mtime >= since_s
            content = path.read_bytes() if is_new else b""
        except FileNotFoundError:
            continue
        if any(mark in content for mark in marks):
            yield path
