"""The table of sources against the libraries that publish or load the same files."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from sklearn.datasets import _twenty_newsgroups
from torchvision.datasets import CIFAR10, MNIST

from trainables.datasets import DATASETS
from trainables.datasets.sources import SOURCES, source_files

FILES = {file.path: file for name in SOURCES for file in source_files(name)}
OFFICIAL = {
    "ossci-datasets.s3.amazonaws.com",
    "yann.lecun.com",
    "www.cs.toronto.edu",
    "ndownloader.figshare.com",
    "kdd.ics.uci.edu",
    "archive.ics.uci.edu",
    "storage.googleapis.com",
    "physionet.org",
    "nlp.stanford.edu",
}


def test_every_dataset_has_a_source():
    assert set(DATASETS) <= set(SOURCES)


def test_every_file_comes_from_an_official_address():
    hosts = {urlsplit(url).hostname for file in FILES.values() for url in file.urls}
    assert hosts == OFFICIAL


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_every_file_has_its_place_and_a_well_formed_checksum(file):
    assert re.fullmatch(r"[a-z0-9]+(/[A-Za-z0-9._-]+)+", file.path)
    assert file.urls
    if file.checksum is not None:
        digits = {"md5": 32, "sha256": 64}[file.checksum.algorithm]
        assert re.fullmatch(f"[0-9a-f]{{{digits}}}", file.checksum.digest)
    else:
        # Without a checksum the kind of file decides whether it can be read to its end.
        assert file.path.endswith((".gz", ".zip"))


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_fills_its_own_folder_and_needs_known_sources(name):
    assert all(file.path.startswith(f"{name}/") for file in SOURCES[name].files)
    assert set(SOURCES[name].requires) <= set(SOURCES)


def test_digits_come_with_the_installation():
    assert source_files("digits") == ()


def test_texts_bring_their_word_vectors():
    for name in ("newsgroups20", "reuters"):
        assert source_files(name) == (*SOURCES[name].files, *SOURCES["glove"].files)


def test_mnist_is_torchvisions():
    found = {
        (file.path.removeprefix("mnist/MNIST/raw/"), file.checksum.digest): file.urls
        for file in SOURCES["mnist"].files
    }
    assert set(found) == set(MNIST.resources)
    for (name, _), urls in found.items():
        assert [url.removesuffix(name) for url in urls] == MNIST.mirrors


def test_cifar10_is_torchvisions():
    (file,) = SOURCES["cifar10"].files
    assert file.path == f"cifar10/{CIFAR10.filename}"
    assert file.urls == (CIFAR10.url,)
    assert file.checksum.digest == CIFAR10.tgz_md5


def test_newsgroups20_is_scikit_learns():
    archive = _twenty_newsgroups.ARCHIVE
    (file,) = SOURCES["newsgroups20"].files
    assert file.path == f"newsgroups20/{archive.filename}"
    assert file.urls == (archive.url,)
    assert (file.checksum.algorithm, file.checksum.digest) == ("sha256", archive.checksum)
