"""One HTTP request for a file, or for its rest, of a server that is not trusted.

Whatever a server answers ends in a :class:`RequestError` whose text has no control characters: an
odd header, another protocol, more bytes than were published, or less than a minimum per second.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urljoin, urlsplit

from pydantic import Field, TypeAdapter, ValidationError
from rich.filesize import decimal

from trainables.names import printable

_CHUNK = 1 << 18
_LONGEST_REASON = 300
_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Answers after which asking again may help: too busy, or a server that stumbles.
_TRANSIENT = frozenset({408, 425, 429, *range(500, 600)})
_CONTENT_LENGTH = re.compile(r"[0-9]{1,15}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15})")
# Beside the content: headers of all answers, sizes of chunks.
_FREE_BYTES = 1 << 20


class RequestError(Exception):
    """A request that brought no file, or not all of it.

    Attributes:
        reason: Why, as a part of a sentence without control characters.
        is_transient: Whether asking again may help.
    """

    def __init__(self, reason: str, *, is_transient: bool = False) -> None:
        """Store the reason."""
        self.reason = printable(reason, _LONGEST_REASON)
        super().__init__(self.reason)
        self.is_transient = is_transient


class RangeError(RequestError):
    """The server does not have the rest that was asked for, or too much: the part is of no use."""


_Validator = Annotated[str, Field(max_length=200, pattern=r"^[\x20-\x7e]+$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVersion:
    """The version of a file at an address, by its validators.

    Attributes:
        url: The address that was asked.
        etag: The server's name of the version.
        last_modified: The server's date of the version.
        size: Size of the whole file in bytes.
    """

    url: str
    etag: _Validator | None = None
    last_modified: _Validator | None = None
    size: Annotated[int, Field(ge=0)] | None = None

    @property
    def validator(self) -> str | None:
        """The validator for ``If-Range``, which must be strong (RFC 9110, 13.1.5)."""
        is_strong = self.etag is not None and not self.etag.startswith("W/")
        return self.etag if is_strong else self.last_modified

    def is_compatible(self, other: FileVersion) -> bool:
        """Return whether nothing that both versions state differs."""
        pairs = (
            (self.url, other.url),
            (self.etag, other.etag),
            (self.last_modified, other.last_modified),
            (self.size, other.size),
        )
        return all(a == b for a, b in pairs if a is not None and b is not None)


VERSIONS = TypeAdapter(FileVersion)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What is accepted of a server.

    Attributes:
        most_bytes: Size of the largest file.
        timeout_s: Longest silence in seconds.
        slowest: Bytes per second, on average over each window, below which it is given up.
        window_s: Length of a window in seconds of waiting for the server.
    """

    most_bytes: int
    timeout_s: float = 30.0
    slowest: float = 1000.0
    window_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResponse:
    """A server's answer, before its content is read.

    Attributes:
        start: Position in the file of the first byte that comes.
        version: What the server states of the file.
        most_bytes: Size of the largest file that is accepted.
    """

    start: int
    version: FileVersion
    stream: http.client.HTTPResponse
    most_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """Read the content as it comes.

        Raises:
            RequestError: If the connection fails; one that is merely closed ends the content.
                Also if more comes than is accepted.
        """
        size, place = self.version.size, self.start
        while size is None or place < size:
            with _network_errors():
                chunk = self.stream.read1(_CHUNK if size is None else min(_CHUNK, size - place))
            if not chunk:
                return
            place += len(chunk)
            if place > self.most_bytes:
                raise RangeError(f"the server sends more than {decimal(self.most_bytes)}")
            yield chunk


@contextmanager
def request_file(
    url: str, part: FileVersion | None, start: int, limits: ServerLimits
) -> Iterator[FileResponse]:
    """Ask for a file, or for its rest where some of it is here.

    Args:
        url: Address.
        part: Version of the file of which there is a part, or None.
        start: Size of that part in bytes.
        limits: What is accepted of the server.

    Raises:
        RangeError: If there is no such rest.
        RequestError: If there is no answer, or another one than the file.
    """
    headers = {"User-Agent": "challenger-study"}
    if part is not None:
        headers["Range"] = f"bytes={start}-"
        if part.validator is not None:
            headers["If-Range"] = part.validator
    with _followed(url, headers, limits) as stream:
        yield _parse_response(url, stream, limits)


@contextmanager
def _followed(
    url: str, headers: dict[str, str], limits: ServerLimits
) -> Iterator[http.client.HTTPResponse]:
    # By hand: urllib reads the whole body of a redirection, and follows to ftp.
    opener, place = _opener(limits), _checked_url(url, previous="")
    for _ in range(_MOST_REDIRECTS + 1):
        request = urllib.request.Request(place, headers=headers)
        try:
            with _network_errors():
                stream = opener.open(request, timeout=limits.timeout_s)
        except _RedirectError as error:
            place = _checked_url(error.location, previous=place)
            continue
        with stream:
            yield stream
            return
    raise RequestError(f"the server redirects more than {_MOST_REDIRECTS} times")


class _RedirectError(Exception):
    def __init__(self, location: str) -> None:
        self.location = location


