from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.builders import message
from tests.trainables.datasets.small_ptbxl import Ecg, ecgs, write
from trainables.datasets import DataFolders, PtbXl, RecordSamples
from trainables.datasets.ptbxl_files import N_CLASSES, class_of_code, read_tables
from trainables.errors import ConfigError, DataError

ECGS = ecgs()
FOLDS = {"train": range(1, 9), "val": (9,), "test": (10,)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> DataFolders:
    """Return a data root with forty made-up records."""
    root = tmp_path_factory.mktemp("root")
    write(root / "ptbxl", ECGS)
    return DataFolders(root=root, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def real(challenger_data, tmp_path_factory) -> DataFolders:
    """Return the real data root with a cache of this module."""
    return DataFolders(root=challenger_data, cache=tmp_path_factory.mktemp("ptbxl"))


def expected(folders: DataFolders, task: str, split: str) -> list[tuple[Ecg, set[str]]]:
    """Choose the records of a split by hand, with their classes."""
    class_of = class_of_code(read_tables(folders.root / "ptbxl").statements, task)
    own = [(ecg, {class_of[c] for c in ecg.codes if c in class_of}) for ecg in ECGS]
    return [(ecg, names) for ecg, names in own if names and ecg.fold in FOLDS[split]]


@pytest.mark.parametrize("task", N_CLASSES)
def test_what_is_known_before_reading_holds(task, folders):
    settings = PtbXl(task=task, window=100)
    info = settings.info
    assert (info.domain, info.is_multi_label, info.background) == ("series", True, 0.0)
    assert (info.n_classes, info.input_shape) == (N_CLASSES[task], (12, 100))
    splits = settings.load(folders, 0)
    batch = splits.train.make_batch(torch.arange(2), torch.Generator())
    assert batch.inputs.shape == (2, *info.input_shape)
    assert batch.targets.shape == (2, info.n_classes)
    assert batch.targets.dtype == torch.float32


@pytest.mark.parametrize("split", FOLDS)
@pytest.mark.parametrize("task", N_CLASSES)
def test_a_split_is_its_folds_without_records_that_have_no_label(task, split, folders):
    samples = getattr(PtbXl(task=task).load(folders, 0), split)
    chosen = expected(folders, task, split)
    class_of = class_of_code(read_tables(folders.root / "ptbxl").statements, task)
    classes = sorted(set(class_of.values()))
    labels = [[float(name in own) for name in classes] for _, own in chosen]
    assert samples.targets.tolist() == labels
    assert 0 < len(chosen) <= 32
    train = np.stack([ecg.millivolts for ecg, _ in expected(folders, task, "train")])
    signals = np.stack([ecg.millivolts for ecg, _ in chosen])
    np.testing.assert_allclose(
        samples.signals, (signals - train.mean()) / train.std(), rtol=1e-4, atol=1e-5
    )


def test_there_are_records_without_a_label():
    assert all("R3" in ecg.codes for ecg in ECGS[:20])
    assert {ecg.fold for ecg in ECGS[:20]} == set(range(1, 11))


def test_training_signals_have_mean_0_and_variance_1(folders):
    signals = PtbXl().load(folders, 0).train.signals.double()
    assert float(signals.mean()) == pytest.approx(0, abs=1e-6)
    assert float(signals.std(correction=0)) == pytest.approx(1, abs=1e-6)


def test_windows_are_as_set(folders):
    samples = PtbXl(window=300, stride=200).load(folders, 0).test
    assert isinstance(samples, RecordSamples)
    assert (samples.window, samples.stride) == (300, 200)
    samples = PtbXl().load(folders, 0).val
    assert samples.views(torch.arange(1)).shape == (7, 1, 12, 250)


def rows(samples: RecordSamples) -> dict[bytes, bytes]:
    return {
        signal.numpy().tobytes(): target.numpy().tobytes()
        for signal, target in zip(samples.signals, samples.targets, strict=True)
    }


def test_a_subset_is_some_of_the_training_records_with_their_scale_and_labels(folders):
    whole, part = PtbXl().load(folders, 0), PtbXl(train_size=5).load(folders, 0)
    assert len(part.train) == len(rows(part.train)) == 5
    assert rows(part.train).items() <= rows(whole.train).items()
    assert torch.equal(part.val.signals, whole.val.signals)
    assert torch.equal(part.test.signals, whole.test.signals)


def test_a_subset_depends_on_its_seed_and_on_the_replica_only_if_it_is_to(folders):
    def train(replica: int, **settings: object) -> torch.Tensor:
        return PtbXl(task="all", train_size=8, **settings).load(folders, replica).train.signals

    assert torch.equal(train(0), train(1))
    assert not torch.equal(train(0), train(0, subset_seed=1))
    assert torch.equal(train(3, subset="per_replica"), train(3, subset="per_replica"))
    assert not torch.equal(train(3, subset="per_replica"), train(4, subset="per_replica"))
    assert not torch.equal(train(0), train(0, subset="per_replica"))


def test_a_subset_of_all_is_all(folders):
    whole = PtbXl(task="rhythm").load(folders, 0).train
    part = PtbXl(task="rhythm", train_size=len(whole)).load(folders, 0).train
    assert torch.equal(part.signals, whole.signals)


@pytest.mark.parametrize("task", ["all", "super-diag"])
def test_more_training_records_than_there_are_are_refused(task, folders):
    count = len(expected(folders, task, "train"))
    settings = PtbXl(task=task, train_size=count + 1)
    text = f"train_size must not exceed the {count} training records, got {count + 1}."
    assert message(ConfigError, lambda: settings.check(folders)) == text
    assert message(ConfigError, lambda: settings.load(folders, 0)) == text
    PtbXl(task=task, train_size=count).check(folders)


@pytest.mark.parametrize("split", FOLDS)
def test_a_split_without_records_is_refused(split, tmp_path):
    others = [ecg for ecg in ECGS if ecg.fold not in FOLDS[split]]
    write(tmp_path / "ptbxl", others)
    folders = DataFolders(root=tmp_path, cache=tmp_path / "cache")
    text = (
        f"ptbxl_database.csv has no {split} record with a label of task 'rhythm'; use more of "
        "its records, or another task."
    )
    assert message(DataError, lambda: PtbXl(task="rhythm").check(folders)) == text
    assert message(DataError, lambda: PtbXl(task="rhythm").load(folders, 0)) == text


def test_it_needs_a_data_root(tmp_path):
    folders = DataFolders(root=None, cache=tmp_path)
    for call in (lambda: PtbXl().check(folders), lambda: PtbXl().load(folders, 0)):
        assert message(DataError, call).startswith("dataset 'ptbxl' is read from a data root")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (PtbXl(), "ptbxl (super-diag)"),
        (PtbXl(task="all", train_size=64), "ptbxl (all, 64 training samples)"),
        (
            PtbXl(task="form", train_size=9, subset="per_replica"),
            "ptbxl (form, 9 training samples, a subset per replica)",
        ),
        (PtbXl(task="form", subset="per_replica"), "ptbxl (form)"),
    ],
)
def test_results_name_the_task_and_the_training_size(settings, text):
    assert settings.description == text


