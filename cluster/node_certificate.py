"""Certificates of a cluster's nodes for Ray's TLS, signed by the cluster's own authority.

``python -m cluster.node_certificate AUTHORITY FOLDER [--name NAME] [-- COMMAND …]`` makes the
certificate of this machine in FOLDER and executes COMMAND with Ray's variables. AUTHORITY holds
``tls_ca`` and ``tls_ca_key``, which :func:`create_authority` makes. Needs the program ``openssl``.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from cluster.errors import ClusterError

AUTHORITY: Final = "tls_ca"
AUTHORITY_KEY: Final = "tls_ca_key"
_DAYS: Final = "365"
_KEY: Final = ("-newkey", "rsa:2048", "-nodes")


def tls_environment(folder: str, authority: str) -> dict[str, str]:
    """Return Ray's variables for a certificate in a folder and the authority's own."""
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": f"{folder}/cert.pem",
        "RAY_TLS_SERVER_KEY": f"{folder}/key.pem",
        "RAY_TLS_CA_CERT": authority,
    }


def create_authority(folder: Path) -> None:
    """Make an authority: its certificate, and its key, which is for its owner alone.

    Raises:
        ClusterError: If the folder cannot be written to, or there is no ``openssl``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, certificate = folder / AUTHORITY_KEY, folder / AUTHORITY
    _openssl(
        *("req", "-x509", *_KEY, "-keyout", str(key), "-out", str(certificate)),
        *("-days", _DAYS, "-subj", "/CN=challenger-study"),
    )


def create_certificate(authority: Path, folder: Path, names: Sequence[str] = ()) -> None:
    """Make the certificate of this machine: for its addresses, its name and further names.

    Args:
        authority: Folder of the authority.
        folder: Where ``cert.pem`` and ``key.pem`` go; made for its owner alone.
        names: Further names by which others call it; ``*.example.org`` is one too.

    Raises:
        ClusterError: If a file cannot be read or written, or there is no ``openssl``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    request, extension = folder / "request.pem", folder / "extension"
    extension.write_text(f"subjectAltName={','.join(_subjects(names))}\n", encoding="ascii")
    _openssl(
        *("req", "-new", *_KEY, "-keyout", str(folder / "key.pem"), "-out", str(request)),
        *("-subj", "/CN=challenger-study node"),
    )
    _openssl(
        *("x509", "-req", "-in", str(request), "-out", str(folder / "cert.pem")),
        *("-CA", str(authority / AUTHORITY), "-CAkey", str(authority / AUTHORITY_KEY)),
        # A serial of its own: nodes that start at once share no file of serials.
        *("-set_serial", f"0x{os.urandom(16).hex()}"),
        *("-days", _DAYS, "-extfile", str(extension)),
    )
    for path in (request, extension):
        path.unlink()


def _subjects(names: Sequence[str]) -> list[str]:
    addresses = {
        each.address
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family == socket.AF_INET
    }
    known = {socket.gethostname(), socket.getfqdn(), "localhost", *names}
    # A name may be at most 64 characters in old programs, and is ASCII.
    return [
        *(f"IP:{address}" for address in sorted(addresses | {"127.0.0.1"})),
        *(f"DNS:{name}" for name in sorted(known) if name.isascii() and not name.isdigit()),
    ]


def _openssl(*arguments: str) -> None:
    old = os.umask(0o077)
    try:
        subprocess.run(
            ["openssl", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise ClusterError(
            "certificates for Ray's TLS are made by the program 'openssl', which is not there; "
            "install it."
        ) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason"]
        raise ClusterError(
            f"openssl must make a certificate for Ray's TLS, but: {said[0]}; look at the files of "
            "the authority."
        ) from None
    finally:
        os.umask(old)


def main(arguments: Sequence[str]) -> int:
    """Make a certificate, or an authority, and execute a command with Ray's variables.

    Returns:
        0; 2 if it could not be made, with a message.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cluster.node_certificate",
        usage="%(prog)s AUTHORITY FOLDER [--name NAME] [-- COMMAND …]",
    )
    parser.add_argument("authority", type=Path, help="folder of the authority")
    parser.add_argument("folder", type=Path, help="folder of this machine's certificate")
    parser.add_argument("--name", action="append", default=[], help="further name of it")
    parser.add_argument("--create-authority", action="store_true", help="make the authority first")
    own = list(arguments)
    command = own[own.index("--") + 1 :] if "--" in own else []
    given = parser.parse_args(own[: own.index("--")] if "--" in own else own)
    try:
        if given.create_authority:
            create_authority(given.authority)
        create_certificate(given.authority, given.folder, given.name)
    except (ClusterError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    if command:
        settings = tls_environment(str(given.folder), str(given.authority / AUTHORITY))
        os.execvpe(command[0], command, {**os.environ, **settings})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
