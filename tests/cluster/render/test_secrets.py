"""No launch file holds a secret, and no server is open without authentication."""

from __future__ import annotations

import re

import pytest
import yaml

from cluster.errors import LaunchError
from cluster.render import parse_overrides
from tests.cluster.render.variants import VARIANTS, variant_text

SECRET = "s3cr3t-0f-th3-t3st"
ENVIRONMENT = {
    "CHALLENGER_DATABASE": f"postgresql+psycopg://me:{SECRET}@db.example.org/studies",
    "CHALLENGER_TRACKING_URI": f"https://me:{SECRET}@mlflow.example.org",
    "MLFLOW_TRACKING_PASSWORD": SECRET,
    "MLFLOW_TRACKING_URI": f"https://me:{SECRET}@mlflow.example.org",
    "PGPASSWORD": SECRET,
    "RAY_AUTH_TOKEN": SECRET,
}
YAML = [
    name for name, (launcher, _) in VARIANTS.items() if launcher not in {"dockerfile", "slurm"}
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_of_the_environment_is_in_a_file(variant, monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    before = variant_text(variant)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert variant_text(variant) == before
    assert SECRET not in before


@pytest.mark.parametrize("key", ["database", "tracking"])
@pytest.mark.parametrize(
    "url", [f"//me:{SECRET}@host/x", f"//host/x?password={SECRET}", f"//[{SECRET}"]
)
def test_an_address_with_a_password_is_refused_without_repeating_it(key, url):
    scheme = {"database": "postgresql+psycopg", "tracking": "https"}[key]
    with pytest.raises(LaunchError) as caught:
        parse_overrides([f"{key}={scheme}:{url}"])
    assert SECRET not in str(caught.value)
    assert str(caught.value).startswith(f"{key} must ")


@pytest.mark.parametrize("variant", YAML)
def test_a_variable_for_a_password_names_a_secret_and_not_its_value(variant):
    for name, value in variables(list(yaml.safe_load_all(variant_text(variant)))):
        if re.search("PASSWORD|TOKEN|SECRET|KEY", name):
            where = value.get("secretKeyRef") if isinstance(value, dict) else value
            # A node makes its own key of TLS, in memory.
            own = ("/run/secrets/", "/tmp/tls/", "/tls/")
            assert isinstance(where, dict) or str(where).startswith(own), name


def variables(data):
    """Yield all names and values of environment variables in a document."""
    if isinstance(data, list):
        for one in data:
            yield from variables(one)
    elif isinstance(data, dict):
        if isinstance(data.get("name"), str) and ("value" in data or "valueFrom" in data):
            yield data["name"], data.get("value", data.get("valueFrom"))
        if isinstance(data.get("environment"), dict):
            yield from data["environment"].items()
        for one in data.values():
            yield from variables(one)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "dockerfile" not in name])
def test_ray_requires_a_token_and_sends_no_usage_statistics(variant):
    content = variant_text(variant)
    for name, value in {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}.items():
        written = rf"{name}(=|: '?|\n +value: '?){value}\b"
        assert len(re.findall(written, content)) == content.count(name) > 0
    starts = len(re.findall(r"ray start|- start\n|symmetric-run|rayStartParams", content))
    assert starts
    assert len(re.findall("disable-usage-stats", content)) == starts


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "compose" in name])
def test_compose_publishes_on_this_machine_alone(variant):
    services = yaml.safe_load(variant_text(variant))["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert not [name for name, service in services.items() if "network_mode" in service]


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "ray-up" in name])
def test_the_dashboard_of_ray_up_is_reached_through_ssh_alone(variant):
    (start,) = re.findall(r"ray start --head.*", variant_text(variant))
    assert "--dashboard-host=127.0.0.1" in start


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "kuberay" in name])
def test_no_pod_runs_as_root_or_may_become_it(variant):
    documents = list(yaml.safe_load_all(variant_text(variant)))
    pods = [spec for spec in dicts(documents) if "containers" in spec]
    assert pods
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"] == container["resources"]["limits"]
    services = [one for one in documents if one["kind"] == "Service"]
    assert all(one["spec"]["type"] == "ClusterIP" for one in services)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "kuberay" in name])
def test_passwords_are_given_to_the_head_and_the_servers_and_to_no_worker(variant):
    documents = list(yaml.safe_load_all(variant_text(variant)))
    containers = {
        one["name"]: [v["name"] for v in one.get("env", []) if "valueFrom" in v]
        for spec in dicts(documents)
        for one in spec.get("containers", [])
    }
    assert containers["ray-worker"] == []
    assert "PGPASSWORD" in containers["ray-head"]


def dicts(data):
    if isinstance(data, list):
        for one in data:
            yield from dicts(one)
    elif isinstance(data, dict):
        yield data
        for one in data.values():
            yield from dicts(one)
