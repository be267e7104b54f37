"""Where secrets of a cluster are: in files of its machines, and in what their processes show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.postgres_folder import read_login
from cluster.service.folder import ServiceFolder
from cluster.service.passwords import read_passwords
from tests.hosts.lab import Lab
from tests.study.survival.test_secrets import marks_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret of a service.

    Attributes:
        text: The secret itself.
        home: The one file that may hold it, for its owner alone.
    """

    text: str
    home: Path


def secrets_of(lab: Lab) -> tuple[Secret, ...]:
    """Give the secrets of a service: Ray's token, PostgreSQL's and MLflow's passwords."""
    folder = ServiceFolder(root=lab.storage.service)
    passwords = read_passwords(folder)
    login = read_login(folder.postgres)
    return (
        Secret(text=lab.head.token.read_text().strip(), home=lab.head.token),
        Secret(text=login.password, home=folder.postgres / "login.json"),
        Secret(text=passwords.admin, home=folder.passwords),
        Secret(text=passwords.session_key, home=folder.passwords),
    )


def assert_no_secret_is_shown(lab: Lab, study: str) -> None:
    """Search all machines while a study runs: each secret is in one private file alone."""
    on = [host for host in lab.hosts.values() if host.is_on]
    shown = "\n".join(line for host in on for line in host.processes().values())
    # What is searched is there: the driver, and what it says.
    assert "study run study.yaml" in shown
    logs = files_with(lab.head.root / "tmp", b"exec python -P -m study run study.yaml")
    assert any(path.name == f"job-driver-{study}-1.log" for path in logs)
    memory = [host.root / "tmp" for host in on]
    for secret in secrets_of(lab):
        assert secret.text not in shown
        assert secret.home.stat().st_mode & 0o777 == 0o600
        found = {path for place in memory for path in files_with(place, *marks_of(secret.text))}
        assert found == set()
        stored = set(files_with(lab.storage.root, *marks_of(secret.text)))
        assert stored <= {secret.home}


def files_with(folder: Path, *marks: bytes) -> Iterator[Path]:
    """Find files that hold one of some texts; files may vanish meanwhile."""
    for path in folder.rglob("*"):
        # The storage and the machines' disks are below /tmp as well.
        if folder.name == "tmp" and path.relative_to(folder).parts[0].startswith("hosts-"):
            continue
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        if any(mark in content for mark in marks):
            yield path
