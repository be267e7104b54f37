"""``cluster up`` that does not come to its end: nothing is left, or ``down`` finds it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from cluster.service.parts import PARTS, begun_part
from tests.cluster.service.lab import Lab, new_lab

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = new_lab()
    yield lab
    lab.remove()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def are_begun(lab: Lab, *names: str) -> bool:
    if not lab.folder.record.exists():
        return False
    begun = [begun_part(part, lab.setting) for part in PARTS if part.name in names]
    return all(each is not None and each.lives() for each in begun)


@pytest.mark.parametrize("parts", [("mlflow",), ("mlflow", "ray")])
def test_down_finds_what_a_killed_up_has_started(lab: Lab, parts: tuple[str, ...]) -> None:
    with lab.start(lab.up()) as up:
        wait_until(lambda: are_begun(lab, *parts))
        up.kill()
    mark = lab.setting.mark
    assert lab.left(mark) != []
    ended = lab.run(lab.down()).stdout
    assert ended.startswith("ended: ")
    assert "MLflow" in ended
    assert lab.left(mark) == []
    assert not lab.folder.record.exists()
    assert not lab.folder.ray.exists()


@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_ends_what_it_started(lab: Lab, what: signal.Signals) -> None:
    with lab.start(lab.up()) as up:
        wait_until(lambda: are_begun(lab, "mlflow", "ray"))
        mark = lab.setting.mark
        up.send_signal(what)
        assert up.stdout is not None
        said = up.stdout.read().decode()
    assert up.returncode == 130, said
    assert said.endswith("interrupted.\n")
    assert lab.left(mark) == []
    assert not lab.folder.record.exists()
    assert lab.run(lab.down()).stdout.startswith("nothing to end")


def test_two_at_a_time_give_one_service(lab: Lab) -> None:
    with lab.start(lab.up()) as first:
        wait_until(lambda: are_begun(lab, "mlflow"))
        second = lab.run(lab.up(), 2)
        assert second.stderr == (
            f"ClusterError: one command at a time may start or end the service in "
            f"{lab.folder.root}, but another 'cluster up' or 'cluster down' is at work; wait "
            "until it has ended.\n"
        )
        mark = lab.setting.mark
        first.send_signal(signal.SIGINT)
    assert lab.left(mark) == []


def test_a_part_that_cannot_start_is_told_with_its_log_and_the_others_are_ended(lab: Lab) -> None:
    lab.storage.mkdir()
    (lab.storage / "mlflow.db").write_text("no database at all, " * 100)
    with lab.start(lab.up()) as up:
        wait_until(lambda: are_begun(lab, "mlflow"))
        mark = lab.setting.mark
        assert up.stdout is not None
        said = up.stdout.read().decode()
    assert up.returncode == 2, said
    assert (
        f"ClusterError: MLflow must run at http://127.0.0.1:{lab.ports[2]}, but it ended; the "
        f"end of {lab.folder.log('mlflow')}: "
    ) in said
    assert "file is not a database" in said
    assert lab.left(mark) == []
