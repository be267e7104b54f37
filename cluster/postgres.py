"""A PostgreSQL server in a folder: its programs, its cluster and login, and its process.

``data/`` holds the databases, ``login.json`` user, password and port with mode 600, and
``server.log`` the server's output. The server listens on 127.0.0.1 alone and has no Unix socket.
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

import psutil
import psycopg

from cluster.errors import ClusterError
from cluster.ports import free_port
from cluster.process import child_pids, kill_tree

_DEBIAN_ROOT: Final = Path("/usr/lib/postgresql")


def find_programs(versions: Path = _DEBIAN_ROOT) -> Path:
    """Return the folder of PostgreSQL's programs: Debian's newest version, or that on PATH.

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
    """Return the account that runs the server, or None for the present user.

    Raises:
        ClusterError: If we are root and there is no such account.
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
    """Return arguments of ``subprocess.Popen`` for PostgreSQL's programs.

    Nothing of our environment is inherited, such as PGDATA or a language.
    """
    options: dict[str, Any] = {
        "cwd": folder,
        "env": {"LC_ALL": "C.UTF-8", "PATH": os.defpath},
        "stdin": subprocess.DEVNULL,
        # Ctrl-C on our terminal must not reach it.
        "start_new_session": True,
    }
    if (user := server_account()) is not None:
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return options


_USER: Final = "challenger"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLogin:
    """The server's one user and its port on 127.0.0.1, the same after each start.

    The password has letters, digits, ``-`` and ``_`` alone, so that a URL can hold it.
    """

    user: str
    password: str = field(repr=False)
    port: int


def create_postgres(folder: Path) -> None:
    """Create a server with one user, a random password and a free port, in a second or two.

    Args:
        folder: An empty folder, or one that is created. Its owner and mode change.

    Raises:
        ClusterError: If there is no PostgreSQL, or the folder is not empty or not accessible.
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
        _run_initdb(programs, folder, login.user, password)
    finally:
        password.unlink(missing_ok=True)
    # Owned by us, not by the server's account.
    _write_secret(folder / "login.json", json.dumps(asdict(login)), None)


def _prepare_folder(folder: Path, owner: pwd.struct_passwd | None) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise ClusterError(f"no PostgreSQL can be created in {folder}: {error}.") from None
    if not is_empty:
        raise ClusterError(
            f"{folder} must be empty for a new PostgreSQL, but is not; name another folder, or "
            "start the server that is there."
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
                f"{folder} must be accessible to the user {user.pw_name!r}, which runs "
                f"PostgreSQL for root, but {parent} is not; name a folder below /tmp or /var/lib, "
                f"or run 'chmod o+x {parent}'."
            )


def _run_initdb(programs: Path, folder: Path, user: str, password: Path) -> None:
    command = [
        str(programs / "initdb"),
        f"--pgdata={folder / 'data'}",
        f"--username={user}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # English messages, and texts sorted as in Python.
        "--locale=C.UTF-8",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, **popen_options(folder)
    )
    if done.returncode != 0:
        raise ClusterError(
            f"no PostgreSQL can be created in {folder}: initdb ended with exit code "
            f"{done.returncode}: {tail(done.stderr)}"
        )


