"""An MLflow that answers with errors, or late; counts who asks it what."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_S = 10.0


@dataclass(slots=True, kw_only=True)
class Rude:
    """What a server does, and what it was asked.

    Attributes:
        port: Where it listens.
        asked: Paths of the requests.
        is_slow: Whether an answer takes ten seconds.
    """

    port: int = 0
    asked: list[str] = field(default_factory=list)
    is_slow: bool = False


@contextmanager
def rude_server(*, is_slow: bool) -> Iterator[Rude]:
    """Run one on loopback."""
    rude = Rude(is_slow=is_slow)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            rude.asked.append(self.path)
            if rude.is_slow:
                time.sleep(SLOW_S)
            self.send_error(500, "out of order")

        do_POST = do_GET  # noqa: N815 (the base class looks for it)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    rude.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield rude
    finally:
        server.shutdown()
        server.server_close()
