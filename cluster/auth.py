"""Ray's token: where it is, making one, and refusing to listen without it.

Whoever holds the token may run code on the cluster. Ray looks for it in ``RAY_AUTH_TOKEN``, in the
file of ``RAY_AUTH_TOKEN_PATH``, and in ``.ray/auth_token`` of the home folder, in this order; an
empty variable counts as none, and a file's spaces at both ends do not belong to the token.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError

_MODE_VARIABLE: Final = "RAY_AUTH_MODE"
_TOKEN_VARIABLE: Final = "RAY_AUTH_TOKEN"
_PATH_VARIABLE: Final = "RAY_AUTH_TOKEN_PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What everybody shows who may use the cluster.

    Attributes:
        text: The token itself.
        file: Where it stands; None if it is in the environment alone.
    """

    text: str = field(repr=False)
    file: Path | None

    def headers(self) -> Mapping[str, str]:
        """Give the headers of a request to Ray's dashboard or Jobs API."""
        return {"Authorization": f"Bearer {self.text}"}

    def environment(self) -> Mapping[str, str]:
        """Give the variables of a process of Ray's; they say where the token is, if it can be."""
        where = (
            {_TOKEN_VARIABLE: self.text} if self.file is None else {_PATH_VARIABLE: str(self.file)}
        )
        return {_MODE_VARIABLE: "token", **where}


def token_file() -> Path:
    """Give the file in which Ray looks for the token, unless that is in ``RAY_AUTH_TOKEN``."""
    named = os.environ.get(_PATH_VARIABLE)
    return Path(named).absolute() if named else Path.home() / ".ray" / "auth_token"


def find_token() -> Token | None:
    """Look for the token where Ray does; None if there is none yet.

    Raises:
        ClusterError: If the file that should hold it holds nothing, or cannot be read.
    """
    if text := os.environ.get(_TOKEN_VARIABLE):
        return Token(text=text, file=None)
    file = token_file()
    try:
        text = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(
            f"{file} must hold Ray's token, but cannot be read ({_reason(error)}); mend it, or "
            f"name another file by {_PATH_VARIABLE}."
        ) from None
    if not text:
        raise ClusterError(
            f"{file} must hold Ray's token, but is empty; delete it to have one made, or name "
            f"another file by {_PATH_VARIABLE}."
        )
    return Token(text=text, file=file)


def require_token() -> Token:
    """Give the token that is there.

    Raises:
        ClusterError: If there is none.
    """
    require_token_mode()
    if (token := find_token()) is not None:
        return token
    raise ClusterError(
        f"Ray's token must be in {token_file()}, but is not; copy that file from the machine of "
        f"the cluster's head, or name where it is by {_PATH_VARIABLE}."
    )


def ensure_token() -> Token:
    """Give the token that is there, or make one: random, and for its owner alone.

    Of several that make one at the same time all get the same.

    Raises:
        ClusterError: If it can neither be read nor written, or others may read its file.
    """
    require_token_mode()
    found = find_token()
    if found is None:
        _create(token_file())
        found = find_token()
    if found is None:
        raise ClusterError(f"{token_file()} must hold Ray's token, but was deleted meanwhile.")
    _require_private(found)
    return found


def require_token_mode() -> None:
    """Make sure that nothing switches Ray's authentication off.

    Raises:
        ClusterError: If ``RAY_AUTH_MODE`` is set to something else than ``token``.
    """
    mode = os.environ.get(_MODE_VARIABLE, "token")
    if mode.lower() != "token":
        raise ClusterError(
            f"{_MODE_VARIABLE} must be 'token', so that not everybody may run code on the "
            f"cluster, but is {mode!r}; leave it out."
        )


def _create(file: Path) -> None:
    """Put a whole new token in place at once, unless another process was quicker."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(secrets.token_hex(32))
                stream.flush()
                os.fsync(stream.fileno())
            with suppress(FileExistsError):
                os.link(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ClusterError(
            f"{file} must be writable, for Ray's token is made there, but is not "
            f"({_reason(error)}); name another file by {_PATH_VARIABLE}."
        ) from None


def _require_private(token: Token) -> None:
    if token.file is None:
        return
    mode = token.file.stat().st_mode & 0o777
    if mode & 0o077:
        raise ClusterError(
            f"{token.file} must be for its owner alone, because whoever reads Ray's token may run "
            f"code on the cluster, but its mode is {mode:o}; run 'chmod 600 {token.file}'."
        )


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return getattr(error, "strerror", None) or str(error)