def _write_secret(path: Path, text: str, owner: pwd.struct_passwd | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(descriptor, owner.pw_uid, owner.pw_gid)
        file.write(text)


def read_login(folder: Path) -> PostgresLogin:
    """Return the login of the server of a folder.

    Raises:
        ClusterError: If :func:`create_postgres` created none there.
    """
    try:
        return PostgresLogin(**json.loads((folder / "login.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"{folder} must hold a PostgreSQL with its login.json, but: "
            f"{tail(str(error))}; name the folder that it was created in."
        ) from None


def server_pids(folder: Path) -> tuple[int, ...]:
    """Return the pids of the server of a folder, whichever process started it.

    They are the processes of PostgreSQL's program whose working directory is the data folder,
    each in a session of its own.
    """
    data = str((folder / "data").resolve())
    return tuple(
        sorted(
            each.pid
            for each in psutil.process_iter(["exe", "cwd"])
            if each.info["cwd"] == data and Path(each.info["exe"] or "").name == "postgres"
        )
    )


def postmaster_pid(folder: Path) -> int | None:
    """Return the pid of the server's main process; None if none runs."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = (folder / "data" / "postmaster.pid").read_text(encoding="utf-8")
        # The pid may have been reused.
        if (pid := int(text.split()[0])) in server_pids(folder):
            return pid
    return None


def remove_stale_pid_file(folder: Path) -> None:
    """Delete ``postmaster.pid`` if it names no running server.

    PostgreSQL compares pids alone: after a reboot the pid may be another process's, and the
    server would refuse to start.
    """
    if postmaster_pid(folder) is None:
        (folder / "data" / "postmaster.pid").unlink(missing_ok=True)


def tail(text: str) -> str:
    """Return the end of a text as one line."""
    return " ".join(text.split())[-500:]


_DATABASE: Final = "postgres"
# Recovery after a kill included; on two shared cores a start took 0.1 s.
_STARTUP_TIMEOUT_S: Final = 60.0
_SHUTDOWN_TIMEOUT_S: Final = 60.0
# Linux then sends the signal of a fast shutdown; setpriv (util-linux) executes the server.
_PDEATHSIG: Final = ("setpriv", "--pdeathsig", "INT", "--")


class PostgresServer:
    """The server of a folder of :func:`create_postgres`. Has mutable state: its process."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        stops_with_parent: bool = False,
    ) -> None:
        """Read the login of a server; start nothing.

        Args:
            folder: The folder of :func:`create_postgres`.
            settings: Settings of PostgreSQL that differ from its defaults, such as
                ``{"fsync": "off"}``; visible on its command line.
            stops_with_parent: Whether it shuts down, as by :meth:`stop`, when the thread that
                starts it ends.

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
        """Return the SQLAlchemy URL of a database, with the password."""
        return database_url(self._login, database)

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers, at most a minute.

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
        """Shut it down without waiting for its clients; kill it after a minute."""
        if self._process is None or not self.is_running():
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_SHUTDOWN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it with all of its processes, as a crash does, and wait until they have ended."""
        if self._process is not None and self.is_running():
            kill_tree(self._process)

    def is_running(self) -> bool:
        """Return whether the process that we started lives."""
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        """Return the pids of its processes, the main one first; empty if it does not run."""
        if self._process is None or not self.is_running():
            return []
        return [self._process.pid, *child_pids(self._process.pid)]


def database_url(login: PostgresLogin, database: str = _DATABASE) -> str:
    """Return the SQLAlchemy URL of a database of a server, with the password."""
    credentials = f"{login.user}:{login.password}"
    return f"postgresql+psycopg://{credentials}@127.0.0.1:{login.port}/{database}"


def server_command(
    folder: Path, login: PostgresLogin, settings: Mapping[str, str] | None = None
) -> list[str]:
    """Return the command line of the server of a folder, which holds no secret.

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
    """Return the error of connecting to a server, or None if there was none."""
    try:
        _connect(login)
    except psycopg.OperationalError as error:
        return tail(str(error))
    return None


def _spawn(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    # The folder is the server's and we may be root: links in it are not followed.
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
                f"{endpoint}, but it ended with exit code {process.returncode}; the end of its "
                f"log {log.name}: {_log_tail(log)}"
            )
        with contextlib.suppress(psycopg.OperationalError):
            _connect(login)
            return
        time.sleep(0.05)
    raise ClusterError(
        f"{endpoint} within {_STARTUP_TIMEOUT_S:.0f} s, but did not; the end of its log "
        f"{log.name}: {_log_tail(log)}"
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
