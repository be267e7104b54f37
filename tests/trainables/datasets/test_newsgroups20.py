from __future__ import annotations

import hashlib
import math

import pytest
import torch
from sklearn.datasets import _twenty_newsgroups as sklearns

from tests.trainables.builders import message, trial
from tests.trainables.datasets.small_texts import pack, put_glove, vectors_of
from trainables.datasets import DataFolders, Newsgroups20, newsgroups20
from trainables.datasets import newsgroups20 as newsgroups20_module
from trainables.datasets.glove import find_glove, read_glove
from trainables.datasets.newsgroups20 import strip_header
from trainables.datasets.text import split_words
from trainables.errors import ConfigError, DataError
from trainables.loop import init_replica, run_epoch
from trainables.models import TextCnn

ARCHIVE = "20news-bydate.tar.gz"
ARCHIVE_SHA256 = "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610"
# Documents per group, as the set's page and scikit-learn's count them.
OF_TRAIN = [480, 584, 591, 590, 578, 593, 585, 594, 598, 597]
OF_TRAIN += [600, 595, 591, 594, 593, 599, 546, 564, 465, 377]
OF_TEST = [319, 389, 394, 392, 385, 395, 390, 396, 398, 397]
OF_TEST += [399, 396, 393, 396, 394, 398, 364, 376, 310, 251]
SMALL = Newsgroups20(val_size=20, length=4)


def document(group: int, number: int) -> bytes:
    return f"From: me\n\nword{group} said {'again ' * number}ÿ".encode("latin-1")


# Not in alphabetical order, as in the real archive.
DOCUMENTS = {
    f"20news-bydate-{part}/group.{group:02}/{number}": document(group, number)
    for part, count in (("train", 3), ("test", 2))
    for group in reversed(range(20))
    for number in range(count)
}


def digest(documents: dict[str, bytes]) -> str:
    """Hash documents as the loader must: in order, each after its path and its size."""
    everything = b"".join(
        f"{path} {len(documents[path])}\n".encode() + documents[path] for path in sorted(documents)
    )
    return hashlib.sha256(everything).hexdigest()


@pytest.fixture
def folders(tmp_path, monkeypatch) -> DataFolders:
    """Build a data root with 100 documents in place of the published ones."""
    root = tmp_path / "root"
    pack(root / "newsgroups20" / ARCHIVE, DOCUMENTS)
    put_glove(root, ["from", "said", *(f"word{group}" for group in range(20))])
    monkeypatch.setattr(newsgroups20, "_DOCUMENTS_SHA256", digest(DOCUMENTS))
    return DataFolders(root=root, cache=tmp_path / "cache")


def unpack(folders: DataFolders) -> None:
    home = folders.root / "newsgroups20"
    (home / ARCHIVE).unlink()
    for name, content in DOCUMENTS.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)


@pytest.fixture(scope="module")
def real(challenger_data, tmp_path_factory) -> DataFolders:
    """Return the real data root with a cache of this module."""
    return DataFolders(root=challenger_data, cache=tmp_path_factory.mktemp("newsgroups20"))


@pytest.fixture(scope="module")
def loaded(real):
    """Load all of it once."""
    before = sorted(real.root.joinpath("newsgroups20").rglob("*"))
    splits = Newsgroups20().load(real, 0)
    assert sorted(real.root.joinpath("newsgroups20").rglob("*")) == before
    return splits


@pytest.fixture(scope="module")
def documents(real):
    """Read all documents once."""
    return newsgroups20.read_documents(real.root / "newsgroups20" / ARCHIVE)


@pytest.mark.data
def test_it_has_9000_2314_and_7532_samples(loaded):
    assert loaded.train.tokens.shape == (9000, 1000)
    assert loaded.val.tokens.shape == (2314, 1000)
    assert loaded.test.tokens.shape == (7532, 1000)
    assert loaded.train.tokens.dtype == torch.int16
    both = torch.cat([loaded.train.targets, loaded.val.targets])
    assert torch.bincount(both).tolist() == OF_TRAIN
    assert torch.bincount(loaded.test.targets).tolist() == OF_TEST


