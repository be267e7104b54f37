"""The configuration of a service: written, read and compared."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.service.config import (
    ServiceConfig,
    create_service,
    differences,
    merge_config,
    read_service,
)
from cluster.service.folder import ServiceFolder

CONFIG = ServiceConfig(
    storage=Path("/lab"),
    tracking_database=Path("/lab/mlflow.db"),
    artifacts=Path("/lab/mlflow-artifacts"),
)


@pytest.fixture
def folder(tmp_path: Path) -> ServiceFolder:
    folder = ServiceFolder(root=tmp_path / "service")
    folder.prepare()
    return folder


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        ServiceConfig(
            storage=Path("/lab"),
            tracking_database=Path("/m.db"),
            artifacts=Path("/a"),
            data_root=Path("/data"),
            host="10.0.0.7",
            cpus=3,
            gpus=0,
            has_postgres=True,
            port=1111,
            dashboard_port=2222,
            mlflow_port=3333,
            tls_cert=Path("/tls/cert"),
            tls_key=Path("/tls/key"),
            tls_ca=Path("/tls/ca"),
        ),
    ],
)
def test_a_service_that_was_written_is_read_again(
    folder: ServiceFolder, config: ServiceConfig
) -> None:
    assert read_service(folder) is None
    service = create_service(folder, config)
    service.write()
    assert read_service(folder) == service
    assert folder.record.stat().st_mode & 0o777 == 0o600
    assert create_service(folder, config).instance_id != service.instance_id


def test_addresses_are_loopback_unless_a_host_is_given(folder: ServiceFolder) -> None:
    service = create_service(folder, CONFIG)
    assert (service.head, service.dashboard, service.mlflow, service.is_open) == (
        "127.0.0.1:6379",
        "http://127.0.0.1:8265",
        "http://127.0.0.1:5000",
        False,
    )
    opened = create_service(folder, dataclasses.replace(CONFIG, host="10.0.0.7", port=7))
    assert (opened.head, opened.mlflow, opened.is_open) == (
        "10.0.0.7:7",
        "http://10.0.0.7:5000",
        True,
    )


def test_a_record_of_a_service_without_tls_is_read(folder: ServiceFolder) -> None:
    service = create_service(folder, CONFIG)
    service.write()
    content = json.loads(folder.record.read_text())
    for name in ("tls_cert", "tls_key", "tls_ca"):
        del content["config"][name]
    folder.record.write_text(json.dumps(content))
    assert read_service(folder) == service
    assert service.tls == {}


def test_tls_is_what_ray_reads(folder: ServiceFolder) -> None:
    files = {f"tls_{name}": Path(f"/tls/{name}") for name in ("cert", "key", "ca")}
    service = create_service(folder, dataclasses.replace(CONFIG, **files))
    assert service.tls == {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": "/tls/cert",
        "RAY_TLS_SERVER_KEY": "/tls/key",
        "RAY_TLS_CA_CERT": "/tls/ca",
    }


def test_settings_that_are_not_given_stay_as_recorded() -> None:
    was = dataclasses.replace(CONFIG, port=1, host="10.0.0.7")
    asked = dataclasses.replace(CONFIG, port=2)
    assert merge_config(was, asked, frozenset()) == was
    assert merge_config(was, asked, {"port"}) == dataclasses.replace(was, port=2)
    assert differences(was, was) == ()
    assert differences(was, asked) == ("host: 10.0.0.7, not None", "port: 1, not 2")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"instance_id": "x", "config": {"wild": 1}}']
)
def test_a_record_that_cannot_be_read_is_named(folder: ServiceFolder, content: str) -> None:
    folder.record.write_text(content)
    with pytest.raises(ClusterError) as refused:
        read_service(folder)
    assert str(refused.value).startswith(
        f"{folder.record} must describe a service, but cannot be read ("
    )
    assert str(refused.value).endswith(
        "); restore it, or delete it once the service's processes have ended."
    )


def test_the_record_holds_no_more_than_the_config_and_the_instance_id(
    folder: ServiceFolder,
) -> None:
    service = create_service(folder, CONFIG)
    service.write()
    assert set(json.loads(folder.record.read_text())) == {"instance_id", "config"}
