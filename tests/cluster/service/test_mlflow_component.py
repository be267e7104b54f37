"""MLflow's passwords: made once, for their owner alone."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.service.folder import ServiceFolder
from cluster.service.mlflow_component import ensure_passwords, read_passwords


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
