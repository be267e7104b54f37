"""MLflow's passwords: made once, for their owner alone."""

from __future__ import annotations

import base64
import configparser
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.service.folder import ServiceFolder
from cluster.service.mlflow_component import (
    basic_headers,
    create_auth,
    ensure_passwords,
    read_passwords,
)


@pytest.fixture
def folder(tmp_path: Path) -> ServiceFolder:
    folder = ServiceFolder(root=tmp_path / "service")
    folder.prepare()
    return folder


def test_they_are_random_private_and_kept(folder: ServiceFolder) -> None:
    made = ensure_passwords(folder)
    assert ensure_passwords(folder) == made == read_passwords(folder)
    assert len(made.admin) == 32
    assert made.admin != made.session_key
    for file in (folder.passwords, folder.auth_config):
        assert file.stat().st_mode & 0o777 == 0o600
    assert made.admin not in repr(made)
    assert made.session_key not in repr(made)


def test_the_owner_s_link_is_new_with_every_start_and_private(folder: ServiceFolder) -> None:
    first, second = (create_auth(folder, ("127.0.0.1", "localhost"), 5000) for _ in range(2))
    assert (first.password, first.session_key) == (second.password, second.session_key)
    assert first.login != second.login
    assert len(second.login) == 32
    assert second.login not in (second.password, second.session_key)
    assert folder.link(5000).read_text() == f"{second.link}\n"
    assert folder.link(5000).stat().st_mode & 0o777 == 0o600
    assert folder.link(5001) != folder.link(5000)


def test_our_own_processes_are_the_administrator(folder: ServiceFolder) -> None:
    made = ensure_passwords(folder)
    code = basic_headers(folder)["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(code).decode() == f"admin:{made.admin}"


def test_mlflow_s_settings_name_its_users_and_no_password(folder: ServiceFolder) -> None:
    made = ensure_passwords(folder)
    assert made.admin not in folder.auth_config.read_text()
    config = configparser.ConfigParser()
    config.read(folder.auth_config)
    assert dict(config["mlflow"]) == {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": f"sqlite:///{folder.users}",
        "admin_username": "admin",
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": "60",
    }


@pytest.mark.parametrize("content", ["", "[]", '{"admin": "sesame"}'])
def test_passwords_that_cannot_be_read_are_not_shown(folder: ServiceFolder, content: str) -> None:
    folder.passwords.write_text(content)
    with pytest.raises(ClusterError) as refused:
        read_passwords(folder)
    said = str(refused.value)
    assert said.startswith(f"{folder.passwords} must hold MLflow's passwords, but: ")
    assert said.endswith(
        f"; restore it, or delete it together with {folder.users}, which makes new ones."
    )
    assert "sesame" not in said


@pytest.mark.parametrize("name", ["st?x", "feature%2Fx", "a#b"])
def test_a_folder_whose_databases_mlflow_s_server_cannot_open_is_refused(
    tmp_path: Path, name: str
) -> None:
    folder = ServiceFolder(root=tmp_path / name)
    with pytest.raises(ClusterError, match=r" must be a path without [?%#] to hold the databases"):
        create_auth(folder, ("127.0.0.1",), 5000)
    assert not folder.root.exists()