@pytest.mark.data
def test_the_documents_are_those_of_scikit_learn(documents):
    # The sizes that its example of sparse features prints, in UTF-8.
    texts = {name: content.decode("latin-1") for name, content in documents.items()}
    for part, count, size in (("train", 11_314, 22.055), ("test", 7532, 13.801)):
        chosen = [t for name, t in texts.items() if name.startswith(f"20news-bydate-{part}/")]
        assert len(chosen) == count
        assert round(sum(len(text.encode()) for text in chosen) / 1e6, 3) == size


@pytest.mark.data
def test_headers_are_those_of_scikit_learn(documents):
    for content in documents.values():
        text = content.decode("latin-1")
        assert strip_header(text) == sklearns.strip_newsgroup_header(text)


@pytest.mark.data
def test_a_text_is_the_vectors_of_its_words(real, loaded, documents):
    known = read_glove(find_glove(real))
    row = dict(zip(known.words, known.vectors, strict=True))
    # Test documents are in order of their paths.
    path = min(name for name in documents if "-test/" in name)
    words = split_words(documents[path].decode("latin-1"))
    text = loaded.test.vectors[loaded.test.tokens[0].long()]
    told = [vector for vector in text if vector.any()]
    # Rare words are dropped, so that the vectors are some of the words' in their order.
    expected = iter(torch.from_numpy(row[word]) for word in words if word in row)
    assert all(any(torch.equal(vector, other) for other in expected) for vector in told)
    assert 0.9 * sum(word in row for word in words) < len(told) < 1000


@pytest.mark.data
def test_the_real_files_pass_the_check(real):
    Newsgroups20().check(real)


@pytest.mark.data
def test_one_epoch_on_two_texts_of_each_group(real):
    dataset = Newsgroups20(train_per_class=2, length=200, val_size=40, test_size=40)
    splits = dataset.load(real, 0)
    assert torch.bincount(splits.train.targets).tolist() == [2] * 20
    config = trial("challenger", dataset=dataset, model=TextCnn(width=1 / 8))
    state = init_replica(config, dataset.info, 1, torch.device("cpu"))
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    run_epoch(config, splits, state)
    assert math.isfinite(float(state.window.total))
    assert state.step == 5
    for name, value in state.model.state_dict().items():
        assert value.isfinite().all()
        assert not torch.equal(value, before[name])


def test_an_archive_and_what_it_unpacks_to_give_the_same(folders, tmp_path):
    packed = SMALL.load(folders, 0)
    unpack(folders)
    stray = folders.root / "newsgroups20" / "20news-bydate-train" / "group.00" / ".DS_Store"
    stray.write_bytes(b"\0")
    other = DataFolders(root=folders.root, cache=tmp_path / "other")
    SMALL.check(other)
    loose = SMALL.load(other, 0)
    assert len(list(other.cache.rglob("*.npz"))) == 1
    for one, two in ((packed.train, loose.train), (packed.test, loose.test)):
        assert torch.equal(one.tokens, two.tokens)
        assert torch.equal(one.vectors, two.vectors)
        assert torch.equal(one.targets, two.targets)


def test_classes_and_documents_are_in_alphabetical_order(folders):
    splits = SMALL.load(folders, 0)
    assert splits.test.targets.tolist() == [group for group in range(20) for _ in range(2)]
    assert torch.bincount(splits.train.targets).tolist() == [2] * 20
    assert torch.bincount(splits.val.targets).tolist() == [1] * 20
    own = splits.test.vectors[splits.test.tokens[:, 2].long()].double()
    # from, me (no vector), word<group>
    expected = torch.from_numpy(vectors_of(["from", "said", *map(str, range(20))]))[2:]
    assert torch.equal(own, expected.repeat_interleave(2, dim=0))
    assert (splits.test.tokens[:, 1] == 0).all()


def test_stripped_headers_are_no_words(folders):
    splits = Newsgroups20(val_size=20, length=4, headers="strip").load(folders, 0)
    whole = SMALL.load(folders, 0)
    assert torch.equal(
        splits.test.vectors[splits.test.tokens[:, 0].long()],
        whole.test.vectors[whole.test.tokens[:, 2].long()],
    )
    assert strip_header("A: b\nC: d\n\nbody\n\nmore") == "body\n\nmore"
    assert strip_header("no header") == ""


