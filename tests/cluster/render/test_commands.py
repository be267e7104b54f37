"""The commands in launch files are ones that the programs know."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml
from ray.scripts.scripts import cli as ray_cli

from cluster.render import LAUNCHERS, render_launch_file
from study.cli.main import cli as study_cli
from tests.cluster.render.variants import VARIANTS, variant_text


def understand(cli: click.Group, words: list[str], parent: click.Context | None = None) -> None:
    """Let a program read its arguments without running anything."""
    context = click.Context(cli, parent=parent, **cli.context_settings)
    name, command, rest = cli.resolve_command(context, words)
    assert command is not None
    if isinstance(command, click.Group):
        understand(command, rest, context)
    else:
        command.make_context(name, rest, parent=context)


def ray_starts() -> list[str]:
    found = set()
    for variant in VARIANTS:
        content = variant_text(variant)
        found |= set(re.findall(r"ray start [^;\n]*", content))
        if "compose" in variant:
            services = yaml.safe_load(content)["services"]
            commands = [services[name]["command"] for name in ("head", "worker")]
            # With TLS another program makes the certificate and executes it.
            found |= {shlex.join(each[each.index("ray") :]) for each in commands}
        if "kuberay" in variant:
            found |= set(_kuberay_starts(yaml.safe_load_all(content)))
    return sorted(found)


def _kuberay_starts(documents) -> list[str]:
    """Write the options out as the operator does: a 'true' is a flag."""
    (one,) = (d for d in documents if d["kind"] in {"RayCluster", "RayJob"})
    spec = one["spec"].get("rayClusterSpec", one["spec"])
    (workers,) = spec["workerGroupSpecs"]
    starts = {
        "--head": spec["headGroupSpec"]["rayStartParams"],
        "--address=x:6379": workers["rayStartParams"],
    }
    return [
        " ".join(
            [
                "ray start",
                first,
                *(f"--{k}" if v == "true" else f"--{k}={v}" for k, v in o.items()),
            ]
        )
        for first, o in starts.items()
    ]


@pytest.mark.parametrize("command", ray_starts())
def test_commands_that_start_ray_are_valid(command):
    understand(ray_cli, shlex.split(command)[1:])


def test_a_start_with_a_mistake_is_seen():
    with pytest.raises(click.NoSuchOption, match="--num-cpu"):
        understand(ray_cli, ["start", "--head", "--num-cpux=1"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_studies_are_run_by_commands_of_ours(variant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"""challenger-study ((?:run|cluster) [^'#$"\n]+)""", variant_text(variant))
    assert shown or "dockerfile" in variant or "slurm" in variant
    for command in shown:
        understand(study_cli, shlex.split(command))


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "ray-up" in name])
def test_the_lines_at_the_top_are_commands_of_rays(variant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^#   (ray .*)", variant_text(variant), re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        understand(ray_cli, shlex.split(line.replace("FILE", "cluster.yaml"))[1:])


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "slurm" in name])
def test_the_study_that_a_batch_job_runs_is_a_command_of_ours(variant):
    assert 'exec challenger-study run "$@"' in variant_text(variant)
    understand(study_cli, ["run", "study.yaml", "--address", "10.0.0.1:6379"])


def test_the_lines_of_the_cluster_guide_write_files(tmp_path, monkeypatch):
    content = (Path(__file__).parents[3] / "docs" / "cluster.md").read_text(encoding="utf-8")
    lines = re.findall(r"^challenger-study (cluster render [^#\n]*)", content, re.MULTILINE)
    assert {line.split()[2] for line in lines} == set(LAUNCHERS)
    monkeypatch.chdir(tmp_path)
    for line in lines:
        understand(study_cli, shlex.split(line))
        launcher, *rest = shlex.split(line)[2:]
        pairs = [word for option, word in pairwise(rest) if option == "--set"]
        assert render_launch_file(launcher, pairs, line)
