"""Datasets: where samples come from and how they are split.

A dataset is a frozen dataclass of its settings with ``info``, ``description``, ``check(folders)``,
``provenance(folders)`` and ``load(folders, replica_seed)``. One file per dataset and one name in
``DatasetConfig``.
"""

from typing import TypeAlias, get_args

from trainables.datasets.cifar10 import Cifar10
from trainables.datasets.digits import Digits
from trainables.datasets.mnist import Mnist
from trainables.datasets.newsgroups20 import Newsgroups20
from trainables.datasets.ptbxl import PtbXl
from trainables.datasets.reuters import Reuters
from trainables.datasets.samples import PixelSamples, RecordSamples, Samples, TokenSamples
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits

DatasetConfig: TypeAlias = Cifar10 | Digits | Mnist | Newsgroups20 | PtbXl | Reuters

DATASETS = {kind.name: kind for kind in get_args(DatasetConfig)}

__all__ = [
    "DATASETS",
    "Cifar10",
    "DataFolders",
    "DatasetConfig",
    "DatasetInfo",
    "Digits",
    "Mnist",
    "Newsgroups20",
    "PixelSamples",
    "PtbXl",
    "RecordSamples",
    "Reuters",
    "Samples",
    "Splits",
    "TokenSamples",
]
