"""What all pods of a launch file have in common: who runs them, with what, and how it is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cluster.render.launch_file import without_empty
from cluster.render.settings import LaunchSettings

PART_OF: Final = "app.kubernetes.io/part-of"

Manifest = dict[str, Any]


def manifest(api: str, kind: str, name: str, settings: LaunchSettings, **rest: Any) -> Manifest:  # noqa: ANN401
    """Give a manifest in the settings' namespace; ``rest`` is what comes after the metadata."""
    metadata = {
        "name": name,
        "namespace": settings.kubernetes.namespace,
        "labels": {PART_OF: settings.name},
    }
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def component_labels(settings: LaunchSettings, component: str) -> dict[str, str]:
    """Give the labels by which pods are found."""
    return {PART_OF: settings.name, "app.kubernetes.io/component": component}


def pod_security(user_id: int) -> Manifest:
    """Give what keeps a pod's processes from being root; its volumes belong to their group."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "fsGroup": user_id,
        # A large volume would be gone through at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Give what keeps a container's processes from gaining rights."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def pod(settings: LaunchSettings, component: str, **spec: Any) -> Manifest:  # noqa: ANN401
    """Give a pod template; ``spec`` is what a component's pod holds."""
    secret = settings.kubernetes.pull_secret
    return {
        "metadata": {"labels": component_labels(settings, component)},
        "spec": {
            # Nothing here talks to Kubernetes, but the autoscaler, to whom KubeRay gives a token.
            "automountServiceAccountToken": False,
            **without_empty({"imagePullSecrets": [{"name": secret}] if secret else []}),
            **spec,
        },
    }


def resources(cpus: str, memory: str, others: Mapping[str, int] | None = None) -> Manifest:
    """Give requests that equal limits: what is promised is there."""
    amounts = {"cpu": cpus, "memory": memory, **(others or {})}
    return {"requests": amounts, "limits": amounts}


def variables(plain: Mapping[str, str], secret: Mapping[str, tuple[str, str]]) -> list[Manifest]:
    """Give a container's environment.

    Args:
        plain: Name to value.
        secret: Name to the name of a Secret and its key.
    """
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        *(
            {"name": name, "valueFrom": {"secretKeyRef": {"name": where, "key": key}}}
            for name, (where, key) in secret.items()
        ),
    ]


def http_probe(path: str, port: int, period_s: int, failures: int) -> Manifest:
    """Give a probe that asks for a page."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def claim(
    settings: LaunchSettings, name: str, mode: str, storage_gb: int, storage_class: str = ""
) -> Manifest:
    """Give a claim for storage."""
    spec = {
        "accessModes": [mode],
        "resources": {"requests": {"storage": f"{storage_gb}Gi"}},
        **without_empty({"storageClassName": storage_class}),
    }
    return manifest("v1", "PersistentVolumeClaim", name, settings, spec=spec)
