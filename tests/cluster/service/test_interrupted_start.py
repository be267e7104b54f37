"""``cluster up`` that is interrupted: no process is left, or ``down`` stops it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from cluster.service.components import COMPONENTS, find_daemon
from tests.cluster.service.harness import ServiceHarness, make_harness

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900), pytest.mark.extended]


@pytest.fixture
def harness() -> Iterator[ServiceHarness]:
    harness = make_harness()
    yield harness
    harness.remove()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def are_started(harness: ServiceHarness, *names: str) -> bool:
    if not harness.folder.record.exists():
        return False
    daemon = [
        find_daemon(component, harness.service)
        for component in COMPONENTS
        if component.name in names
    ]
    return all(each is not None and each.is_alive() for each in daemon)


@pytest.mark.parametrize("components", [("mlflow",), ("mlflow", "ray")])
def test_down_stops_the_processes_of_a_killed_up(
    harness: ServiceHarness, components: tuple[str, ...]
) -> None:
    with harness.start(harness.up()) as up:
        wait_until(lambda: are_started(harness, *components))
        up.kill()
    mark = harness.service.instance_id
    assert harness.left(mark) != []
    ended = harness.run(harness.down()).stdout
    assert ended.startswith("stopped: ")
    assert "MLflow" in ended
    assert harness.left(mark) == []
    assert not harness.folder.record.exists()
    assert not harness.folder.ray.exists()


@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_stops_its_processes(
    harness: ServiceHarness, what: signal.Signals
) -> None:
    with harness.start(harness.up()) as up:
        wait_until(lambda: are_started(harness, "mlflow", "ray"))
        mark = harness.service.instance_id
        up.send_signal(what)
        assert up.stdout is not None
        said = up.stdout.read().decode()
    assert up.returncode == 130, said
    assert said.endswith("interrupted.\n")
    assert harness.left(mark) == []
    assert not harness.folder.record.exists()
    assert harness.run(harness.down()).stdout.startswith("nothing to stop")


def test_two_concurrent_ups_give_one_service(harness: ServiceHarness) -> None:
    with harness.start(harness.up()) as first:
        wait_until(lambda: are_started(harness, "mlflow"))
        second = harness.run(harness.up(), 2)
        assert second.stderr == (
            f"Error: one command at a time may start or stop the service in "
            f"{harness.folder.root}, but another 'cluster up' or 'cluster down' runs; wait "
            "until it has ended.\n"
        )
        mark = harness.service.instance_id
        first.send_signal(signal.SIGINT)
    assert harness.left(mark) == []


def test_a_component_that_cannot_start_is_an_error_with_its_log_and_the_others_are_stopped(
    harness: ServiceHarness,
) -> None:
    harness.storage.mkdir()
    (harness.storage / "mlflow.db").write_text("no database at all, " * 100)
    with harness.start(harness.up()) as up:
        wait_until(lambda: are_started(harness, "mlflow"))
        mark = harness.service.instance_id
        assert up.stdout is not None
        said = up.stdout.read().decode()
    assert up.returncode == 2, said
    assert (
        f"Error: MLflow must run at http://127.0.0.1:{harness.ports[2]}, but it ended; the "
        f"end of {harness.folder.log('mlflow')}: "
    ) in said
    assert "file is not a database" in said
    assert harness.left(mark) == []
