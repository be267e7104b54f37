from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from tests.trainables.builders import message, trial
from trainables.datasets import Cifar10, DataFolders, cifar10
from trainables.datasets.cifar10 import read_images
from trainables.errors import ConfigError, DataError
from trainables.loop import init_replica, run_epoch
from trainables.models import Vgg16

ARCHIVE = "cifar-10-first-batch.tar.xz"
OFFICIAL = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
OFFICIAL_MD5 = "c58f30108f718f92721af3b95e74349a"
BATCH_MD5 = "c99cafc152244af753f735de768cd75f"
ONE = Cifar10(train_batches=1)
PUT = f"put {OFFICIAL} with md5 {OFFICIAL_MD5} into "


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (Cifar10(), "cifar10"),
        (ONE, "cifar10 (first 1 of 5 training batches)"),
        (
            Cifar10(train_batches=4, train_per_class=50),
            "cifar10 (first 4 of 5 training batches) (50 per class)",
        ),
    ],
)
def test_results_name_the_batches_where_not_all_are_read(settings, text):
    assert settings.description == text


@pytest.fixture(scope="module")
def real(challenger_data, tmp_path_factory) -> DataFolders:
    """Return the real data root with a cache of this module."""
    return DataFolders(root=challenger_data, cache=tmp_path_factory.mktemp("cifar10"))


@pytest.fixture(scope="module")
def loaded(real):
    """Load the first training batch and the test batch once."""
    before = sorted(path.name for path in (real.root / "cifar10").iterdir())
    splits = ONE.load(real, 0)
    assert sorted(path.name for path in (real.root / "cifar10").iterdir()) == before
    return splits


@pytest.fixture(scope="module")
def batches(real) -> Path:
    """Return the folder into which the archive is unpacked."""
    return cifar10.unpack_batches(real.root / "cifar10", 1, real.cache / "cifar10")


@pytest.fixture
def home(tmp_path) -> Path:
    """Build an empty dataset folder of a data root."""
    folder = tmp_path / "root" / "cifar10"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def folders(home, tmp_path) -> DataFolders:
    """Return the data root of ``home``."""
    return DataFolders(root=home.parent, cache=tmp_path / "cache")


def place(home: Path, batches: Path, *names: str) -> Path:
    """Lay batches out as torchvision leaves them."""
    folder = home / FOLDER
    folder.mkdir(exist_ok=True)
    for name in names:
        folder.joinpath(name).symlink_to(batches / name)
    return folder


def pack(archive: Path, mode: str, contents: dict[str, bytes]) -> None:
    with tarfile.open(archive, mode, compresslevel=0) as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


class FirstBatch(CIFAR10):
    """What torchvision reads if it asks for no more than there is."""

    train_list = CIFAR10.train_list[:1]


@pytest.mark.data
def test_one_batch_gives_5000_5000_and_10000_samples(loaded):
    assert loaded.train.inputs.shape == (5_000, 3, 32, 32)
    assert loaded.val.inputs.shape == (5_000, 3, 32, 32)
    assert loaded.test.inputs.shape == (10_000, 3, 32, 32)
    both = torch.cat([loaded.train.targets, loaded.val.targets])
    of_batch = [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]
    assert torch.bincount(both).tolist() == of_batch
    assert torch.bincount(loaded.test.targets).tolist() == [1000] * 10


@pytest.mark.data
@pytest.mark.parametrize("train", [True, False])
def test_it_is_what_torchvision_reads(train, batches, home, loaded):
    place(home, batches, "data_batch_1", "test_batch")
    meta = home / FOLDER / "batches.meta"
    meta.write_bytes(pickle.dumps({"label_names": list("0123456789")}, protocol=2))
    digest = hashlib.md5(meta.read_bytes()).hexdigest()
    expected = type("_", (FirstBatch,), {"meta": {**CIFAR10.meta, "md5": digest}})(
        home, train=train
    )
    images = read_images(batches, ("data_batch_1",) if train else ("test_batch",))
    assert images.pixels.permute(0, 2, 3, 1).numpy().tobytes() == expected.data.tobytes()
    assert images.targets.tolist() == expected.targets
    if not train:
        scale = torch.tensor([0.2470, 0.2435, 0.2616])[:, None, None]
        shift = torch.tensor([0.4914, 0.4822, 0.4465])[:, None, None]
        ours = (loaded.test.inputs * scale + shift) * 255
        assert torch.equal(ours.round().to(torch.uint8), images.pixels)
        assert torch.equal(loaded.test.targets, images.targets)


@pytest.mark.data
def test_the_constants_are_near_the_moments_of_a_fifth_of_the_training_images(loaded):
    both = torch.cat([loaded.train.inputs, loaded.val.inputs]).double()
    # The mean brightness of an image has a deviation of 0.5 here, so 0.005 over 10,000.
    assert both.mean((0, 2, 3)).abs().max() < 0.015
    assert (both.std((0, 2, 3)) - 1).abs().max() < 0.01
    assert (both.mean((0, 2, 3)).abs() > 0).all()


