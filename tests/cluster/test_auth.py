"""Ray's token: found as Ray finds it, created once, private, and in no message."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.auth import Token, ensure_token, find_token, require_token, token_file
from cluster.errors import ClusterError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch) -> Path:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_new_token_is_random_for_its_owner_alone_and_kept(home: Path) -> None:
    assert find_token() is None
    before = os.umask(0)
    try:
        made = ensure_token()
    finally:
        os.umask(before)
    assert made.file == home / ".ray" / "auth_token"
    assert made.file.read_text() == made.text
    assert len(made.text) == 64
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.file.parent.stat().st_mode) == 0o700
    assert [path.name for path in made.file.parent.iterdir()] == ["auth_token"]
    assert ensure_token() == made == require_token()


def test_an_existing_token_is_kept(home: Path, monkeypatch) -> None:
    file = home / "elsewhere" / "token"
    file.parent.mkdir()
    file.write_text("  sesame\n")
    file.chmod(0o600)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    assert ensure_token().text == "sesame"
    assert file.read_text() == "  sesame\n"
    assert not (home / ".ray").exists()


def test_concurrent_calls_create_one_token() -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: ensure_token().text, range(64)))
    assert len(set(made)) == 1
    assert [path.name for path in token_file().parent.iterdir()] == ["auth_token"]


def test_a_token_is_in_no_message() -> None:
    token = ensure_token()
    assert token.text not in repr(token)
    assert token.headers() == {"Authorization": f"Bearer {token.text}"}
    assert token.environment() == {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token.file),
    }


def test_a_token_of_the_environment_is_passed_by_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "sesame")
    assert ensure_token().environment() == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "sesame"}
    assert not token_file().exists()


_RAYS = """
import json, os, sys
from ray._raylet import AuthenticationTokenLoader
from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled
names = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
for place in json.loads(sys.argv[1]):
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(place)
    AuthenticationTokenLoader.instance().reset_cache()
    print(get_auth_headers_if_auth_enabled({}))
"""


def test_ray_finds_the_same_token(home: Path, monkeypatch) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(" of-the-home\n")
    (home / "named").write_text("\tof-the-path ")
    named = str(home / "named")
    places = (
        {},
        {"RAY_AUTH_TOKEN_PATH": named},
        {"RAY_AUTH_TOKEN_PATH": named, "RAY_AUTH_TOKEN": "of-the-text"},
        {"RAY_AUTH_TOKEN_PATH": named, "RAY_AUTH_TOKEN": ""},
        {"RAY_AUTH_TOKEN_PATH": "", "RAY_AUTH_TOKEN": ""},
    )
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    rays = subprocess.run(
        [sys.executable, "-c", _RAYS, json.dumps(places)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ours = []
    for place in places:
        with monkeypatch.context() as patch:
            for name, text in place.items():
                patch.setenv(name, text)
            ours.append(require_token().text)
    assert ours == ["of-the-home", "of-the-path", "of-the-text", "of-the-path", "of-the-home"]
    for text, line in zip(ours, rays.splitlines(), strict=True):
        assert f"Bearer {text}'" in line


def error_of(function: Callable[[], Token]) -> str:
    with pytest.raises(ClusterError) as refused:
        function()
    return str(refused.value)


@pytest.mark.parametrize("function", [ensure_token, require_token])
def test_authentication_cannot_be_switched_off(function, monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert error_of(function) == (
        "RAY_AUTH_MODE must be 'token', because every client could run code on the cluster "
        "otherwise, but is 'disabled'; leave it out."
    )
    assert not token_file().exists()
    monkeypatch.setenv("RAY_AUTH_MODE", "TOKEN")
    ensure_token()


def test_a_missing_token_is_an_error_with_its_source(home: Path) -> None:
    assert error_of(require_token) == (
        f"Ray's token must be in {home}/.ray/auth_token, but is not; copy that file from the "
        "cluster's head, or name its path by RAY_AUTH_TOKEN_PATH."
    )


def test_a_token_that_others_may_read_is_refused(home: Path) -> None:
    file = ensure_token().file
    assert file is not None
    file.chmod(0o640)
    assert error_of(ensure_token) == (
        f"{home}/.ray/auth_token must be readable by its owner alone, because Ray's token allows "
        f"to run code on the cluster, but its mode is 640; run 'chmod 600 {file}'."
    )


def test_a_token_that_is_empty_unreadable_or_cannot_be_written_is_an_error(
    home: Path, monkeypatch
) -> None:
    (home / "empty").write_text(" \n")
    for path, problem in {
        home / "empty": "hold Ray's token, but is empty; delete it to create one, or",
        home
        / "empty"
        / "x": "hold Ray's token, but cannot be read (Not a directory); repair it, or",
        Path(
            "/proc/nowhere/token"
        ): "be writable to create Ray's token, but is not (No such file or directory);",
    }.items():
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
        assert error_of(ensure_token) == (
            f"{path} must {problem} name another file by RAY_AUTH_TOKEN_PATH."
        )
