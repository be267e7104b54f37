"""The application of MLflow's server: every path requires a password, and artifacts are bounded.

``mlflow server --app-name challenger`` finds :func:`create_app` by this package's entry point.
It is MLflow's own ``basic-auth`` behind one more check, which covers all paths: pages, files,
``/version`` and routes that MLflow adds later. The health check alone is public.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hmac
import os
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import anyio.to_thread

from cluster.mlflow_server import LOGIN_PATH, LOGIN_VARIABLE, OWNER

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_API: Final = r"/(?:ajax-)?api/\d+\.\d+/"
# It runs commands on the server's machine.
_CLOSED: Final = re.compile(rf"{_API}mlflow/assistant(/|$)")
# Requests that delete, or make the server call other hosts.
_ADMINS: Final = re.compile(
    rf"{_API}.*/(delete|delete-runs|delete-traces|restore)$"
    rf"|{_API}(mlflow/)?(webhooks|gateway|gateway-proxy|jobs|scorer|genai|issues|demo)(/|$)"
    rf"|{_API}mlflow/(prompt-optimization|runs/create-promptlab-run)(/|$)"
    r"|/gateway(/|$)"
)
_LABEL: Final = re.compile(r"/(tags|delete-tag|alias)(/|$)")
# The fragment holds MLflow's page; the address without the password is the one that is kept.
_LOGIN_PAGE: Final = b"""<!doctype html><meta charset="utf-8"><title>MLflow</title>
<script>location.replace(location.origin + "/" + location.hash)</script>
<noscript><a href="/">MLflow</a></noscript>
"""


class _User(Protocol):
    @property
    def is_admin(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An ASGI application that forwards the requests of known users.

    Attributes:
        app: MLflow's own application.
        authenticate: Returns the user of a name and a password, or None.
        login: Password of the user ``owner``; empty for none.
        admin: Name and password of the user that replaces ``owner``.
    """

    app: _App
    authenticate: Callable[[str, str], _User | None]
    login: str = field(repr=False)
    admin: tuple[str, str] = field(repr=False)

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["path"] == "/health" and scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        headers = {name.lower(): text.decode("latin-1") for name, text in scope["headers"]}
        if _is_foreign(headers):
            await _refuse(send, 403, "Requests of other sites are refused.")
            return
        given = self._replaced(_credentials(headers.get(b"authorization", "")))
        user = None if given is None else await self._user(*given)
        if given is None or user is None:
            await _refuse(send, 401, "MLflow asks for a user and a password.")
            return
        path = re.sub("/+", "/", scope["path"])
        if path == LOGIN_PATH:
            await _send(send, 200, _LOGIN_PAGE, {"content-type": "text/html; charset=utf-8"})
        elif _CLOSED.match(path) or not (user.is_admin or _may_all(scope["method"], path)):
            await _refuse(send, 403, "This is not for this user.")
        else:
            await self.app(_authorized(scope, *given), receive, send)

    def _replaced(self, given: tuple[str, str] | None) -> tuple[str, str] | None:
        """Replace the owner's credentials of this start by the administrator's."""
        if given is None or given[0] != OWNER or not self.login:
            return given
        same = hmac.compare_digest(given[1].encode(), self.login.encode())
        return self.admin if same else given

    async def _user(self, name: str, password: str) -> _User | None:
        # A password that is not known yet costs a slow hash.
        return await anyio.to_thread.run_sync(self.authenticate, name, password)


def _credentials(header: str) -> tuple[str, str] | None:
    scheme, _, code = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = (
            base64.b64decode(code.strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def _is_foreign(headers: Mapping[bytes, str]) -> bool:
    """Return whether a page of another site or port made a browser send this request.

    A browser adds a known password to such requests too.
    """
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
        return True
    site, mode = headers.get(b"sec-fetch-site", "none"), headers.get(b"sec-fetch-mode", "navigate")
    return site not in ("none", "same-origin") and mode != "navigate"


def _may_all(method: str, path: str) -> bool:
    """Return whether every user may send this request about objects of their own."""
    is_label = _LABEL.search(path) is not None
    return not _ADMINS.match(path) and (method != "DELETE" or is_label)


def _authorized(scope: _Scope, name: str, password: str) -> _Scope:
    """Return a request with exactly the credentials that were checked."""
    kept = [each for each in scope["headers"] if each[0].lower() != b"authorization"]
    code = base64.b64encode(f"{name}:{password}".encode())
    return {**scope, "headers": [*kept, (b"authorization", b"Basic " + code)]}


async def _refuse(send: _Send, status: int, reason: str) -> None:
    challenge = {"www-authenticate": 'Basic realm="mlflow"'} if status == 401 else {}
    headers = {"content-type": "text/plain; charset=utf-8", **challenge}
    await _send(send, status, f"{reason}\n".encode(), headers)


async def _send(send: _Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    safe = {
        "cache-control": "no-store",
        "content-length": str(len(body)),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    raw = [(name.encode(), text.encode()) for name, text in {**headers, **safe}.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def create_app() -> Access:
    """Return the application of one worker, from the environment of :mod:`cluster.mlflow_server`.

    Raises:
        KeyError: If a variable of users or artifacts is missing.
    """
    from mlflow.server import auth
    from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR

    from cluster.bounded_artifacts import bind_artifacts

    bind_artifacts(os.environ[ARTIFACTS_DESTINATION_ENV_VAR], auth.sender_is_admin)
    # One worker at a time creates MLflow's tables of users.
    with Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"]).open("rb") as config:
        fcntl.flock(config, fcntl.LOCK_EX)
        app = auth.create_app()
    settings = auth.auth_config
    return Access(
        app=app,
        authenticate=auth._authenticate_cached,
        login=os.environ.pop(LOGIN_VARIABLE, ""),
        admin=(settings.admin_username or "", settings.admin_password or ""),
    )