@pytest.mark.data
def test_in_unit_scale_values_are_shares_of_255(real):
    splits = Cifar10(train_batches=1, normalization="unit", train_per_class=1).load(real, 0)
    assert splits.test.inputs.min() == 0
    assert splits.test.inputs.max() == 1
    assert torch.equal((splits.test.inputs * 255).round() / 255, splits.test.inputs)


@pytest.mark.data
def test_tiny_cifar_is_some_of_each_class_and_disjoint_from_validation(real, loaded):
    tiny = Cifar10(train_batches=1, train_per_class=3).load(real, 0)
    assert torch.bincount(tiny.train.targets).tolist() == [3] * 10
    assert torch.equal(tiny.val.inputs, loaded.val.inputs)
    other = Cifar10(train_batches=1, train_per_class=3, subset="per_replica").load(real, 1)
    assert not torch.equal(other.train.inputs, tiny.train.inputs)
    seen = {image.numpy().tobytes() for image in loaded.val.inputs}
    assert len(seen) == 5000
    assert not any(image.numpy().tobytes() in seen for image in tiny.train.inputs)


@pytest.mark.data
def test_inputs_and_targets_stay_together(real, batches):
    images = read_images(batches, ("data_batch_1",))
    scaled = Cifar10(train_batches=1, normalization="unit").load(real, 0).train
    whole = {
        image.numpy().tobytes(): int(t)
        for image, t in zip(images.pixels, images.targets, strict=True)
    }
    found = (scaled.inputs * 255).round().to(torch.uint8)
    assert [whole[image.numpy().tobytes()] for image in found] == scaled.targets.tolist()


@pytest.mark.data
def test_only_what_is_needed_is_unpacked_and_it_is_reused(batches, real, monkeypatch):
    assert sorted(path.name for path in batches.iterdir()) == ["data_batch_1", "test_batch"]
    monkeypatch.setattr(tarfile, "open", None)
    read_images.cache_clear()
    ONE.load(real, 0)


