"""One request for a file, or for the rest of one."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_CHUNK = 1 << 18
# Answers after which asking again may help: too busy, or a server that stumbles.
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class RequestError(Exception):
    """A request that brought no file, or not all of it.

    Attributes:
        reason: Why, as a part of a sentence.
        may_pass: Whether asking again may help.
    """

    def __init__(self, reason: str, *, may_pass: bool = False) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason
        self.may_pass = may_pass


class RangeError(RequestError):
    """The server does not have the rest that was asked for: the part here is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What tells one version of a file at an address from another.

    Attributes:
        url: The address that was asked.
        etag: The server's name of the version.
        last_modified: The server's date of the version.
        size: Size of the whole file in bytes.
    """

    url: str
    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None

    @property
    def condition(self) -> str | None:
        """What ``If-Range`` takes, for which a weak name is too weak (RFC 9110, 13.1.5)."""
        is_strong = self.etag is not None and not self.etag.startswith("W/")
        return self.etag if is_strong else self.last_modified

    def may_be(self, other: Version) -> bool:
        """Tell whether nothing that both versions state differs."""
        pairs = (
            (self.url, other.url),
            (self.etag, other.etag),
            (self.last_modified, other.last_modified),
            (self.size, other.size),
        )
        return all(a == b for a, b in pairs if a is not None and b is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A server's answer, before its content is read.

    Attributes:
        start: Position in the file of the first byte that comes.
        version: What the server states of the file.
    """

    start: int
    version: Version
    stream: http.client.HTTPResponse

    def chunks(self) -> Iterator[bytes]:
        """Read the content as it comes.

        Raises:
            RequestError: If the connection fails; one that is merely closed ends the content.
        """
        left = None if self.version.size is None else self.version.size - self.start
        while left is None or left > 0:
            with _network_errors():
                chunk = self.stream.read1(_CHUNK if left is None else min(_CHUNK, left))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk


@contextmanager
def ask(url: str, part: Version | None, start: int, timeout_s: float) -> Iterator[Answer]:
    """Ask for a file, or for its rest where some of it is here.

    Args:
        url: Address.
        part: Version of the file of which there is a part, or None.
        start: Size of that part in bytes.
        timeout_s: Longest silence of the server in seconds.

    Raises:
        RangeError: If there is no such rest.
        RequestError: If there is no answer, or another one than the file.
    """
    headers = {"User-Agent": "challenger-study"}
    if part is not None:
        headers["Range"] = f"bytes={start}-"
        if part.condition is not None:
            headers["If-Range"] = part.condition
    request = urllib.request.Request(url, headers=headers)
    with _network_errors():
        stream = urllib.request.urlopen(request, timeout=timeout_s)
    with stream:
        yield _understood(url, stream)


def _understood(url: str, stream: http.client.HTTPResponse) -> Answer:
    said, length = stream.headers, stream.headers.get("Content-Length", "")
    start, size = 0, int(length) if length.isdigit() else None
    if stream.status == 206:
        match = _CONTENT_RANGE.fullmatch(said.get("Content-Range", ""))
        if match is None:
            raise RangeError("the server sends a part without saying which", may_pass=True)
        start, size = int(match[1]), int(match[2])
    elif stream.status != 200:
        raise RequestError(f"the server answers {stream.status} {stream.reason}", may_pass=True)
    version = Version(url=url, etag=said["ETag"], last_modified=said["Last-Modified"], size=size)
    return Answer(start=start, version=version, stream=stream)


@contextmanager
def _network_errors() -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the server answers {error.code} {error.reason}"
        if error.code == 416:
            raise RangeError(reason, may_pass=True) from error
        raise RequestError(reason, may_pass=error.code in _PASSING) from error
    except TimeoutError as error:
        raise RequestError("the server fell silent", may_pass=True) from error
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        # Another host in the place of the publisher's stays there.
        may_pass = not isinstance(cause, ssl.SSLCertVerificationError)
        raise RequestError(f"no connection ({_said(cause)})", may_pass=may_pass) from error


def _said(cause: BaseException | str) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__
