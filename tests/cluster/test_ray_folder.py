"""The private folder of a study's own Ray."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.ray_folder import ray_folder


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


def test_it_is_for_its_user_alone_has_a_random_name_and_is_deleted() -> None:
    with ray_folder() as one, ray_folder() as other:
        assert one != other
        for folder in (one, other):
            assert folder.name == "r"
            assert folder.parent.parent == Path("/tmp")
            assert folder.parent.stat().st_mode & 0o777 == 0o700
            assert folder.parent.stat().st_uid == os.geteuid()
            # As Ray makes it.
            folder.mkdir(mode=0o777)
            (folder / "log").write_text("x")
    assert not one.parent.exists()
    assert not other.parent.exists()


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_the_user_s_own_place_is_used_if_it_is_short(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with ray_folder() as base:
        base.mkdir()
        monkeypatch.setenv(name, str(base))
        with ray_folder() as folder:
            # A socket in it would have 107 bytes at the most.
            is_short = len(f"{base}/ray-xxxxxxxx") + 65 <= 107
            assert (folder.parent.parent == base) is is_short
        monkeypatch.setenv(name, str(base / ("long" * 20)))
        with ray_folder() as folder:
            assert folder.parent.parent == Path("/tmp")


def test_a_place_that_cannot_be_written_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    with ray_folder() as folder:
        assert folder.parent.parent == Path("/tmp")


def test_no_place_at_all_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/" + "long" * 30)
    monkeypatch.setattr("tempfile.mkdtemp", _refused)
    with pytest.raises(ClusterError) as refused, ray_folder():
        pass
    assert str(refused.value) == (
        f"Ray needs a folder for its sockets, but none can be created (/{'long' * 30} is too long "
        "for the paths of sockets in it; /tmp: No space left on device); name a short writable "
        "one by TMPDIR."
    )


def _refused(**_: object) -> str:
    raise OSError(28, "No space left on device")
