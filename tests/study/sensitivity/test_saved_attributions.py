"""Reading attribution maps."""

from pathlib import Path

import numpy as np
import pytest

from study.records.errors import ReportError
from study.sensitivity import read_attribution_maps
from tests.support.trial_tables import constant_table, write_maps

TABLE = constant_table({"base": {0: (0.4, 0.5)}, "challenger": {5: (0.6, 0.7)}})
BOTH = ("base", "challenger")


def test_maps_of_several_arms_share_their_images(tmp_path: Path):
    write_maps(TABLE, tmp_path)
    record = read_attribution_maps(TABLE, tmp_path, BOTH)
    stored = np.load(tmp_path / "challenger/final-0/attribution_maps.npz")
    np.testing.assert_array_equal(record.inputs, stored["inputs"])
    np.testing.assert_array_equal(record.target, stored["target"])
    assert [arm.arm for arm in record.arms] == ["base", "challenger"]
    np.testing.assert_array_equal(record.arms[1].relevance, stored["relevance"])
    np.testing.assert_array_equal(record.arms[1].predicted, stored["predicted"])


def test_no_more_images_are_kept_than_asked_for(tmp_path: Path):
    write_maps(TABLE, tmp_path, samples=6)
    record = read_attribution_maps(TABLE, tmp_path, BOTH, at_most=4)
    assert record.inputs.shape == record.arms[0].relevance.shape == (4, 1, 28, 28)
    assert record.target.shape == record.arms[0].predicted.shape == (4,)


def test_a_missing_file_is_named(tmp_path: Path):
    path = tmp_path / "base/final-0/attribution_maps.npz"
    with pytest.raises(ReportError) as caught:
        read_attribution_maps(TABLE, tmp_path, BOTH)
    assert str(caught.value) == (
        f"{path} must hold the attribution maps of arm 'base', but is not there; "
        "train the arm's chosen configuration again."
    )


def test_other_images_are_refused(tmp_path: Path):
    write_maps(TABLE, tmp_path)
    path = tmp_path / "challenger/final-0/attribution_maps.npz"
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "inputs": arrays["inputs"] + 1})
    with pytest.raises(ReportError, match=r"must show the same test images as .*base/final-0"):
        read_attribution_maps(TABLE, tmp_path, BOTH)


def test_a_file_that_is_cut_off_or_holds_other_arrays_is_refused(tmp_path: Path):
    write_maps(TABLE, tmp_path)
    path = tmp_path / "base/final-0/attribution_maps.npz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ReportError, match="must be a readable npz file, but is not"):
        read_attribution_maps(TABLE, tmp_path, BOTH)
    np.savez(path, inputs=np.zeros((2, 1, 4, 4)), target=np.zeros(2, int))
    with pytest.raises(ReportError, match="but lacks relevance, predicted; delete it"):
        read_attribution_maps(TABLE, tmp_path, BOTH)
    flat, classes = np.zeros((2, 250)), np.zeros(2, int)
    np.savez(path, inputs=flat, relevance=flat, target=classes, predicted=classes)
    with pytest.raises(ReportError, match="attribution maps are drawn for images only"):
        read_attribution_maps(TABLE, tmp_path, ("base",))
