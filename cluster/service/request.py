"""One question to a server of the service over HTTP: never through a proxy."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# A proxy of the environment is not for this machine, and must not see the token.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said.

    Attributes:
        status: The status of HTTP; 0 if nobody answered.
        content: Its body, or why nobody answered.
    """

    status: int
    content: str

    def json(self) -> Any:  # noqa: ANN401 (JSON)
        """Read the body."""
        return json.loads(self.content)

    @property
    def reason(self) -> str:
        """What came, for a message."""
        said = " ".join(self.content.split())[:200]
        return f"status {self.status}: {said}" if self.status else said


def ask(url: str, headers: Mapping[str, str] | None = None, timeout_s: float = 3.0) -> Answer:
    """Ask a server; a refusal and no answer at all are answers too."""
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        with _OPENER.open(request, timeout=timeout_s) as response:
            return Answer(status=response.status, content=response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(status=error.code, content=error.read().decode(errors="replace"))
    except urllib.error.URLError as error:
        return Answer(status=0, content=f"no answer ({error.reason})")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Answer(status=0, content=f"no answer ({error})")
