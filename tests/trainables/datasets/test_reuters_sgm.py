from __future__ import annotations

import pytest

from tests.trainables.datasets.small_texts import pack
from trainables.datasets.reuters_sgm import Newswire, parse_newswires, read_newswires
from trainables.errors import DataError

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


def message(call) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


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
    assert message(lambda: read_newswires(path)) == (
        f"{path} is missing; put reuters21578.tar.gz with the 22 sgm files there, or name another "
        "data root with --data-root or CHALLENGER_DATA."
    )


def test_an_archive_that_lacks_newswires_is_refused(tmp_path):
    path = tmp_path / "reuters21578.tar.gz"
    pack(path, {"reut2-000.sgm": SGM.encode(), "README.txt": SGM.encode()})
    assert message(lambda: read_newswires(path)) == refused(path, 5, 1, 1)


def test_a_newswire_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "reuters21578.tar.gz"
    counts = [("TRAIN", 9603), ("TEST", 3299), ("NOT-USED", 8676)]
    parts = [part for part, count in counts for _ in range(count)]
    written = "".join(
        f'<REUTERS TOPICS="YES" LEWISSPLIT="{part}" NEWID="{max(2, number)}"></REUTERS>'
        for number, part in enumerate(parts, start=1)
    )
    pack(path, {"reut2-000.sgm": written.encode()})
    assert message(lambda: read_newswires(path)) == refused(path, 21_578, 9603, 3299)


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
