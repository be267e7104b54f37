"""Reuters-21578 as it was published: newswires in 22 sgm files."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainables.datasets.tar_archive import archived_files
from trainables.errors import DataError

ARCHIVE = "reuters21578.tar.gz"
# README.txt of the collection, sections I and VIII.B.
_N_NEWSWIRES, _N_TRAIN, _N_TEST = 21_578, 9603, 3299

_NEWSWIRE = re.compile(r"<REUTERS (.*?)>(.*?)</REUTERS>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="(.*?)"')
_TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>")
_TOPIC = re.compile(r"<D>(.*?)</D>")
_TEXT = re.compile(r"<TEXT.*?>(.*?)</TEXT>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newswire:
    """One newswire.

    Attributes:
        number: Its NEWID, from 1 in order of time.
        part: Its part of the ModApte split.
        topics: Its topics, from none to many.
        text: Author, dateline, title and body, as far as it has them.
    """

    number: int
    part: Literal["train", "test", "unused"]
    topics: tuple[str, ...]
    text: str


def read_newswires(archive: Path) -> list[Newswire]:
    """Read all newswires in order of their number.

    No checksum of the archive was published; what is checked is that every newswire is there
    once and that the ModApte split has the sizes that its README states.

    Raises:
        DataError: If the archive is missing, truncated or altered.
    """
    if not archive.is_file():
        raise DataError(
            f"{archive} is missing; put {ARCHIVE} with the 22 sgm files there, or name another "
            "data root with --data-root or CHALLENGER_DATA."
        )
    newswires = [
        newswire
        for name, content in archived_files(archive)
        if name.endswith(".sgm")
        for newswire in parse_newswires(content.decode("latin-1"))
    ]
    newswires.sort(key=lambda one: one.number)
    complete = [one.number for one in newswires] == list(range(1, _N_NEWSWIRES + 1))
    parts = [one.part for one in newswires]
    sizes = (len(newswires), parts.count("train"), parts.count("test"))
    if not complete or sizes != (_N_NEWSWIRES, _N_TRAIN, _N_TEST):
        raise DataError(
            f"{archive} holds {sizes[0]} newswires, {sizes[1]} for training and {sizes[2]} for "
            f"testing, where {_N_NEWSWIRES} with different numbers, {_N_TRAIN} and {_N_TEST} "
            "belong; replace it by a fresh copy."
        )
    return newswires


def parse_newswires(text: str) -> Iterator[Newswire]:
    """Parse the newswires of one sgm file."""
    for newswire in _NEWSWIRE.finditer(text):
        attributes = dict(_ATTRIBUTE.findall(newswire[1]))
        topics, body = _TOPICS.search(newswire[2]), _TEXT.search(newswire[2])
        yield Newswire(
            number=int(attributes["NEWID"]),
            part=_part(attributes["LEWISSPLIT"], attributes["TOPICS"]),
            topics=tuple(_TOPIC.findall(topics[1])) if topics else (),
            # Control characters are written as references, which mean nothing.
            text=html.unescape(_TAG.sub(" ", body[1])) if body else "",
        )


def _part(lewis_split: str, indexed: str) -> Literal["train", "test", "unused"]:
    # The attribute TOPICS says whether an indexer looked for topics, not whether there are any.
    if indexed == "YES" and lewis_split == "TRAIN":
        return "train"
    return "test" if indexed == "YES" and lewis_split == "TEST" else "unused"
