"""Containers of launch files: a read-only root, folders to write to, any user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.render.variants import VARIANTS, variant_text

_WRITTEN = {"/tmp", "/home/challenger"}


def variants(launcher: str) -> list[str]:
    return [name for name, (of, _) in VARIANTS.items() if of == launcher]


@pytest.mark.parametrize("variant", variants("compose"))
def test_a_container_of_compose_writes_to_its_own_folders_alone(variant: str) -> None:
    services = yaml.safe_load(variant_text(variant))["services"]
    for name, service in services.items():
        assert service["read_only"] is True
        folders = {folder.split(":")[0] for folder in service["tmpfs"]}
        assert "/tmp" in folders
        assert name == "postgres" or folders == _WRITTEN
        # Whoever the user is.
        assert all("mode=1777" in folder for folder in service["tmpfs"]) or name == "postgres"


def pods(value: object) -> Iterator[dict[str, Any]]:
    """Yield the specifications of all pods in a document."""
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for part in value.values():
            yield from pods(part)
    elif isinstance(value, list):
        for part in value:
            yield from pods(part)


@pytest.mark.parametrize("variant", variants("kuberay"))
def test_a_container_of_kubernetes_writes_to_volumes_alone(variant: str) -> None:
    documents = list(yaml.safe_load_all(variant_text(variant)))
    found = list(pods(documents))
    assert len(found) >= 2
    for pod in found:
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in mounts
            assert container["name"] == "postgres" or mounts >= _WRITTEN
            claimed = {"data"} if container["name"] == "postgres" else set()
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes | claimed


def test_the_image_gives_any_user_a_name_and_folders_to_write_to() -> None:
    lines = variant_text("dockerfile")
    assert "--mode 1777 \\\n        /challenger /artifacts /home/challenger" in lines
    assert "USER=challenger" in lines
    assert "HOME=/home/challenger" in lines


@pytest.mark.parametrize("variant", ["compose-rich", "kuberay-rich"])
def test_with_tls_every_ray_process_has_its_variables_and_only_the_first_the_authoritys_key(
    variant: str,
) -> None:
    documents = list(yaml.safe_load_all(variant_text(variant)))
    if variant == "compose-rich":
        services = documents[0]["services"]
        for name, service in services.items():
            has_tls = "RAY_USE_TLS" in service.get("environment", {})
            assert has_tls == (name in {"head", "worker"})
            assert has_tls == any("node_certificate" in str(c) for c in service.get("command", ()))
        return
    for pod in pods(documents):
        if "initContainers" not in pod:
            continue
        (first,), (ray,) = pod["initContainers"], pod["containers"]
        assert "authority" in {mount["name"] for mount in first["volumeMounts"]}
        assert "authority" not in {mount["name"] for mount in ray["volumeMounts"]}
        assert "RAY_USE_TLS" in {each["name"] for each in ray["env"]}
