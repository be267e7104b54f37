"""Published files of each dataset: URLs, checksums, and paths below the data root.

URLs and checksums are those of the publisher, or of the library whose loader the field uses
(torchvision, scikit-learn, Keras). A file without ``checksum`` has no published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
_PTBXL = "ptb-xl-a-large-publicly-available-electrocardiography-dataset-1.0.3.zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """Published checksum of a file, in lower-case hexadecimal digits."""

    algorithm: Literal["md5", "sha256"]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One published file.

    Attributes:
        path: Path below the data root, with forward slashes.
        urls: URLs of the same file; the first that serves it is used.
        size: Size in bytes, or None if none is published.
        bound: Size above which it is not the file, where none is published.
        checksum: Published checksum, if any.
    """

    path: str
    urls: tuple[str, ...]
    size: int | None = None
    bound: int = 100_000_000
    checksum: Checksum | None = None

    @property
    def most_bytes(self) -> int:
        """The published size, or the bound."""
        return self.bound if self.size is None else self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSource:
    """The published files of one dataset.

    Attributes:
        files: Its own files; none if it is installed with a package.
        requires: Names of further sources that it needs.
    """

    files: tuple[SourceFile, ...] = ()
    requires: tuple[str, ...] = ()


def _mnist(file: str, size: int, md5: str) -> SourceFile:
    return SourceFile(
        path=f"mnist/MNIST/raw/{file}",
        urls=(
            f"https://ossci-datasets.s3.amazonaws.com/mnist/{file}",
            f"http://yann.lecun.com/exdb/mnist/{file}",
        ),
        size=size,
        checksum=Checksum(algorithm="md5", digest=md5),
    )


SOURCES: Mapping[str, DatasetSource] = MappingProxyType(
    {
        "digits": DatasetSource(),
        "mnist": DatasetSource(
            files=(
                _mnist("train-images-idx3-ubyte.gz", 9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                _mnist("train-labels-idx1-ubyte.gz", 28881, "d53e105ee54ea40749a09fcbcd1e9432"),
                _mnist("t10k-images-idx3-ubyte.gz", 1648877, "9fb629c4189551a2d022fa330f9573f3"),
                _mnist("t10k-labels-idx1-ubyte.gz", 4542, "ec29112dd5afa0611ce80d1b7f02629c"),
            )
        ),
        "cifar10": DatasetSource(
            files=(
                SourceFile(
                    path="cifar10/cifar-10-python.tar.gz",
                    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
                    size=170498071,
                    checksum=Checksum(algorithm="md5", digest="c58f30108f718f92721af3b95e74349a"),
                ),
            )
        ),
        "newsgroups20": DatasetSource(
            files=(
                SourceFile(
                    path="newsgroups20/20news-bydate.tar.gz",
                    urls=("https://ndownloader.figshare.com/files/5975967",),
                    checksum=Checksum(
                        algorithm="sha256",
                        digest="8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
                    ),
                ),
            ),
            requires=("glove",),
        ),
        "reuters": DatasetSource(
            files=(
                SourceFile(
                    path="reuters/reuters21578.tar.gz",
                    urls=(
                        "https://kdd.ics.uci.edu/databases/reuters21578/reuters21578.tar.gz",
                        "https://archive.ics.uci.edu/ml/machine-learning-databases/"
                        "reuters21578-mld/reuters21578.tar.gz",
                    ),
                ),
                SourceFile(
                    path="reuters/reuters.npz",
                    urls=(f"{_KERAS}/reuters.npz",),
                    size=2110848,
                    checksum=Checksum(
                        algorithm="sha256",
                        digest="d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
                    ),
                ),
                SourceFile(
                    path="reuters/reuters_word_index.json",
                    urls=(f"{_KERAS}/reuters_word_index.json",),
                    checksum=Checksum(algorithm="md5", digest="4d44cc38712099c9e383dc6e5f11a921"),
                ),
            ),
            requires=("glove",),
        ),
        "ptbxl": DatasetSource(
            files=(
                # PhysioNet has no archive of the 100 Hz signals alone.
                SourceFile(
                    path=f"ptbxl/{_PTBXL}",
                    urls=(f"https://physionet.org/static/published-projects/ptb-xl/{_PTBXL}",),
                    bound=4_000_000_000,
                ),
            )
        ),
        "glove": DatasetSource(
            files=(
                SourceFile(
                    path="glove/glove.6B.zip",
                    urls=("https://nlp.stanford.edu/data/glove.6B.zip",),
                    size=862182613,
                ),
            )
        ),
    }
)


def source_files(name: str) -> tuple[SourceFile, ...]:
    """Return the files of a dataset and of the sources that it requires."""
    source = SOURCES[name]
    return (*source.files, *(file for need in source.requires for file in source_files(need)))
