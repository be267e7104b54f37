"""Ray's token, whose holders may run code on the cluster: found, created and required.

Ray looks for it in ``RAY_AUTH_TOKEN``, in the file of ``RAY_AUTH_TOKEN_PATH``, and in
``.ray/auth_token`` of the home folder, in this order; an empty variable counts as none, and spaces
at both ends of a file do not belong to the token.
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
    """The token, and its file; None if it is in the environment alone."""

    text: str = field(repr=False)
    file: Path | None

    def headers(self) -> Mapping[str, str]:
        """Return the headers of a request to Ray's dashboard or Jobs API."""
        return {"Authorization": f"Bearer {self.text}"}

    def environment(self) -> Mapping[str, str]:
        """Return the variables of Ray's processes: the token's file if it has one, else itself."""
        where = (
            {_TOKEN_VARIABLE: self.text} if self.file is None else {_PATH_VARIABLE: str(self.file)}
        )
        return {_MODE_VARIABLE: "token", **where}


def token_file() -> Path:
    """Return the file in which Ray looks for the token, unless ``RAY_AUTH_TOKEN`` is set."""
    named = os.environ.get(_PATH_VARIABLE)
    return Path(named).absolute() if named else Path.home() / ".ray" / "auth_token"


def find_token() -> Token | None:
    """Return the token as Ray finds it; None if there is none yet.

    Raises:
        ClusterError: If its file is empty or cannot be read.
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
            f"{file} must hold Ray's token, but cannot be read ({_reason(error)}); repair it, or "
            f"name another file by {_PATH_VARIABLE}."
        ) from None
    if not text:
        raise ClusterError(
            f"{file} must hold Ray's token, but is empty; delete it to create one, or name "
            f"another file by {_PATH_VARIABLE}."
        )
    return Token(text=text, file=file)


def require_token() -> Token:
    """Return the existing token.

    Raises:
        ClusterError: If there is none.
    """
    require_token_mode()
    if (token := find_token()) is not None:
        return token
    raise ClusterError(
        f"Ray's token must be in {token_file()}, but is not; copy that file from the cluster's "
        f"head, or name its path by {_PATH_VARIABLE}."
    )


def ensure_token() -> Token:
    """Return the existing token, or create one: random, and readable by its owner alone.

    Concurrent calls return the same token.

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
    """Raise :class:`ClusterError` if ``RAY_AUTH_MODE`` switches Ray's authentication off."""
    mode = os.environ.get(_MODE_VARIABLE, "token")
    if mode.lower() != "token":
        raise ClusterError(
            f"{_MODE_VARIABLE} must be 'token', because every client could run code on the "
            f"cluster otherwise, but is {mode!r}; leave it out."
        )


def _create(file: Path) -> None:
    """Write a new token atomically, unless another process was first."""
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
            f"{file} must be writable to create Ray's token, but is not "
            f"({_reason(error)}); name another file by {_PATH_VARIABLE}."
        ) from None


def _require_private(token: Token) -> None:
    if token.file is None:
        return
    mode = token.file.stat().st_mode & 0o777
    if mode & 0o077:
        raise ClusterError(
            f"{token.file} must be readable by its owner alone, because Ray's token allows to "
            f"run code on the cluster, but its mode is {mode:o}; run 'chmod 600 {token.file}'."
        )


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return getattr(error, "strerror", None) or str(error)
