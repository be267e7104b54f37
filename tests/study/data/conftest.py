"""Fixtures of the downloads: a server, a published file, and a user who watches."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from study.data import fetch
from study.data.http_download import RetryPolicy
from tests.study.data.file_server import FileServer, Published, serving
from trainables.datasets.sources import Checksum, SourceFile

CONTENT = gzip.compress(random.Random(0).randbytes(300_000), mtime=0)
OTHER = gzip.compress(random.Random(1).randbytes(310_000), mtime=0)
PATH = "set/numbers.gz"


def md5(content: bytes) -> Checksum:
    return Checksum(algorithm="md5", digest=hashlib.md5(content).hexdigest())


@dataclass(slots=True)
class RecordingProgress:
    """Takes what is said, and looks at each moment for half a file under the final name."""

    target: Path
    said: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    moved_to: list[int] = field(default_factory=list)
    on_move: Callable[[int], None] = lambda _: None
    is_compatible: tuple[bytes, ...] = ()

    def log(self, text: str) -> None:
        self.look()
        self.said.append(text)

    def start(self, *_: object) -> None:
        self.look()

    def update(self, done: int) -> None:
        self.look()
        self.moved_to.append(done)
        self.on_move(done)

    def finish(self) -> None:
        self.look()

    def look(self) -> None:
        assert not self.target.exists() or self.target.read_bytes() in self.is_compatible


@dataclass(slots=True)
class DownloadSetup:
    """A data root and a server that publishes one file for it."""

    root: Path
    server: FileServer
    source: SourceFile
    user: RecordingProgress

    @property
    def target(self) -> Path:
        return self.user.target

    @property
    def part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def published(self) -> Published:
        return self.server.files[PATH]

    def publish(self, content: bytes, **given: object) -> None:
        self.server.files[PATH] = Published(content=content, **given)

    def fetch(self, **retry_policy: object) -> None:
        given = {"sleep": self.user.waited.append, "timeout_s": 20.0, **retry_policy}
        self.user.is_compatible = (*self.user.is_compatible, CONTENT, OTHER)
        fetch([self.source], self.root, self.user, RetryPolicy(**given))

    def change(self, **given: object) -> None:
        self.source = replace(self.source, **given)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.target.parent.iterdir())


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as running:
        yield running


@pytest.fixture
def setup(server, tmp_path) -> DownloadSetup:
    root = tmp_path / "data"
    server.files[PATH] = Published(content=CONTENT)
    source = SourceFile(
        path=PATH, urls=(server.url(PATH),), size=len(CONTENT), checksum=md5(CONTENT)
    )
    return DownloadSetup(
        root=root, server=server, source=source, user=RecordingProgress(root / PATH)
    )