def test_the_decoded_corpus_is_reused(folders, monkeypatch):
    first = SMALL.load(folders, 0)
    monkeypatch.setattr(newsgroups20_module, "read_documents", None)
    again = SMALL.load(folders, 0)
    assert torch.equal(first.train.tokens, again.train.tokens)


def test_the_archive_with_the_published_checksum_needs_no_other(folders, monkeypatch):
    archive = folders.root / "newsgroups20" / ARCHIVE
    monkeypatch.setattr(newsgroups20, "_DOCUMENTS_SHA256", "")
    with pytest.raises(DataError):
        SMALL.load(folders, 0)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(newsgroups20, "_ARCHIVE_SHA256", found)
    assert len(SMALL.load(folders, 0).test) == 40


def test_other_documents_are_refused(folders):
    altered = {**DOCUMENTS, "20news-bydate-test/group.03/1": b"other"}
    archive = folders.root / "newsgroups20" / ARCHIVE
    pack(archive, altered)
    said = (
        f"{archive} holds 100 documents, but not those of 20 Newsgroups by date: their sha256 "
        f"should be {digest(DOCUMENTS)}, but is {digest(altered)}; put {ARCHIVE} with sha256 "
        f"{ARCHIVE_SHA256} in their place."
    )
    assert message(DataError, lambda: Newsgroups20().check(folders)) == said
    assert message(DataError, lambda: SMALL.load(folders, 0)) == said
    assert not folders.cache.exists()


def test_an_archive_cut_short_is_refused(folders):
    archive = folders.root / "newsgroups20" / ARCHIVE
    archive.write_bytes(archive.read_bytes()[:-400])
    said = (
        f"{archive} is damaged (Compressed file ended before the end-of-stream marker was "
        "reached); replace it by a fresh copy."
    )
    assert message(DataError, lambda: Newsgroups20().check(folders)) == said
    assert message(DataError, lambda: SMALL.load(folders, 0)) == said


def test_a_missing_archive_is_named_with_its_checksum(folders):
    home = folders.root / "newsgroups20"
    (home / ARCHIVE).unlink()
    said = (
        f"{home} holds no 20 Newsgroups; put {ARCHIVE} with sha256 {ARCHIVE_SHA256} there, or "
        "name another data root with --data-root or CHALLENGER_DATA."
    )
    assert message(DataError, lambda: Newsgroups20().check(folders)) == said
    assert message(DataError, lambda: SMALL.load(folders, 0)) == said


def test_vectors_are_part_of_the_check(folders):
    glove = put_glove(folders.root, ["a"])
    glove.write_bytes(b"a 0.1\n")
    assert message(DataError, lambda: Newsgroups20().check(folders)) == (
        f"{glove} is damaged: line 1 is no word with 100 finite numbers, but 'a 0.1\\n'; "
        "replace it by a fresh copy."
    )
    glove.unlink()
    assert message(DataError, lambda: Newsgroups20().check(folders)).startswith(
        f"{glove.parent} holds no word vectors, "
    )


def test_sizes_are_checked_before_files(tmp_path):
    nowhere = DataFolders(root=None, cache=tmp_path)
    assert message(ConfigError, lambda: Newsgroups20(val_size=11_314).check(nowhere)) == (
        "val_size must leave training samples of the 11314 there are, got 11314."
    )
    assert message(ConfigError, lambda: Newsgroups20(test_size=7533).check(nowhere)) == (
        "test_size must not exceed the 7532 test samples, got 7533."
    )
    assert message(DataError, lambda: Newsgroups20().check(nowhere)) == (
        "dataset 'newsgroups20' is read from a data root, and none was given; name one with "
        "--data-root or CHALLENGER_DATA, or use dataset 'digits', which needs none."
    )


def test_what_is_known_before_reading():
    info = Newsgroups20(length=300).info
    assert (info.n_classes, info.input_shape, info.domain) == (20, (100, 300), "text")
    assert info.background == 0
    assert Newsgroups20().info.input_shape == (100, 1000)
    assert Newsgroups20().label == "newsgroups20"
    assert Newsgroups20(headers="strip").label == "newsgroups20 (headers stripped)"
