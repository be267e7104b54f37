"""The folder of a service, and its lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.service import folder as folder_module
from cluster.service.folder import ServiceFolder, service_lock
from cluster.service.ray_component import remove_ray_folder
from tests.support.local_cluster import LONGEST_FOLDER


def test_the_folder_is_private_unless_another_user_must_pass(tmp_path: Path) -> None:
    folder = ServiceFolder(root=tmp_path / "lab" / "service")
    assert not folder.exists()
    folder.prepare()
    assert folder.root.stat().st_mode & 0o777 == 0o700
    assert folder.logs.stat().st_mode & 0o777 == 0o700
    folder.set_traversable(True)
    folder.prepare()
    assert folder.root.stat().st_mode & 0o777 == 0o711
    assert folder.logs.stat().st_mode & 0o777 == 0o700
    folder.set_traversable(False)
    assert folder.root.stat().st_mode & 0o777 == 0o700


def test_ray_s_folder_is_short_and_each_service_has_another(tmp_path: Path) -> None:
    long = ServiceFolder(root=tmp_path / ("x" * 200))
    other = ServiceFolder(root=tmp_path / ("y" * 200))
    assert len(str(long.ray / "r")) <= LONGEST_FOLDER
    assert long.ray != other.ray
    assert long.ray == ServiceFolder(root=long.root).ray


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("")
    with pytest.raises(ClusterError) as refused:
        ServiceFolder(root=tmp_path / "lab" / "service").prepare()
    assert str(refused.value) == (
        f"{tmp_path}/lab/service must be a folder that can be written, for the service's records "
        "and logs, but: Not a directory; name another storage with --storage."
    )


def test_a_link_in_the_place_of_ray_s_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "diary").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "diary")
    remove_ray_folder(tmp_path / "link")
    assert (tmp_path / "diary").is_dir()
    assert (tmp_path / "link").is_symlink()
    remove_ray_folder(tmp_path / "missing")
    remove_ray_folder(tmp_path / "diary")
    assert not (tmp_path / "diary").exists()


_HOLDS = """
import sys
from pathlib import Path
from cluster.service.folder import ServiceFolder
from cluster.service.folder import service_lock
with service_lock(ServiceFolder(root=Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_command_at_a_time_may_start_or_end_components(tmp_path: Path, monkeypatch) -> None:
    folder = ServiceFolder(root=tmp_path)
    monkeypatch.setattr(folder_module, "_LOCK_TIMEOUT_S", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ClusterError) as refused, service_lock(folder):
            pass
        other.kill()
    assert str(refused.value) == (
        f"one command at a time may start or stop the service in {tmp_path}, but another "
        "'cluster up' or 'cluster down' runs; wait until it has ended."
    )
    with service_lock(folder):
        pass