def _checked_url(url: str, previous: str) -> str:
    try:
        joined = urljoin(previous, url)
        parts = urlsplit(joined)
        is_sound = bool(parts.hostname) and joined.isascii() and joined.isprintable()
        is_sound = is_sound and " " not in joined and parts.port != 0
    except ValueError:
        is_sound, joined, parts = False, url, urlsplit("")
    if not is_sound or parts.scheme not in ("http", "https"):
        what = f"redirects to {joined!r}" if previous else f"would be {joined!r}"
        raise RequestError(f"the server {what}, which is no address of http or https")
    if previous.startswith("https:") and parts.scheme == "http":
        raise RequestError(f"the server redirects from https to {joined!r}, which is not secure")
    return joined


def _parse_response(
    url: str, stream: http.client.HTTPResponse, limits: ServerLimits
) -> FileResponse:
    start, size = 0, _content_length(stream)
    if stream.status == 206:
        said = _one(stream, "Content-Range") or ""
        match = _CONTENT_RANGE.fullmatch(said)
        if match is None:
            raise RangeError("the server sends a part without saying which", is_transient=True)
        start, size = int(match[1]), int(match[2])
    elif stream.status != 200:
        raise RequestError(
            f"the server answers {stream.status} {stream.reason}", is_transient=True
        )
    stated = {"etag": _one(stream, "ETag"), "last_modified": _one(stream, "Last-Modified")}
    try:
        version = VERSIONS.validate_python({"url": url, "size": size, **stated})
    except ValidationError as error:
        name = {"etag": "ETag", "last_modified": "Last-Modified"}[str(error.errors()[0]["loc"][0])]
        raise _odd_header(name, str(error.errors()[0]["input"])) from error
    return FileResponse(start=start, version=version, stream=stream, most_bytes=limits.most_bytes)


def _content_length(stream: http.client.HTTPResponse) -> int | None:
    said = _one(stream, "Content-Length")
    if said is None:
        return None
    if not _CONTENT_LENGTH.fullmatch(said):
        raise _odd_header("Content-Length", said)
    return int(said)


def _one(stream: http.client.HTTPResponse, name: str) -> str | None:
    said = {str(value).strip() for value in stream.headers.get_all(name, ())}
    if len(said) > 1:
        raise _odd_header(name, ", ".join(sorted(said)))
    return said.pop() if said else None


def _odd_header(name: str, value: str) -> RequestError:
    return RequestError(f"the server states an odd {name}: '{printable(value)}'")


@contextmanager
def _network_errors() -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        location = error.headers.get("Location")
        if error.code in _REDIRECTS and location is not None:
            raise _RedirectError(location) from error
        reason = f"the server answers {error.code} {error.reason}"
        if error.code == 416:
            raise RangeError(reason, is_transient=True) from error
        raise RequestError(reason, is_transient=error.code in _TRANSIENT) from error
    except TimeoutError as error:
        raise RequestError("the server fell silent", is_transient=True) from error
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        # Another host in the place of the publisher's stays there.
        is_transient = not isinstance(cause, ssl.SSLCertVerificationError)
        raise RequestError(f"no connection ({_said(cause)})", is_transient=is_transient) from error
    except (ValueError, OverflowError) as error:
        # Numbers, names and codes of an answer that Python's own parsers choke on.
        raise RequestError(f"the server's answer cannot be read ({_said(error)})") from error


def _said(cause: BaseException | str) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


class _PacedStream(io.RawIOBase):
    """All bytes that come over one connection: not too many, and not too slowly."""

    def __init__(
        self, raw: io.RawIOBase, limits: ServerLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._raw, self._limits, self._clock = raw, limits, clock
        # Half as much again is more than any server's framing of its chunks needs.
        self._left = limits.most_bytes + limits.most_bytes // 2 + _FREE_BYTES
        self._waited, self._came = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]
        began = self._clock()
        count = self._raw.readinto(buffer)
        # Time in which nothing was asked of the server, such as of a suspended process, is free.
        self._waited += self._clock() - began
        self._came += count or 0
        self._left -= count or 0
        if self._left < 0:
            raise RangeError(f"the server sends more than {decimal(self._limits.most_bytes)}")
        if count and self._waited >= self._limits.window_s:
            if self._came < self._limits.slowest * self._waited:
                least = decimal(int(self._limits.slowest))
                raise RequestError(f"the server sends less than {least}/s", is_transient=True)
            self._waited, self._came = 0.0, 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _opener(limits: ServerLimits) -> urllib.request.OpenerDirector:
    # Neither ftp nor files nor redirections, which urllib's own opener knows.
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, **settings: object) -> None:
            super().__init__(sock, **settings)  # type: ignore[arg-type]
            self.fp.close()
            raw = sock.makefile("rb", buffering=0)
            self.fp = io.BufferedReader(_PacedStream(raw, limits))

    class Connection(http.client.HTTPConnection):
        response_class = Response

    class SecureConnection(http.client.HTTPSConnection):
        response_class = Response

    class Http(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Connection, request)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(SecureConnection, request)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        Http(),
        Https(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
