"""Messages of Ray's and other libraries' errors, in words that say what came."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 300
# Messages of Ray's clients, and what they mean for a command.
_MEANINGS: Final = (
    (r"Could not find any running Ray instance", "no Ray runs on this machine"),
    (
        r"(the authentication token is invalid|InvalidAuthToken|Unauthenticated)",
        "it refuses this token; take the one in ~/.ray/auth_token of the account that started it",
    ),
    (
        r"no authentication token was found",
        "there is no token; copy ~/.ray/auth_token of the account that started it",
    ),
    (r"(Failed|Unable) to connect to GCS", "its head does not answer"),
    (r"timed out during startup", "it took more than half a minute to start"),
)
_VERSIONS: Final = re.compile(
    r"Version mismatch.*?Ray: (?P<ray>[\w.]+).*?Python: (?P<python>[\w.]+)"
    r".*?Ray: (?P<own_ray>[\w.]+).*?Python: (?P<own_python>[\w.]+)"
)
# As requests and urllib3 print a failed connection.
_CAUSE: Final = re.compile(r"Max retries exceeded.*?(?P<cause>\[Errno -?\d+\] [^'\")]+|timed out)")
_REPR: Final = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>:? ?")


def plain_reason(error: BaseException | str) -> str:
    """Return why a call failed: one line, without representations of objects.

    >>> plain_reason("<urllib3.connection.HTTPConnection object at 0x7f01>: refused")
    'refused'
    """
    text = " ".join(str(error).split())
    if found := _VERSIONS.search(text):
        theirs, ours = (
            f"Ray {found[f'{own}ray']} with Python {found[f'{own}python']}" for own in ("", "own_")
        )
        return f"it runs {theirs}, and this program {ours}; install the same here or there"
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, text):
            return meaning
    if cause := _CAUSE.search(text):
        return cause["cause"]
    plain = _REPR.sub("", text)
    return plain[:_LONGEST] or type(error).__name__
