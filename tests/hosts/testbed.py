"""A cluster of several hosts, and the times that were measured on it."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from study.storage.layout import StorageRoot
from tests.hosts.host import SUBNET, Host, HostSpec, Switch


@dataclass(slots=True, kw_only=True)
class Timings:
    """Measured seconds by their purpose; mutable."""

    rows: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Measure the duration of a block."""
        began = time.monotonic()
        yield
        self.note(what, time.monotonic() - began)

    def note(self, what: str, seconds: float) -> None:
        """Add a measurement."""
        self.rows.append((what, seconds))

    def table(self) -> str:
        """Write all of them as a table."""
        width = max((len(what) for what, _ in self.rows), default=0)
        return "\n".join(f"{what:<{width}}  {seconds:7.1f} s" for what, seconds in self.rows)


HOST_NAMES: Final = ("head", "one", "two", "three", "isolated", "laptop")
# Ray's defaults take up to a minute to detect a lost host; any user may set these where the head
# is started.
FAST_HEALTH_CHECKS: Final = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "4000",
    "RAY_health_check_failure_threshold": "3",
}


@dataclass(slots=True, kw_only=True)
class HostTestbed:
    """Hosts and the folder that they share; mutable, for hosts join and leave."""

    base: Path
    switch: Switch
    hosts: Mapping[str, Host]
    timings: Timings = field(default_factory=Timings)
    join_command: str = ""
    started_s: float = field(default_factory=time.time)

    @property
    def head(self) -> Host:
        """The host of the service."""
        return self.hosts["head"]

    @property
    def laptop(self) -> Host:
        """The user's host."""
        return self.hosts["laptop"]

    @property
    def storage(self) -> StorageRoot:
        """The storage that all hosts share but ``laptop`` and ``isolated``."""
        return StorageRoot(root=self.base / "share" / "studies")

    @property
    def dashboard(self) -> str:
        """The address at which studies are submitted."""
        return f"http://{self.head.address}:8265"

    @property
    def mlflow(self) -> str:
        """MLflow's server."""
        return f"http://{self.head.address}:5000"

    def up(self) -> str:
        """Start the service by the command line; returns its output."""
        output = self.head.run(
            f"challenger-study cluster up --host {self.head.address} --cpus 0 --postgres "
            f"--storage {self.storage.root}",
            **FAST_HEALTH_CHECKS,
        ).stdout
        found = re.search(r"^ +(RAY_AUTH_MODE=token .* ray start .*)$", output, re.MULTILINE)
        assert found is not None, output
        self.join_command = found[1]
        return output

    def join(self, name: str) -> None:
        """Join a host by the printed command line, with one slot for trials."""
        host = self.hosts[name]
        if not host.is_on:
            host.boot()
        self.copy_token(host)
        host.run(f"{self.join_command} --num-cpus 1")

    def is_alive(self, name: str) -> bool:
        """Return whether a host is an alive node of the cluster."""
        return self.nodes().get(self.hosts[name].address, False)

    def ensure(self, *workers: str) -> None:
        """Join the hosts that are no alive nodes."""
        alive = [address for address, lives in self.nodes().items() if lives]
        for name in workers:
            if self.hosts[name].address not in alive:
                self.join(name)

    def copy_token(self, host: Host) -> None:
        """Copy the head's token by hand, for its owner alone."""
        host.token.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.head.token, host.token)
        host.token.chmod(0o600)

    def run_cli(self, command: str, code: int | None = 0) -> tuple[str, str]:
        """Run a command on the laptop, with the cluster's address; returns stdout and stderr."""
        done = self.laptop.run(f"challenger-study {command} --address {self.dashboard}", code)
        return done.stdout, done.stderr

    def write(self, text: str, name: str) -> None:
        """Write a study file on the laptop."""
        (self.laptop.home / f"{name}.yaml").write_text(text)

    def nodes(self) -> dict[str, bool]:
        """Return which nodes are alive, by address, as the laptop's user sees them."""
        output, _ = self.run_cli("cluster status --json")
        # A host that joined again is listed twice: as a dead and as an alive node.
        nodes = sorted(json.loads(output)["nodes"], key=lambda node: node["is_alive"])
        return {node["address"]: node["is_alive"] for node in nodes}

    def remove(self) -> None:
        """Switch all hosts off and delete their files."""
        for host in self.hosts.values():
            if host.is_on:
                host.kill()
        self.switch.remove()
        shutil.rmtree(self.base)


def make_testbed() -> HostTestbed:
    """Make the hosts, of which the head and the laptop are on."""
    # Sockets need a short path, and PostgreSQL's user one that all may pass.
    base = Path(tempfile.mkdtemp(prefix="hosts-", dir="/tmp"))
    base.chmod(0o755)
    (base / "share").mkdir()
    switch = Switch.start()
    names = {name: f"{SUBNET}.{i}" for i, name in enumerate(HOST_NAMES, start=1)}
    hosts = {name: Host(_host_spec(name, base, names), switch) for name in HOST_NAMES}
    testbed = HostTestbed(base=base, switch=switch, hosts=hosts)
    try:
        testbed.head.boot()
        testbed.laptop.boot()
    except BaseException:
        testbed.remove()
        raise
    return testbed


def _host_spec(name: str, base: Path, names: Mapping[str, str]) -> HostSpec:
    return HostSpec(
        name=name,
        address=names[name],
        disk=base / name,
        share=base / "share",
        sees_share=name not in ("isolated", "laptop"),
        names=names,
    )
