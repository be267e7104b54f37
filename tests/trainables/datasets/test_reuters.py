"""Reuters, as published."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.trainables.builders import message
from tests.trainables.datasets.small_texts import pack, put_glove, vectors_of
from tests.trainables.datasets.test_reuters_keras import publish
from trainables.datasets import DataFolders, Reuters
from trainables.datasets import reuters as reuters_module
from trainables.datasets.reuters import (
    RULES,
    Newswire,
    RuleSizes,
    modapte_single,
    parse_newswires,
    read_newswires,
)
from trainables.errors import ConfigError, DataError

SGM = """<!DOCTYPE lewis SYSTEM "lewis.dtd">
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" CGISPLIT="TRAINING-SET" OLDID="5544" NEWID="1">
<DATE>26-FEB-1987 15:01:01.79</DATE>
<TOPICS><D>cocoa</D></TOPICS>
<PLACES><D>usa</D></PLACES>
<UNKNOWN>
&#5;&#5;&#5;C T</UNKNOWN>
<TEXT>&#2;
<TITLE>COCOA REVIEW</TITLE>
<AUTHOR>    by A. Writer</AUTHOR>
<DATELINE>    SALVADOR, Feb 26 - </DATELINE><BODY>Profit &lt;XYZ> of R&amp;D &gt; 5
 Reuter
