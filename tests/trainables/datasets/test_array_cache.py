from __future__ import annotations

import numpy as np
import pytest

from trainables.datasets.array_cache import cache_path, keep


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

    keep(path, make)
    keep(path, make)
    with np.load(path) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]
        assert arrays["a"].dtype == np.int16
    assert len(made) == 1
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_kept_of_what_could_not_be_made(tmp_path):
    def fail() -> dict[str, np.ndarray]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        keep(tmp_path / "arrays.npz", fail)
    assert list(tmp_path.iterdir()) == []