@pytest.mark.data
def test_the_first_batch_passes_the_check_which_writes_nothing(challenger_data, tmp_path):
    ONE.check(DataFolders(root=challenger_data, cache=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
def test_torchvisions_folder_is_read_in_place(batches, home, folders, loaded):
    place(home, batches, "data_batch_1", "test_batch")
    ONE.check(folders)
    splits = ONE.load(folders, 0)
    assert torch.equal(splits.train.inputs, loaded.train.inputs)
    assert torch.equal(splits.test.targets, loaded.test.targets)
    assert not folders.cache.exists()


@pytest.mark.data
def test_the_official_archive_is_unpacked_into_the_cache(
    batches, home, folders, loaded, monkeypatch
):
    """The official archive is not here: this one holds two of its members and has its name."""
    names = ("data_batch_1", "test_batch")
    pack(home / OFFICIAL, "w:gz", {name: (batches / name).read_bytes() for name in names})
    digest = hashlib.md5((home / OFFICIAL).read_bytes()).hexdigest()
    said = f"is damaged: its md5 should be {OFFICIAL_MD5}, but is {digest}"
    assert said in message(DataError, lambda: ONE.check(folders))
    assert said in message(DataError, lambda: ONE.load(folders, 0))
    assert not folders.cache.exists()

    monkeypatch.setattr(cifar10, "_ARCHIVE_MD5", digest)
    ONE.check(folders)
    assert torch.equal(ONE.load(folders, 0).train.inputs, loaded.train.inputs)
    assert sorted(path.name for path in (folders.cache / "cifar10").iterdir()) == list(names)
    two = Cifar10(train_batches=2)
    assert message(DataError, lambda: two.load(folders, 0)) == (
        f"{home / OFFICIAL} holds no data_batch_2; replace it by a fresh copy."
    )


@pytest.mark.data
def test_a_damaged_copy_in_the_cache_is_replaced(real, tmp_path):
    folders = DataFolders(root=real.root, cache=tmp_path)
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "data_batch_1").write_bytes(b"half")
    ONE.load(folders, 0)
    content = (tmp_path / "cifar10" / "data_batch_1").read_bytes()
    assert hashlib.md5(content).hexdigest() == BATCH_MD5


@pytest.mark.data
def test_a_truncated_archive_is_damaged_and_leaves_no_half_file(real, home, folders):
    content = (real.root / "cifar10" / ARCHIVE).read_bytes()
    (home / ARCHIVE).write_bytes(content[:1_000_000])
    for call in (lambda: ONE.check(folders), lambda: ONE.load(folders, 0)):
        said = message(DataError, call)
        assert said.startswith(f"{home / ARCHIVE} is damaged (")
        assert said.endswith("); replace it by a fresh copy.")
    assert list((folders.cache / "cifar10").iterdir()) == []


@pytest.mark.data
def test_one_epoch_of_vgg16_on_a_small_subset(real):
    dataset = Cifar10(train_batches=1, train_per_class=2, val_size=20, test_size=20)
    splits = dataset.load(real, 0)
    for method in ("base", "challenger"):
        config = trial(method, dataset=dataset, model=Vgg16(width=1 / 32))
        state = init_replica(config, config.dataset.info, 1, torch.device("cpu"))
        before = state.model.features[0].weight.detach().clone()
        run_epoch(config, splits, state)
        assert state.epoch == 1
        assert state.window.total.isfinite()
        assert not torch.equal(state.model.features[0].weight, before)


def test_an_altered_member_is_named_with_both_checksums(home, folders):
    with tarfile.open(home / ARCHIVE, "w:xz") as tar:
        member = tarfile.TarInfo(f"{FOLDER}/data_batch_1")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    said = (
        f"{home / ARCHIVE} is damaged: the md5 of its data_batch_1 should be {BATCH_MD5}, but is "
        f"{hashlib.md5(b'abc').hexdigest()} (3 bytes); replace it by a fresh copy."
    )
    assert message(DataError, lambda: ONE.check(folders)) == said
    assert message(DataError, lambda: ONE.load(folders, 0)) == said
    assert list((folders.cache / "cifar10").iterdir()) == []


def test_a_damaged_batch_in_torchvisions_folder_is_named(home, folders):
    (home / FOLDER).mkdir()
    for name in ("data_batch_1", "test_batch"):
        (home / FOLDER / name).write_bytes(b"abc")
    said = f"{home / FOLDER / 'data_batch_1'} is damaged: its md5 should be {BATCH_MD5}, but is "
    assert message(DataError, lambda: ONE.check(folders)).startswith(said)
    assert message(DataError, lambda: ONE.load(folders, 0)).startswith(said)


@pytest.mark.parametrize(("present", "found"), [((), 1), ((1, 2), 2), ((1, 3), 1)])
def test_too_few_batches_say_which_number_is_there(home, folders, present, found):
    (home / FOLDER).mkdir()
    if not present:
        (home / ARCHIVE).touch()
    for name in [*(f"data_batch_{i}" for i in present), "test_batch"]:
        (home / FOLDER / name).touch()
    said = (
        f"{home} holds {found} of CIFAR-10's 5 training batches in a row, but train_batches is 5; "
        f"set train_batches to {found}, or {PUT}{home}."
    )
    assert message(DataError, lambda: Cifar10().check(folders)) == said
    assert message(DataError, lambda: Cifar10().load(folders, 0)) == said


@pytest.mark.parametrize(
    ("present", "what"),
    [((), "{home} holds no CIFAR-10"), (("data_batch_1",), "{folder} lacks test_batch")],
)
def test_a_data_root_without_it_says_what_to_put_where(home, folders, present, what):
    (home / FOLDER).mkdir()
    for name in present:
        (home / FOLDER / name).touch()
    assert message(DataError, lambda: ONE.check(folders)) == (
        f"{what.format(home=home, folder=home / FOLDER)}; {PUT}{home}, or name another data root "
        "with --data-root or CHALLENGER_DATA."
    )


def test_without_a_data_root_it_says_how_to_name_one(tmp_path):
    nothing = DataFolders(root=None, cache=tmp_path)
    said = (
        "dataset 'cifar10' is read from a data root, and none was given; name one with "
        "--data-root or CHALLENGER_DATA, or use dataset 'digits', which needs none."
    )
    assert message(DataError, lambda: Cifar10().check(nothing)) == said
    assert message(DataError, lambda: Cifar10().load(nothing, 0)) == said


def test_sizes_are_those_of_the_batches_that_are_read(folders):
    assert message(ConfigError, lambda: Cifar10(val_size=50_000).check(folders)) == (
        "val_size must leave training samples of the 50000 there are, got 50000."
    )
    small = Cifar10(train_batches=2, train_size=15_001)
    assert message(ConfigError, lambda: small.check(folders)) == (
        "train_size must not exceed the 15000 samples beside the validation samples, got 15001."
    )


@pytest.mark.parametrize("content", [{"data": Path("x"), "labels": []}, getattr])
def test_a_pickle_that_names_anything_but_arrays_is_refused_even_with_the_right_checksum(
    content, tmp_path, monkeypatch
):
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(content, protocol=2))
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(cifar10._MD5, "data_batch_1", digest)
    said = message(pickle.UnpicklingError, lambda: read_images(tmp_path, ("data_batch_1",)))
    assert said.endswith(" has no place in a batch of images")


def test_several_batches_follow_each_other(tmp_path, monkeypatch):
    def batch(path) -> tuple[np.ndarray, list[int]]:
        number = int(path.name[-1])
        return np.full((2, 3072), number, np.uint8), [number, 9]

    monkeypatch.setattr(cifar10, "_batch", batch)
    images = read_images(tmp_path, ("data_batch_1", "data_batch_2"))
    assert images.pixels.flatten(1)[:, 0].tolist() == [1, 1, 2, 2]
    assert images.targets.tolist() == [1, 9, 2, 9]
    assert images.pixels.shape == (4, 3, 32, 32)
