"""HTTP requests from a host, by Python's own client: ``python http_requests.py``.

Reads requests from standard input, one JSON per line with ``url``, ``headers`` and ``content``,
and writes a status per line; 0 where no server answers.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any


def status_of(sent: dict[str, Any]) -> int:
    """Send a request and return the status."""
    content = sent.get("content")
    request = urllib.request.Request(
        sent["url"],
        headers={"Content-Type": "application/json", **sent.get("headers", {})},
        data=None if content is None else json.dumps(content).encode(),
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


if __name__ == "__main__":
    for line in sys.stdin:
        print(status_of(json.loads(line)), flush=True)
