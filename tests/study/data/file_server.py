"""A real HTTP server on this machine that misbehaves as it is told, request by request."""

from __future__ import annotations

import http.server
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(slots=True, kw_only=True)
class Published:
    """A file of the server; its version may change."""

    content: bytes
    etag: str | None = '"first"'
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came."""

    path: str
    range: str | None
    if_range: str | None
    encoding: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How one request is answered; by default as HTTP says.

    Attributes:
        status: Answer with this code and nothing else.
        cut_after: Close the connection after so many bytes of content.
        stall_s: Fall silent for so long before the connection is closed.
        ignores_range: Send the whole file whatever was asked for.
        ignores_condition: Send the rest even of a file that changed.
        says_length: Whether the length of the content is said.
        content_range: Say this of the part that is sent.
        chunk: Send so many bytes at a time.
        pause_s: Rest so long after each.
        redirect: Send the client to this path.
    """

    status: int | None = None
    cut_after: int | None = None
    stall_s: float = 0.0
    ignores_range: bool = False
    ignores_condition: bool = False
    says_length: bool = True
    content_range: str | None = None
    chunk: int = 16_384
    pause_s: float = 0.0
    redirect: str | None = None


Event: TypeAlias = Callable[[], None]


@dataclass(slots=True)
class FileServer:
    """The files, how the next requests are answered, and what came."""

    address: str = ""
    files: dict[str, Published] = field(default_factory=dict)
    replies: deque[Reply] = field(default_factory=deque)
    always: Reply = field(default_factory=Reply)
    before: deque[Event] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return f"{self.address}/{path}"

    @property
    def ranges(self) -> list[str | None]:
        """Return what each request asked for."""
        return [seen.range for seen in self.seen]


@contextmanager
def serving() -> Iterator[FileServer]:
    """Run a server."""
    state = FileServer()

    class Handler(_Handler):
        server_state = state

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server_state: FileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        state = self.server_state
        if state.before:
            state.before.popleft()()
        path = self.path.removeprefix("/")
        state.seen.append(
            Seen(
                path=path,
                range=self.headers["Range"],
                if_range=self.headers["If-Range"],
                encoding=self.headers["Accept-Encoding"],
            )
        )
        reply = state.replies.popleft() if state.replies else state.always
        if reply.redirect is not None:
            self.send_response(302)
            self.send_header("Location", state.url(reply.redirect))
            self.end_headers()
        elif reply.status is not None or path not in state.files:
            self.send_error(reply.status or 404)
        else:
            self._send(state.files[path], reply)

    def _send(self, file: Published, reply: Reply) -> None:
        start = self._start(file, reply)
        if start is not None and start >= len(file.content):
            self.send_error(416)
            return
        content = file.content[start or 0 :]
        self.send_response(200 if start is None else 206)
        last = len(file.content) - 1
        said = f"bytes {start}-{last}/{last + 1}"
        for name, value in {
            "ETag": file.etag,
            "Last-Modified": file.last_modified,
            "Content-Length": str(len(content)) if reply.says_length else None,
            "Content-Range": None if start is None else reply.content_range or said,
        }.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self._write(content, reply)

    def _start(self, file: Published, reply: Reply) -> int | None:
        asked, validator = self.headers["Range"], self.headers["If-Range"]
        is_same = validator in (None, file.etag, file.last_modified)
        if asked is None or reply.ignores_range or not (is_same or reply.ignores_condition):
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _write(self, content: bytes, reply: Reply) -> None:
        end = len(content) if reply.cut_after is None else reply.cut_after
        try:
            for position in range(0, end, reply.chunk):
                self.wfile.write(content[position : min(position + reply.chunk, end)])
                time.sleep(reply.pause_s)
            time.sleep(reply.stall_s)
        except OSError:
            pass  # the client went away
