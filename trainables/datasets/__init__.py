"""Datasets: where samples come from and how they are split.

A dataset is a record of its settings with ``info``, ``check(folders)`` and ``load(folders,
replica_seed)``. One file per dataset and one name in ``DATASETS``.
"""

from collections import ChainMap
from typing import Annotated, TypeAlias

from trainables.datasets.arrays import Arrays
from trainables.datasets.cifar10 import Cifar10
from trainables.datasets.dataset import Dataset
from trainables.datasets.digits import Digits
from trainables.datasets.image_folder import ImageFolder
from trainables.datasets.mnist import Mnist
from trainables.datasets.newsgroups20 import Newsgroups20
from trainables.datasets.ptbxl import PtbXl
from trainables.datasets.reader import Reader
from trainables.datasets.reuters import Reuters
from trainables.datasets.samples import PixelSamples, RecordSamples, Samples, TokenSamples
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.text_table import TextTable
from trainables.datasets.wfdb_records import WfdbRecords
from trainables.fields import OneOf

DATASETS: dict[str, type[Dataset]] = {
    kind.name: kind for kind in (Cifar10, Digits, Mnist, Newsgroups20, PtbXl, Reuters)
}
READERS: dict[str, type[Reader]] = {
    kind.name: kind for kind in (Arrays, ImageFolder, TextTable, WfdbRecords)
}
"""Datasets that read a user's own files, whose settings name them."""

DatasetConfig: TypeAlias = Annotated[Dataset, OneOf(ChainMap(DATASETS, READERS))]

__all__ = [
    "DATASETS",
    "READERS",
    "Arrays",
    "Cifar10",
    "DataFolders",
    "Dataset",
    "DatasetConfig",
    "DatasetInfo",
    "Digits",
    "ImageFolder",
    "Mnist",
    "Newsgroups20",
    "PixelSamples",
    "PtbXl",
    "Reader",
    "RecordSamples",
    "Reuters",
    "Samples",
    "Splits",
    "TextTable",
    "TokenSamples",
    "WfdbRecords",
]
