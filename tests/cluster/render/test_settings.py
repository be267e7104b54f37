"""Settings: refused values, ``--set``, and an effect of each in some format."""

from __future__ import annotations

from functools import cache

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import LaunchError
from cluster.render import (
    LAUNCHERS,
    LaunchSettings,
    describe_settings,
    parse_overrides,
    render_launch_file,
    render_settings,
)
from cluster.render.overrides import resolve_key, setting_fields

AWS = ["provider=aws", "file_system=fs-1.efs.eu-central-1.amazonaws.com"]
CHANGES = {
    "name": "name=lab",
    "image": "image=registry/own:2",
    "user_id": "user_id=1234",
    "environment": "environment=/home/me/venv",
    "study": "study=mine.yaml",
    "storage": "storage=/scratch",
    "database": "database=postgresql+psycopg://me@db/studies",
    "tracking": "tracking=https://mlflow.example.org",
    "postgres": "postgres=postgres:18-bookworm",
    "tls": "tls=true",
    "idle_timeout_minutes": "idle_timeout_minutes=3",
    "head.cpus": "head.cpus=3",
    "head.memory_gb": "head.memory_gb=32",
    "workers.min": "workers.min=3",
    "workers.max": "workers.max=9",
    "workers.cpus": "workers.cpus=7",
    "workers.gpus": "workers.gpus=2",
    "workers.memory_gb": "workers.memory_gb=64",
    "versions.ray": "versions.ray=2.61.0",
    "versions.python": "versions.python=3.12.1",
    "versions.mlflow": "versions.mlflow=3.18.1",
    "versions.optuna_dashboard": "versions.optuna_dashboard=0.22.0",
    "kubernetes.namespace": "namespace=lab",
    "kubernetes.kind": "kind=RayJob",
    "kubernetes.claim": "claim=shared",
    "kubernetes.storage_class": "storage_class=nfs",
    "kubernetes.storage_gb": "storage_gb=7",
    "kubernetes.database_gb": "database_gb=7",
    "kubernetes.artifacts_gb": "artifacts_gb=7",
    "kubernetes.pull_secret": "pull_secret=registry",
    "kubernetes.queue": "queue=students",
    "ray_up.head_ip": "head_ip=10.0.0.1",
    "ray_up.worker_ips": "worker_ips=10.0.0.2,10.0.0.3",
    "ray_up.ssh_user": "ssh_user=me",
    "ray_up.ssh_key": "ssh_key=~/.ssh/lab",
    "ray_up.container": "container=false",
    "slurm.partition": "partition=gpu",
    "slurm.account": "account=lab",
    "slurm.time": "slurm.time=30:00",
    "slurm.interface": "interface=ib0",
    "compose.dashboard": "compose.dashboard=true",
    "dockerfile.torch_backend": "torch_backend=cpu",
    "dockerfile.packages": "packages=boto3",
}
# These have an effect together with others alone.
TOGETHER = {
    "kubernetes.gpu_resource": ("kuberay", ["workers.gpus=1", "gpu_resource=amd.com/gpu"]),
    "ray_up.provider": ("ray-up", AWS),
    "aws.file_system": ("ray-up", AWS),
    "aws.region": ("ray-up", [*AWS, "region=us-east-1"]),
    "aws.head_type": ("ray-up", [*AWS, "head_type=m7i.xlarge"]),
    "aws.worker_type": ("ray-up", [*AWS, "worker_type=g6.xlarge"]),
    "aws.spot": ("ray-up", [*AWS, "spot=true"]),
}
_ADDRESSES = "must differ from each other and from head_ip, which is 127.0.0.1, got 127.0.0.1"
_FOLDER = "must be an absolute path without '..' and without '/' at its end, got"
_TIMES = "must be minutes, hours:minutes:seconds or days-hours:minutes:seconds, got 'soon'"
_UNKNOWN = "is not a setting; did you mean"
# A pair that is refused, and its message; a rule about one value ends with "; correct it.".
REFUSED = {
    "workers.min=x": "workers.min must be a valid integer, got 'x'; correct it.",
    "workers.min=-1": "workers.min must be greater than or equal to 0, got '-1'; correct it.",
    "workers.min=9": "workers.max must be at least min, which is 9, got 4; correct it.",
    "workers.mxa=3": f"'workers.mxa' {_UNKNOWN} 'workers.max'?",
    "namespce=lab": f"'namespce' {_UNKNOWN} 'kubernetes.namespace'?",
    "cpus=2": "cpus can mean head.cpus or workers.cpus; write one of them out.",
    "workers": "a setting must be written key=value, got 'workers'; add its value.",
    "container=maybe": "ray_up.container must be a valid boolean, got 'maybe'; correct it.",
    "kind=RayService": "kubernetes.kind must be 'RayCluster' or 'RayJob', got 'RayService'; "
    "correct it.",
    "name=My Lab": "name must be lower-case letters, digits and -, a letter first, got 'My Lab'; "
    "correct it.",
    f"name={'a' * 41}": f"name must have at most 40 characters, got {'a' * 41!r}; correct it.",
    "image=own": "image must be an image with a tag or a digest, such as registry/name:1.0, got "
    "'own'; correct it.",
    "image=own:latest": "image must name a version of the image, not 'latest', got 'own:latest'; "
    "correct it.",
    "storage=here": f"storage {_FOLDER} 'here'; correct it.",
    "storage=/a/../b": f"storage {_FOLDER} '/a/../b'; correct it.",
    "study=/a/b.yaml": "study must be the name of a YAML file in the current folder, got "
    "'/a/b.yaml'; correct it.",
    "versions.ray=new": "versions.ray must be a version such as 2.1, got 'new'; correct it.",
    "slurm.time=soon": f"slurm.time {_TIMES}; correct it.",
    "partition=$(id)": "slurm.partition must be letters, digits and . _ , : = + / @ ~ -, got "
    "'$(id)'; correct it.",
    "worker_ips=127.0.0.1": f"ray_up.worker_ips {_ADDRESSES}; correct it.",
    "head_ip=a b": "ray_up.head_ip must be an IPv4 address or a host name, got 'a b'; correct it.",
    "database=sqlite:///x.db": "database must be a URL that begins with postgresql+psycopg://; "
    "correct it.",
    "tracking=mlflow:5000": "tracking must be a URL that begins with http:// or https://; "
    "correct it.",
}