&#3;</BODY></TEXT>
</REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TEST" CGISPLIT="TRAINING-SET" OLDID="5" NEWID="2" CSECS="1">
<TOPICS><D>grain</D><D>wheat</D></TOPICS>
<TEXT TYPE="UNPROC">&#2;
TABLE &#127; ONLY
&#3;</TEXT>
</REUTERS>
<REUTERS TOPICS="NO" LEWISSPLIT="TRAIN" CGISPLIT="TRAINING-SET" OLDID="6" NEWID="3">
<TOPICS></TOPICS>
<TEXT TYPE="BRIEF">
<TITLE>BLAH</TITLE></TEXT>
</REUTERS>
<REUTERS TOPICS="BYPASS" LEWISSPLIT="TEST" CGISPLIT="TRAINING-SET" OLDID="7" NEWID="4">
<TOPICS><D>earn</D></TOPICS>
</REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="NOT-USED" CGISPLIT="TRAINING-SET" OLDID="8" NEWID="5">
<TOPICS><D>earn</D></TOPICS>
</REUTERS>
"""


def refused(path, *sizes: int) -> str:
    return (
        f"{path} holds {sizes[0]} newswires, {sizes[1]} for training and {sizes[2]} for testing, "
        "where 21578 with different numbers, 9603 and 3299 belong; replace it by a fresh copy."
    )


def test_a_newswire_has_number_part_topics_and_all_of_its_text():
    first = next(parse_newswires(SGM))
    assert (first.number, first.part, first.topics) == (1, "train", ("cocoa",))
    words = "COCOA REVIEW by A. Writer SALVADOR, Feb 26 - Profit <XYZ> of R&D > 5 Reuter"
    assert first.text.split() == words.split()


def test_a_newswire_may_lack_any_part_of_its_text():
    rest = list(parse_newswires(SGM))[1:]
    assert [one.text.split() for one in rest] == [["TABLE", "ONLY"], ["BLAH"], [], []]


def test_the_split_is_modapte():
    assert [(one.number, one.part) for one in parse_newswires(SGM)] == [
        (1, "train"),
        (2, "test"),
        (3, "unused"),
        (4, "unused"),
        (5, "unused"),
    ]


def test_topics_are_those_of_the_field_and_no_places():
    assert [one.topics for one in parse_newswires(SGM)] == [
        ("cocoa",),
        ("grain", "wheat"),
        (),
        ("earn",),
        ("earn",),
    ]


@pytest.mark.data
def test_the_collection_has_the_sizes_that_its_readme_states(challenger_data):
    newswires = read_newswires(challenger_data / "reuters" / "reuters21578.tar.gz")
    assert [one.number for one in newswires] == list(range(1, 21_579))
    parts = [one.part for one in newswires]
    assert [parts.count(p) for p in ("train", "test", "unused")] == [9603, 3299, 8676]
    # README, section VII: 120 of 135 topics occur.
    assert len({topic for one in newswires for topic in one.topics}) == 120
    cocoa = newswires[0]
    assert isinstance(cocoa, Newswire)
    assert cocoa.text.split()[:5] == ["BAHIA", "COCOA", "REVIEW", "SALVADOR,", "Feb"]
    assert cocoa.text.split()[-2:] == ["27.", "Reuter"]


def test_a_missing_archive_is_named(tmp_path):
    path = tmp_path / "reuters21578.tar.gz"
    assert message(DataError, lambda: read_newswires(path)) == (
        f"{path} is missing; put reuters21578.tar.gz with the 22 sgm files there, or name another "
        "data root with --data-root or CHALLENGER_DATA."
    )


def test_an_archive_that_lacks_newswires_is_refused(tmp_path):
    path = tmp_path / "reuters21578.tar.gz"
    pack(path, {"reut2-000.sgm": SGM.encode(), "README.txt": SGM.encode()})
    assert message(DataError, lambda: read_newswires(path)) == refused(path, 5, 1, 1)


def test_a_newswire_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "reuters21578.tar.gz"
    counts = [("TRAIN", 9603), ("TEST", 3299), ("NOT-USED", 8676)]
    parts = [part for part, count in counts for _ in range(count)]
    written = "".join(
        f'<REUTERS TOPICS="YES" LEWISSPLIT="{part}" NEWID="{max(2, number)}"></REUTERS>'
        for number, part in enumerate(parts, start=1)
    )
    pack(path, {"reut2-000.sgm": written.encode()})
    assert message(DataError, lambda: read_newswires(path)) == refused(path, 21_578, 9603, 3299)


def test_newswires_are_in_order_of_their_number_whatever_the_order_of_the_files(tmp_path):
    path = tmp_path / "reuters21578.tar.gz"
    parts = ["TEST"] * 3299 + ["TRAIN"] * 9603 + ["NOT-USED"] * 8676
    written = [
        f'<REUTERS TOPICS="YES" LEWISSPLIT="{part}" NEWID="{number}"></REUTERS>'
        for number, part in enumerate(parts, start=1)
    ]
    halves = ["".join(written[9000:]).encode(), "".join(written[:9000]).encode()]
    pack(path, {"reut2-001.sgm": halves[0], "reut2-000.sgm": halves[1]})
    newswires = read_newswires(path)
    assert [one.number for one in newswires] == list(range(1, 21_579))
    assert newswires[0].part == "test"


ARCHIVE = "reuters21578.tar.gz"
# Topics and newswires of "R52" in the literature (Cardoso-Cachopo, 2007), the most frequent ones.
PUBLISHED = {"earn": (2840, 1083), "acq": (1596, 696), "crude": (253, 121), "trade": (251, 75)}
PUBLISHED |= {"money-fx": (206, 87), "interest": (190, 81), "ship": (108, 36), "sugar": (97, 25)}


def newswire(number: int, part: str, *topics: str) -> Newswire:
    return Newswire(number=number, part=part, topics=topics, text=f"Wire {number}, {topics}.")


@pytest.fixture
def folders(tmp_path) -> DataFolders:
    """Build a data root with nothing but vectors and a folder for the newswires."""
    put_glove(tmp_path / "root", ["oil", "wire", "reuter"])
    (tmp_path / "root" / "reuters").mkdir()
    return DataFolders(root=tmp_path / "root", cache=tmp_path / "cache")


@pytest.fixture(scope="module")
def real(challenger_data, tmp_path_factory) -> DataFolders:
    """Return the real data root with a cache of this module."""
    return DataFolders(root=challenger_data, cache=tmp_path_factory.mktemp("reuters"))


@pytest.fixture(scope="module")
def loaded(real):
    """Load all of it once."""
    before = sorted(real.root.joinpath("reuters").rglob("*"))
    splits = Reuters().load(real, 0)
    assert sorted(real.root.joinpath("reuters").rglob("*")) == before
    return splits


@pytest.mark.data
def test_modapte_single_has_52_topics_6532_and_2568_newswires(loaded):
    assert loaded.train.tokens.shape == (5532, 400)
    assert loaded.val.tokens.shape == (1000, 400)
    assert loaded.test.tokens.shape == (2568, 400)
    both = torch.cat([loaded.train.targets, loaded.val.targets])
    counts, of_test = torch.bincount(both).tolist(), torch.bincount(loaded.test.targets).tolist()
    assert len(counts) == len(of_test) == Reuters().info.n_classes == 52
    assert min(counts) == min(of_test) == 1
    found = set(zip(counts, of_test, strict=True))
    assert set(PUBLISHED.values()) <= found
    # In alphabetical order: acq, alum, …, zinc.
    assert (counts[0], of_test[0]) == PUBLISHED["acq"]
    assert (counts[-1], of_test[-1]) == (8, 5)


@pytest.mark.data
def test_the_real_files_pass_the_check(real):
    Reuters().check(real)


@pytest.mark.data
def test_a_small_subset_is_drawn_by_size(real):
    splits = Reuters(train_size=100, val_size=50, test_size=50).load(real, 0)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (100, 50, 50)
    assert message(ConfigError, lambda: Reuters(train_per_class=3).load(real, 0)) == (
        "train_per_class must not exceed the 1 samples left of the rarest class, got 3."
    )


def test_newswires_of_one_topic_that_both_parts_have_are_chosen():
    corpus = modapte_single(
        [
            newswire(1, "train", "oil"),
            newswire(2, "train", "gas", "oil"),
            newswire(3, "train"),
            newswire(4, "unused", "tin"),
            newswire(5, "train", "tin"),
            newswire(6, "test", "tin", "gas"),
            newswire(7, "test", "yen"),
            newswire(8, "test", "oil"),
            newswire(9, "train", "gas"),
            newswire(10, "test", "gas"),
            newswire(11, "test", "oil"),
        ]
    )
    # "tin" is alone in training only, "yen" in testing only.
    assert corpus.targets.tolist() == [1, 0, 1, 0, 1]
    assert corpus.n_train == 2
    numbers = [word for word in corpus.words if word.isdigit()]
    assert numbers == ["1", "9", "8", "10", "11"]


def test_an_archive_with_other_counts_is_refused(folders, monkeypatch):
    path = folders.root / "reuters" / ARCHIVE
    pack(path, {"reut2-000.sgm": b""})
    wires = [newswire(1, "train", "oil"), newswire(2, "test", "oil")]
    monkeypatch.setattr(reuters_module, "read_newswires", lambda _: wires)
    assert message(DataError, lambda: Reuters().load(folders, 0)) == (
        f"{path} gives 1 topics, 1 and 1 newswires under rule 'modapte_single', where 52 topics, "
        "6532 and 2568 newswires belong; replace it by a fresh copy."
    )
    assert not folders.cache.exists()


def test_the_rule_of_keras_reads_its_files(folders, monkeypatch):
    home = folders.root / "reuters"
    newswires = np.empty(10, dtype=object)
    newswires[:] = [[1, 2, 1]] * 10
    np.savez(home / "reuters.npz", x=newswires, y=np.arange(10) % 2)
    index = {"oil": 1, "unheard": 2, "wire": 4, "reuter": 5}
    (home / "reuters_word_index.json").write_text(json.dumps(index), encoding="utf-8")
    publish(home, monkeypatch)
    settings = Reuters(rule="keras", val_size=2, length=4)
    said = (
        f"{home / 'reuters.npz'} gives 2 topics, 8 and 2 newswires under rule 'keras', where 46 "
        "topics, 8982 and 2246 newswires belong; replace it by a fresh copy."
    )
    assert message(DataError, lambda: settings.load(folders, 0)) == said
    counts = RuleSizes(n_classes=2, n_train=8, n_test=2)
    monkeypatch.setattr(reuters_module, "RULES", {"keras": counts})
    settings.check(folders)
    splits = settings.load(folders, 0)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (6, 2, 2)
    # Three further on, "oil" would be "wire" and "unheard" would be "reuter".
    assert splits.train.tokens.tolist() == [[1, 0, 1, 0]] * 6
    assert torch.equal(splits.train.vectors[1].double(), torch.from_numpy(vectors_of(["oil"])[0]))


def test_changed_files_are_decoded_anew(folders, monkeypatch):
    wires = [newswire(i, part, "oil") for i, part in enumerate(["train"] * 3 + ["test"])]
    counts = RuleSizes(n_classes=1, n_train=3, n_test=1)
    monkeypatch.setattr(reuters_module, "RULES", {"modapte_single": counts})
    reads = []
    monkeypatch.setattr(
        reuters_module, "read_newswires", lambda path: [reads.append(path), *wires][1:]
    )
    path = folders.root / "reuters" / ARCHIVE
    settings = Reuters(val_size=1)
    for content in (b"one", b"one", b"two"):
        path.write_bytes(content)
        settings.load(folders, 0)
    assert reads == [path] * 2


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_missing_file_is_named(folders, rule):
    name = {"modapte_single": ARCHIVE, "keras": "reuters.npz"}[rule]
    start = f"{folders.root / 'reuters' / name} is missing; put "
    settings = Reuters(rule=rule)
    assert message(DataError, lambda: settings.check(folders)).startswith(start)
    assert message(DataError, lambda: settings.load(folders, 0)).startswith(start)


def test_vectors_are_part_of_the_check(folders, monkeypatch):
    monkeypatch.setattr(reuters_module, "read_newswires", lambda _: [])
    Reuters().check(folders)
    (glove,) = (folders.root / "glove").iterdir()
    glove.unlink()
    assert message(DataError, lambda: Reuters().check(folders)).startswith(
        f"{glove.parent} holds no word vectors, "
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            Reuters(val_size=6532),
            "val_size must leave training samples of the 6532 there are, got 6532.",
        ),
        (Reuters(test_size=2569), "test_size must not exceed the 2568 test samples, got 2569."),
        (
            Reuters(rule="keras", test_size=2247),
            "test_size must not exceed the 2246 test samples, got 2247.",
        ),
        (
            Reuters(rule="keras", val_size=8982),
            "val_size must leave training samples of the 8982 there are, got 8982.",
        ),
    ],
)
def test_sizes_are_checked_before_files(tmp_path, settings, said):
    nowhere = DataFolders(root=None, cache=tmp_path)
    assert message(ConfigError, lambda: settings.check(nowhere)) == said


@pytest.mark.parametrize(("rule", "n_classes"), [("modapte_single", 52), ("keras", 46)])
def test_the_rule_is_known_before_reading_and_named(rule, n_classes):
    settings = Reuters(rule=rule)
    info = settings.info
    assert (info.n_classes, info.input_shape, info.domain) == (n_classes, (100, 400), "text")
    assert settings.label == f"reuters ({rule})"
