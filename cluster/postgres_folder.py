"""The folder of a PostgreSQL server of one's own: databases, login and log.

``data/`` holds the databases, ``login.json`` user, password and port for its owner alone, and
``server.log`` what the server says. PostgreSQL refuses to run as root; root lets Debian's user
``postgres`` run it and gives the folder to that user, who must be able to reach it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError
from cluster.free_port import free_port
from cluster.postgres_programs import account, find_programs, surroundings

_USER: Final = "challenger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who may connect, and where on 127.0.0.1.

    Attributes:
        user: The one user.
        password: Its password; of letters, digits, ``-`` and ``_``, so that a URL can hold it.
        port: The server's, the same after each start.
    """

    user: str
    password: str = field(repr=False)
    port: int


def create_postgres(folder: Path) -> None:
    """Make a server with one user, a random password and a free port; takes a second or two.

    Args:
        folder: Where it is kept: an empty folder, or one that is made. Its owner and mode change.

    Raises:
        ClusterError: If there is no PostgreSQL, or the folder holds something or is out of reach.
    """
    folder = folder.absolute()
    programs, owner = find_programs(), account()
    _claim(folder, owner)
    login = Login(
        user=_USER, password=secrets.token_urlsafe(24), port=free_port("PostgreSQL", "127.0.0.1")
    )
    password = folder / "password"
    try:
        _write_secret(password, login.password, owner)
        _initialise(programs, folder, login.user, password)
    finally:
        password.unlink(missing_ok=True)
    # Our own file, not the server's: it is read by who made the server.
    _write_secret(folder / "login.json", json.dumps(asdict(login)), None)


def _claim(folder: Path, owner: pwd.struct_passwd | None) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise ClusterError(f"no PostgreSQL can be kept in {folder}: {error}.") from None
    if not is_empty:
        raise ClusterError(
            f"{folder} must be empty to keep a new PostgreSQL, but holds something; name another "
            "folder, or start the server that is there."
        )
    if owner is not None:
        _require_reach(folder, owner)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    folder.chmod(0o700)


def _require_reach(folder: Path, user: pwd.struct_passwd) -> None:
    for parent in reversed(folder.resolve().parents):
        status = parent.stat()
        shift = 6 if status.st_uid == user.pw_uid else 0
        shift = shift or (3 if status.st_gid == user.pw_gid else 0)
        if not status.st_mode >> shift & 1:
            raise ClusterError(
                f"{folder} must be within reach of the user {user.pw_name!r}, who runs "
                f"PostgreSQL for root, but {parent} lets nobody else pass; name a folder below "
                f"/tmp or /var/lib, or run 'chmod o+x {parent}'."
            )


def _initialise(programs: Path, folder: Path, user: str, password: Path) -> None:
    command = [
        str(programs / "initdb"),
        f"--pgdata={folder / 'data'}",
        f"--username={user}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # Its messages are then in English, and texts are sorted as Python sorts them.
        "--locale=C.UTF-8",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, **surroundings(folder)
    )
    if done.returncode != 0:
        raise ClusterError(
            f"no PostgreSQL can be kept in {folder}: initdb ended with exit code "
            f"{done.returncode}: {shortened(done.stderr)}"
        )


def _write_secret(path: Path, text: str, owner: pwd.struct_passwd | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(descriptor, owner.pw_uid, owner.pw_gid)
        file.write(text)


def read_login(folder: Path) -> Login:
    """Read who may connect to the server of a folder.

    Raises:
        ClusterError: If :func:`create_postgres` made none there.
    """
    try:
        return Login(**json.loads((folder / "login.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"{folder} must hold a PostgreSQL with its login.json, but: "
            f"{shortened(str(error))}; name the folder that it was made in."
        ) from None


def server_processes(folder: Path) -> tuple[int, ...]:
    """Give the numbers of all processes of the server of a folder, whoever started it.

    They are PostgreSQL's programs that live in its data, each in a session of its own.
    """
    data = (folder / "data").resolve()
    numbers = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
    return tuple(sorted(int(number) for number in numbers if _is_server(number, data)))


def _is_server(number: str, data: Path) -> bool:
    with contextlib.suppress(OSError):
        process = Path("/proc") / number
        program = process.joinpath("exe").readlink().name
        return program == "postgres" and process.joinpath("cwd").readlink() == data
    return False


def postmaster(folder: Path) -> int | None:
    """Give the number of the server's main process, whoever started it; None if there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = (folder / "data" / "postmaster.pid").read_text(encoding="utf-8")
        # The number may be another's by now.
        if (number := int(text.split()[0])) in server_processes(folder):
            return number
    return None


def forget_dead_server(folder: Path) -> None:
    """Delete the file by which PostgreSQL refuses to start, if it speaks of no living server.

    PostgreSQL compares numbers of processes alone: after a restart of the machine the number may
    be another process's, and the server would never start again.
    """
    if postmaster(folder) is None:
        (folder / "data" / "postmaster.pid").unlink(missing_ok=True)


def shortened(text: str) -> str:
    """Give the end of a text as one line."""
    return " ".join(text.split())[-500:]
