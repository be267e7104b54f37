"""An MLflow that answers with errors, or late, and records the requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_S = 10.0


@dataclass(slots=True, kw_only=True)
class FaultyServer:
    """The port of a server, the paths of its requests, and whether answers take ten seconds."""

    port: int = 0
    paths: list[str] = field(default_factory=list)
    is_slow: bool = False


@contextmanager
def faulty_server(*, is_slow: bool) -> Iterator[FaultyServer]:
    """Run one on loopback."""
    faulty = FaultyServer(is_slow=is_slow)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            faulty.paths.append(self.path)
            if faulty.is_slow:
                time.sleep(SLOW_S)
            self.send_error(500, "broken")

        do_POST = do_GET  # noqa: N815 (the base class looks for it)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    faulty.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield faulty
    finally:
        server.shutdown()
        server.server_close()
