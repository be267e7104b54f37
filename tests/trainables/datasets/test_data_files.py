"""Cached arrays."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.datasets.data_files import cache_path, ensure_cached
from trainables.errors import StorageError


def test_a_file_is_named_after_all_that_its_arrays_depend_on(tmp_path):
    path = cache_path(tmp_path, [1, "keep", {"b": 2, "a": None}])
    assert path == cache_path(tmp_path, [1, "keep", {"a": None, "b": 2}])
    assert path.parent == tmp_path
    assert path.suffix == ".npz"
    others = {cache_path(tmp_path, identity) for identity in ([], [1], ["1"], [1, "strip"])}
    assert len(others | {path}) == 5


def test_arrays_are_made_once(tmp_path):
    path = tmp_path / "new" / "arrays.npz"
    made = []

    def make() -> dict[str, np.ndarray]:
        made.append(True)
        return {"a": np.arange(3, dtype=np.int16)}

    ensure_cached(path, make)
    ensure_cached(path, make)
    with np.load(path) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]
        assert arrays["a"].dtype == np.int16
    assert len(made) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole.replace(b"\7\7\7", b"\7\6\7"),
        lambda _: b"no archive",
    ],
    ids=["empty", "half", "bit", "text"],
)
def test_a_damaged_cache_is_made_again(damage, tmp_path):
    path, arrays = tmp_path / "arrays.npz", {"a": np.full(20, 7, np.uint8)}
    ensure_cached(path, lambda: arrays)
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    ensure_cached(path, lambda: arrays)
    with np.load(path) as found:
        assert (found["a"] == arrays["a"]).all()


def test_a_full_disk_is_a_storage_error(disk):
    disk.fill()
    with pytest.raises(StorageError, match="No space left on device"):
        ensure_cached(disk.path / "new" / "a.npz", lambda: {"a": np.zeros(100_000)})


def test_nothing_is_kept_of_what_could_not_be_made(tmp_path):
    def fail() -> dict[str, np.ndarray]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        ensure_cached(tmp_path / "arrays.npz", fail)
    assert list(tmp_path.iterdir()) == []
