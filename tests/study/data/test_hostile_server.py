"""Downloads from a server that wants to harm: one message each, nothing stays."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from study.data import DownloadError
from tests.study.data.conftest import CONTENT, PATH

N = len(CONTENT)
BOUND = 200_000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
Answer = Callable[[socket.socket], None]


def reply(*parts: bytes) -> Answer:
    """Send some bytes and close."""
    return lambda peer: peer.sendall(b"".join(parts))


def headers(*lines: bytes, content: bytes = b"x" * 100) -> Answer:
    return reply(OK, *(line + b"\r\n" for line in lines), b"\r\n", content)


def endless(first: bytes, again: bytes, pause_s: float = 0.0) -> Answer:
    """Send something again and again until the client leaves."""

    def answer(peer: socket.socket) -> None:
        peer.sendall(first)
        while True:
            peer.sendall(again)
            time.sleep(pause_s)

    return answer


def redirect(location: bytes, content: bytes = b"") -> Answer:
    return reply(b"HTTP/1.1 302 Found\r\nLocation: ", location, b"\r\n\r\n", content)


DRIP_S = 0.02
TOO_MUCH = "the server sends more than 200.0 kB"
TOO_SLOW = "the server sends less than 50.0 kB/s"
NO_HTTP = "which is no address of http or https"
HOSTILE: dict[str, tuple[Answer, str]] = {
    "endless content": (endless(OK + b"\r\n", bytes(1 << 16)), TOO_MUCH),
    "endless chunks": (
        endless(CHUNKED, b"4000\r\n" + bytes(1 << 14) + b"\r\n"),
        TOO_MUCH,
    ),
    "endless trailer": (
        endless(CHUNKED + b"0\r\n", b"a: b\r\n" * 1000),
        TOO_MUCH,
    ),
    "endless 100": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), TOO_MUCH),
    "endless headers": (endless(OK, b"A: b\r\n" * 1000), "got more than 100 headers"),
    "endless header": (endless(OK + b"A: ", bytes(1 << 16)), "got more than 65536 bytes"),
    "endless redirection": (
        endless(b"HTTP/1.1 302 Found\r\nLocation: ftp://x/y\r\n\r\n", bytes(1 << 16)),
        NO_HTTP,
    ),
    "slow content": (endless(OK + b"\r\n", b"x", DRIP_S), TOO_SLOW),
    "slow headers": (endless(b"", b"H", DRIP_S), TOO_SLOW),
    "slow chunk size": (
        endless(CHUNKED, b"0", DRIP_S),
        TOO_SLOW,
    ),
    "superscript length": (headers(b"Content-Length: \xb2"), "an odd Content-Length: '²'"),
    "long length": (headers(b"Content-Length: " + b"9" * 5000), "an odd Content-Length: '999"),
    "negative length": (headers(b"Content-Length: -1"), "an odd Content-Length: '-1'"),
    "two lengths": (
        headers(b"Content-Length: 5", b"Content-Length: 6"),
        "an odd Content-Length: '5, 6'",
    ),
    "large length": (
        headers(b"Content-Length: 200001"),
        "the server offers a file of 200001 bytes, where 200.0 kB at most belong",
    ),
    "escape in validator": (headers(b'ETag: "\x1b[31m"'), "an odd ETag: '\"\\x1b[31m\"'"),
    "folded validator": (headers(b"ETag: a", b" Range: b"), "an odd ETag: "),
    "long date": (headers(b"Last-Modified: " + b"1" * 300), "an odd Last-Modified: '111"),
    "part of unknown": (
        reply(b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-1/\xb2\r\n\r\nxx"),
        "the server sends a part without saying which",
    ),
    "part of many digits": (
        reply(b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-1/" + b"9" * 5000 + b"\r\n\r\nxx"),
        "the server sends a part without saying which",
    ),
    "escape in reason": (
        reply(b"HTTP/1.1 404 \x1b[31mred\x07\r\n\r\n"),
        "the server answers 404 \\x1b[31mred\\x07",
    ),
    "no HTTP": (reply(b"\x1b]0;title\x07\r\n\r\n"), "\\x1b]0;title\\x07"),
    "odd chunk size": (
        headers(b"Transfer-Encoding: chunked", content=b"\xb2\r\nx"),
        "no connection (IncompleteRead",
    ),
    "redirect to ftp": (redirect(b"ftp://127.0.0.1/x"), NO_HTTP),
    "redirect to a file": (redirect(b"file:///etc/passwd"), NO_HTTP),
    "redirect to data": (redirect(b"data:text/plain,x"), NO_HTTP),
    "redirect to half a host": (redirect(b"http://[::1/x"), NO_HTTP),
    "redirect to a wrong port": (redirect(b"http://127.0.0.1:99999/x"), NO_HTTP),
    "redirect with an escape": (redirect(b"http://127.0.0.1/\x1b[31m"), NO_HTTP),
    "redirect with a line": (redirect(b"http://127.0.0.1/\r\n x"), NO_HTTP),
    "redirect to itself": (redirect(b"/again"), "the server redirects more than 10 times"),
}


@pytest.fixture
def hostile() -> Iterator[Callable[[Answer], str]]:
    """Answer every connection in one way; return the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threads = []

        def serve(answer: Answer) -> str:
            thread = threading.Thread(target=_serve, args=(server, answer))
            thread.start()
            threads.append(thread)
            return f"http://127.0.0.1:{server.getsockname()[1]}"

        yield serve
        server.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def _serve(server: socket.socket, answer: Answer) -> None:
    while True:
        try:
            peer = server.accept()[0]
        except OSError:
            return
        with peer, suppress(OSError):
            peer.recv(1 << 16)
            answer(peer)
            peer.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_one_message(name, setup, hostile):
    answer, reason = HOSTILE[name]
    url = f"{hostile(answer)}/{PATH}"
    setup.change(urls=(url,), size=None, bound=BOUND, checksum=None)
    with pytest.raises(DownloadError) as caught:
        setup.fetch(tries=2, slowest=50_000, window_s=0.2)
    said = str(caught.value)
    assert said.startswith(f"{setup.target} could not be fetched; {url}: ")
    assert reason in said
    assert said.isprintable()
    assert len(said) < 1000
    assert not setup.target.exists()
    assert not setup.part.exists() or reason == TOO_SLOW


def test_more_than_was_published_is_never_kept(setup, hostile):
    url = f"{hostile(HOSTILE['endless content'][0])}/{PATH}"
    setup.change(urls=(url,), size=1000)
    with pytest.raises(DownloadError, match=r"the server sends more than 1.0 kB"):
        setup.fetch(tries=1)
    assert setup.names() == []


def test_a_slow_server_is_taken_up_where_it_was_left(setup):
    setup.server.replies.append(setup.server.always.__class__(chunk=1000, pause_s=0.05))
    setup.fetch(slowest=100_000, window_s=0.2)
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges[1].startswith("bytes=")
    assert setup.user.said[1] == (
        "set/numbers.gz: the server sends less than 100.0 kB/s; trying again in 1 s."
    )
