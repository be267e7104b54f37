"""PostgreSQL's programs on this machine, and the user who runs them.

PostgreSQL refuses to run as root; root lets Debian's user ``postgres`` run it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from cluster.errors import ClusterError

_DEBIAN: Final = Path("/usr/lib/postgresql")


def find_programs(versions: Path = _DEBIAN) -> Path:
    """Find the folder with PostgreSQL's programs: the newest of Debian's, or the one on PATH.

    Args:
        versions: Folder with one folder per version.

    Raises:
        ClusterError: If there is none.
    """
    found = sorted(versions.glob("*/bin/initdb"), key=lambda path: _version(path.parts[-3]))
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.insert(0, Path(on_path).resolve())
    if not found:
        raise ClusterError(
            f"PostgreSQL's server must be in {versions} or its initdb on PATH, but is in neither; "
            "install Debian's package 'postgresql', or add its folder to PATH."
        )
    return found[-1].parent


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


def account() -> pwd.struct_passwd | None:
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


def surroundings(folder: Path) -> dict[str, Any]:
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
    if (user := account()) is not None:
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return options
