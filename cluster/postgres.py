"""A PostgreSQL server in a folder: its programs, its cluster and login, and its process.

``data/`` holds the databases, ``login.json`` user, password and port with mode 600, and
``server.log`` the server's output. It listens on 127.0.0.1 alone and has no Unix socket.
PostgreSQL refuses to run as root; root runs it as Debian's user ``postgres``.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from cluster.errors import ClusterError
from cluster.ports import free_port
from cluster.process import child_pids, kill_tree

_DEBIAN_ROOT: Final = Path("/usr/lib/postgresql")


def find_programs(versions: Path = _DEBIAN_ROOT) -> Path:
    """Find the folder with PostgreSQL's programs: the newest of Debian's, or the one on PATH.

    Args:
        versions: Folder with one folder per version.

    Raises:
        ClusterError: If there is none.
    """
    found = sorted(versions.glob("*/bin/initdb"), key=lambda path: _version_of(path.parts[-3]))
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.insert(0, Path(on_path).resolve())
    if not found:
        raise ClusterError(
            f"PostgreSQL's server must be in {versions} or its initdb on PATH, but is in neither; "
            "install Debian's package 'postgresql', or add its folder to PATH."
        )
    return found[-1].parent


def _version_of(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


def server_account() -> pwd.struct_passwd | None:
    """Give the user who runs the server, or None where that is ourselves.

    Raises:
        ClusterError: If we are root and there is no such user.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise ClusterError(
            "PostgreSQL refuses to run as root and there is no user 'postgres' to run it; install "
            "Debian's package 'postgresql', which makes that user, or start as another user."
        ) from None


def popen_options(folder: Path) -> dict[str, Any]:
    """Give what PostgreSQL's programs are started with, as arguments of ``subprocess.Popen``.

    Nothing of our environment is among it: our PGDATA or language is not the server's.
    """
    options: dict[str, Any] = {
        "cwd": folder,
        "env": {"LC_ALL": "C.UTF-8", "PATH": os.defpath},
        "stdin": subprocess.DEVNULL,
        # Ctrl-C on our terminal is not meant for it.
        "start_new_session": True,
    }
    if (user := server_account()) is not None:
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return options


_USER: Final = "challenger"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLogin:
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
    programs, owner = find_programs(), server_account()
    _prepare_folder(folder, owner)
    login = PostgresLogin(
        user=_USER, password=secrets.token_urlsafe(24), port=free_port("PostgreSQL", "127.0.0.1")
    )
    password = folder / "password"
    try:
        _write_secret(password, login.password, owner)
        _initialize(programs, folder, login.user, password)
    finally:
        password.unlink(missing_ok=True)
    # Our own file, not the server's: it is read by who made the server.
    _write_secret(folder / "login.json", json.dumps(asdict(login)), None)


def _prepare_folder(folder: Path, owner: pwd.struct_passwd | None) -> None:
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
        _require_access(folder, owner)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    folder.chmod(0o700)


def _require_access(folder: Path, user: pwd.struct_passwd) -> None:
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


def _initialize(programs: Path, folder: Path, user: str, password: Path) -> None:
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
        command, capture_output=True, text=True, check=False, **popen_options(folder)
    )
    if done.returncode != 0:
        raise ClusterError(
            f"no PostgreSQL can be kept in {folder}: initdb ended with exit code "
            f"{done.returncode}: {tail(done.stderr)}"
        )