def test_settings_that_are_not_set_are_the_defaults():
    assert parse_overrides([]) == LaunchSettings()


def test_the_last_part_of_a_key_is_enough_where_it_is_unique():
    assert (
        resolve_key("namespace=lab")
        == resolve_key("kubernetes.namespace=lab")
        == "kubernetes.namespace"
    )
    assert parse_overrides(["worker_ips=a, b,"]).ray_up.worker_ips == ("a", "b")


@pytest.mark.parametrize("pair", REFUSED)
def test_a_wrong_setting_is_refused_with_its_key(pair):
    with pytest.raises(LaunchError) as caught:
        parse_overrides([pair])
    assert str(caught.value) == REFUSED[pair]


def test_an_unknown_key_that_is_close_to_none_is_answered_with_all():
    with pytest.raises(LaunchError, match=r"^'zzz' is not a setting; known: name, image, .*\.$"):
        parse_overrides(["zzz=1"])


def test_a_setting_may_be_set_once():
    with pytest.raises(LaunchError, match=r"^kubernetes\.namespace was set twice; leave one"):
        parse_overrides(["namespace=a", "kubernetes.namespace=b"])


def test_a_default_that_is_set_is_no_change():
    pairs = list(describe_settings(LaunchSettings()))
    assert parse_overrides(pairs) == LaunchSettings()
    for launcher in LAUNCHERS:
        assert render_launch_file(launcher, pairs) == default_text(launcher)


@cache
def default_text(launcher: str) -> str:
    return render_launch_file(launcher, [])


def changes_or_is_refused(launcher: str, key: str) -> bool:
    pairs = [CHANGES[key]]
    if render_settings(launcher, parse_overrides(pairs)) != default_text(launcher):
        render_launch_file(launcher, pairs)
        return True
    with pytest.raises(LaunchError) as caught:
        render_launch_file(launcher, pairs)
    assert str(caught.value) == (
        f"{key} changes nothing in a {launcher} file with these settings; leave it out."
    )
    return False


@pytest.mark.parametrize("key", CHANGES)
def test_a_setting_changes_some_format_and_is_refused_by_the_others(key):
    assert any([changes_or_is_refused(launcher, key) for launcher in LAUNCHERS])  # noqa: C419 (all)


@pytest.mark.parametrize("key", TOGETHER)
def test_a_setting_that_needs_others_changes_a_file_with_them(key):
    launcher, pairs = TOGETHER[key]
    render_launch_file(launcher, pairs)


def test_every_setting_is_tested():
    assert set(CHANGES) | set(TOGETHER) == set(setting_fields())


def test_an_unknown_format_is_answered_with_the_closest():
    with pytest.raises(LaunchError, match=r"^'kubray' is no format .*did you mean 'kuberay'\?$"):
        render_launch_file("kubray", [])


def test_every_setting_is_described_and_written_as_it_can_be_set():
    listed = describe_settings(LaunchSettings())
    assert [setting.partition("=")[0] for setting in listed] == list(setting_fields())
    for setting, description in listed.items():
        assert description.endswith("."), setting


def test_machines_of_aws_need_a_file_system():
    with pytest.raises(LaunchError, match=r"^aws\.file_system must name .* but is empty; give"):
        render_launch_file("ray-up", ["provider=aws"])


@given(st.text(), st.sampled_from(sorted(setting_fields())))
def test_no_accepted_text_has_characters_of_a_shell(value, key):
    """An accepted text is one word: no space, quote, dollar, newline or the like."""
    try:
        settings = parse_overrides([f"{key}={value}"])
    except LaunchError:
        return
    for word in texts(settings.model_dump()):
        assert not set(word) & set(" \t\n\r\0'\"`$\\;&|<>(){}[]*!#")


def texts(data):
    for value in data.values() if isinstance(data, dict) else data:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | tuple):
            yield from texts(value)


def test_words_that_yaml_reads_as_other_types_stay_texts():
    pairs = ["name=null", "namespace=yes", "claim=off", "kind=RayJob", "versions.ray=2.10"]
    *_, job = yaml.safe_load_all(render_launch_file("kuberay", pairs))
    assert (job["metadata"]["name"], job["metadata"]["namespace"]) == ("null", "yes")
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == "2.10"
    assert yaml.safe_load(render_launch_file("compose", ["name=null"]))["name"] == "null"
    assert yaml.safe_load(render_launch_file("ray-up", ["name=on"]))["cluster_name"] == "on"