def test_a_subset_says_so_and_the_whole_does_not(folders, monkeypatch):
    assert PtbXl().provenance(folders) == "subset of 40 of 21,799 records"
    monkeypatch.setattr("trainables.datasets.ptbxl._N_PUBLISHED", 40)
    assert PtbXl().provenance(folders) is None


@pytest.mark.data
def test_the_real_subset_is_said_to_be_processed(real):
    assert PtbXl(task="form").provenance(real) == (
        "subset of 1,819 of 21,799 records, processed (unit NU instead of mV)"
    )


@pytest.mark.data
@pytest.mark.parametrize(
    ("task", "sizes"),
    [
        ("all", (1442, 183, 194)),
        ("diag", (1442, 183, 194)),
        ("sub-diag", (1442, 183, 194)),
        ("super-diag", (1442, 183, 194)),
        ("form", (485, 74, 75)),
        ("rhythm", (1408, 179, 182)),
    ],
)
def test_the_real_subset_has_these_splits(task, sizes, real):
    splits = PtbXl(task=task).load(real, 0)
    assert (len(splits.train), len(splits.val), len(splits.test)) == sizes
    assert splits.train.signals.isfinite().all()
    assert float(splits.train.signals.double().mean()) == pytest.approx(0, abs=1e-6)
    assert float(splits.train.signals.double().std()) == pytest.approx(1, abs=1e-6)


@pytest.mark.data
def test_the_real_subset_has_its_superclasses(real):
    splits = PtbXl().load(real, 0)
    counts = sum(part.targets.sum(0) for part in (splits.train, splits.val, splits.test))
    # CD, HYP, MI, NORM, STTC
    assert counts.tolist() == [462, 193, 262, 964, 527]


@pytest.mark.data
def test_the_real_limb_leads_obey_einthoven_up_to_their_scaling(real):
    # II = I + III, so that aVR = -(I + II) / 2: known leads are found in their places, though
    # the subset scaled each on its own.
    signals = PtbXl().load(real, 0).train.signals[:200]
    one, two, _, right = (signals[:, lead].double() for lead in range(4))
    correlations = [
        np.corrcoef(np.stack([a, b, r]))[2, :2] for a, b, r in zip(one, two, right, strict=True)
    ]
    assert np.median(np.array(correlations)[:, 0]) < -0.5
    assert np.median(np.array(correlations)[:, 1]) < -0.5


@pytest.mark.data
def test_the_real_subset_passes_the_check_which_writes_nothing(real, tmp_path):
    PtbXl().check(DataFolders(root=real.root, cache=tmp_path))
    assert list(Path(tmp_path).iterdir()) == []