def _write_secret(path: Path, text: str, owner: pwd.struct_passwd | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(descriptor, owner.pw_uid, owner.pw_gid)
        file.write(text)


def read_login(folder: Path) -> PostgresLogin:
    """Read who may connect to the server of a folder.

    Raises:
        ClusterError: If :func:`create_postgres` made none there.
    """
    try:
        return PostgresLogin(**json.loads((folder / "login.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"{folder} must hold a PostgreSQL with its login.json, but: "
            f"{tail(str(error))}; name the folder that it was made in."
        ) from None


def server_pids(folder: Path) -> tuple[int, ...]:
    """Give the numbers of all processes of the server of a folder, whoever started it.

    They are PostgreSQL's programs that live in its data, each in a session of its own.
    """
    data = (folder / "data").resolve()
    pids = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
    return tuple(sorted(int(pid) for pid in pids if _is_server_process(pid, data)))


def _is_server_process(pid: str, data: Path) -> bool:
    with contextlib.suppress(OSError):
        process = Path("/proc") / pid
        program = process.joinpath("exe").readlink().name
        return program == "postgres" and process.joinpath("cwd").readlink() == data
    return False


def postmaster_pid(folder: Path) -> int | None:
    """Give the number of the server's main process, whoever started it; None if there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = (folder / "data" / "postmaster.pid").read_text(encoding="utf-8")
        # The number may be another's by now.
        if (pid := int(text.split()[0])) in server_pids(folder):
            return pid
    return None


def remove_stale_pid_file(folder: Path) -> None:
    """Delete the file by which PostgreSQL refuses to start, if it speaks of no living server.

    PostgreSQL compares numbers of processes alone: after a restart of the machine the number may
    be another process's, and the server would never start again.
    """
    if postmaster_pid(folder) is None:
        (folder / "data" / "postmaster.pid").unlink(missing_ok=True)


def tail(text: str) -> str:
    """Give the end of a text as one line."""
    return " ".join(text.split())[-500:]


_DATABASE: Final = "postgres"
# Recovery after a kill included; on two shared cores a start took 0.1 s.
_STARTUP_TIMEOUT_S: Final = 60.0
_SHUTDOWN_TIMEOUT_S: Final = 60.0
# Linux sends a fast shutdown then; setpriv, of Debian's util-linux, becomes the server itself.
_PDEATHSIG: Final = ("setpriv", "--pdeathsig", "INT", "--")


class PostgresServer:
    """The server of a folder that :func:`create_postgres` made. Has mutable state: its process."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        stops_with_parent: bool = False,
    ) -> None:
        """Take up a server without starting it.

        Args:
            folder: What :func:`create_postgres` was given.
            settings: Settings of PostgreSQL that differ from its defaults, such as
                ``{"fsync": "off"}``. They stand on its command line, for all to read.
            stops_with_parent: Whether it shuts down when the thread that starts it ends, however that
                ends, as if it were told to :meth:`stop`.

        Raises:
            ClusterError: If the folder holds no server.
        """
        self._folder = folder.absolute()
        self._login = read_login(self._folder)
        self._settings = dict(settings or {})
        self._prefix = _PDEATHSIG if stops_with_parent else ()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy URL of its first database, with the password; the same after each start."""
        return self.database_url(_DATABASE)

    def database_url(self, database: str) -> str:
        """Give the SQLAlchemy URL of a database, with the password."""
        return database_url(self._login, database)

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers: at most a minute.

        Raises:
            ClusterError: If it ends or does not answer, with the end of its log.
        """
        if self.is_running():
            return
        command = [*self._prefix, *server_command(self._folder, self._login, self._settings)]
        self._process = _spawn(command, self._folder)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.kill)
            _wait_until_ready(self._process, self._login, self._folder / "server.log")
            on_failure.pop_all()

    def stop(self) -> None:
        """Shut it down in order, without waiting for its clients; kill it if that takes long."""
        if self._process is None or not self.is_running():
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_SHUTDOWN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it and all that it started at once, as a crash does; none is left on return."""
        if self._process is not None and self.is_running():
            kill_tree(self._process)

    def is_running(self) -> bool:
        """Tell whether the process that we started lives."""
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        """Give the numbers of its processes, the main one first; none if it does not run."""
        if self._process is None or not self.is_running():
            return []
        return [self._process.pid, *child_pids(self._process.pid)]


def database_url(login: PostgresLogin, database: str = _DATABASE) -> str:
    """Give the SQLAlchemy URL of a database of a server, with the password."""
    credentials = f"{login.user}:{login.password}"
    return f"postgresql+psycopg://{credentials}@127.0.0.1:{login.port}/{database}"


def server_command(
    folder: Path, login: PostgresLogin, settings: Mapping[str, str] | None = None
) -> list[str]:
    """Give the command line of the server of a folder; no secret is in it.

    Raises:
        ClusterError: If there is no PostgreSQL on this machine.
    """
    ours = {
        "listen_addresses": "127.0.0.1",
        "port": str(login.port),
        "unix_socket_directories": "",
    }
    command = [str(find_programs() / "postgres"), "-D", str(folder / "data")]
    for name, setting in {**(settings or {}), **ours}.items():
        command += ["-c", f"{name}={setting}"]
    return command


def connection_error(login: PostgresLogin) -> str | None:
    """Try to connect to a server; gives why that was not possible, or None if it was."""
    try:
        _connect(login)
    except psycopg.OperationalError as error:
        return tail(str(error))
    return None


def _spawn(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    # The folder is the server's, we may be root: what it put there is not followed.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(folder / "server.log", flags, 0o600)
    with open(descriptor, "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, **popen_options(folder))


def _wait_until_ready(process: subprocess.Popen[bytes], login: PostgresLogin, log: Path) -> None:
    deadline = time.monotonic() + _STARTUP_TIMEOUT_S
    endpoint = f"the PostgreSQL in {log.parent} must answer on 127.0.0.1:{login.port}"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ClusterError(
                f"{endpoint}, but it ended with exit code {process.returncode}; the end of its log "
                f"{log.name}: {_log_tail(log)}"
            )
        with contextlib.suppress(psycopg.OperationalError):
            _connect(login)
            return
        time.sleep(0.05)
    raise ClusterError(
        f"{endpoint} within {_STARTUP_TIMEOUT_S:.0f} s, but did not; the end of its log {log.name}: "
        f"{_log_tail(log)}"
    )


def _connect(login: PostgresLogin) -> None:
    psycopg.connect(
        host="127.0.0.1",
        port=login.port,
        user=login.user,
        password=login.password,
        dbname=_DATABASE,
        connect_timeout=2,
    ).close()


def _log_tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2_000))
        lines = file.read().decode(errors="replace").splitlines()
    return tail("; ".join(lines[-5:]))
