"""``cluster render``: what it prints, writes and refuses."""

from __future__ import annotations

import importlib

import click
import pytest

from cluster.render import LAUNCHERS
from study.cli import cluster_command, cluster_render_command
from tests.study.cli.test_imports import loaded_after


def test_the_command_offers_every_format():
    assert tuple(LAUNCHERS) == cluster_render_command.FORMATS


@pytest.mark.parametrize("name", cluster_command._COMMANDS)
def test_every_command_of_the_group_loads_under_its_own_name(name):
    command = importlib.import_module(f"study.cli.cluster_{name}_command").command
    assert isinstance(command, click.Command)
    assert command.name == name


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_file_says_with_which_command_it_was_made(call, launcher):
    ended = call("cluster", "render", launcher, "--set", "image=registry/own:1")
    if launcher == "slurm":
        assert ended.code == 2
        ended = call("cluster", "render", launcher, "--set", "name=lab")
    assert (ended.code, ended.err) == (0, "")
    assert f"# Made by: challenger-study cluster render {launcher} --set " in ended.out


def test_a_file_is_written_and_named_in_its_own_lines(call, tmp_path):
    ended = call("cluster", "render", "slurm", "-o", "lab.sh", "--set", "partition=gpu")
    assert (ended.code, ended.out, ended.err) == (0, "lab.sh\n", "")
    content = (tmp_path / "lab.sh").read_text(encoding="utf-8")
    assert content.startswith("#!/bin/bash\n# Made by: ")
    assert "#   sbatch lab.sh " in content
    assert "#SBATCH --partition=gpu\n" in content


def test_a_file_that_exists_is_replaced_by_force_alone(call, tmp_path):
    (tmp_path / "mine.yaml").write_text("mine", encoding="utf-8")
    ended = call("cluster", "render", "kuberay", "-o", "mine.yaml")
    assert ended.code == 2
    assert ended.err.endswith(
        "Error: mine.yaml must not exist, but does; replace it with --force, or give another FILE "
        "with -o.\n"
    )
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == "mine"
    assert call("cluster", "render", "kuberay", "-o", "mine.yaml", "--force").code == 0
    assert "RayCluster" in (tmp_path / "mine.yaml").read_text(encoding="utf-8")


def test_a_wrong_setting_leaves_no_file(call, tmp_path):
    ended = call("cluster", "render", "kuberay", "-o", "new.yaml", "--set", "workers.mxa=3")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "LaunchError: 'workers.mxa' is not a setting; did you mean 'workers.max'?\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_setting_without_effect_is_refused(call):
    ended = call("cluster", "render", "slurm", "--set", "namespace=lab")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "LaunchError: kubernetes.namespace changes nothing in a slurm file with these settings; "
        "leave it out.\n"
    )


def test_an_unknown_format_is_refused(call):
    ended = call("cluster", "render", "kubernetes")
    assert ended.code == 2
    assert "'kubernetes' is not one of 'compose', 'dockerfile', 'kuberay'," in ended.err


def test_settings_are_listed_with_their_values_and_meanings(call):
    ended = call("cluster", "render", "slurm", "--list", "--set", "workers.max=9")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["name=challenger", "What", "the", "cluster", "is", "called."]
    assert [line.split()[0] for line in lines if line.startswith("workers.max")] == [
        "workers.max=9"
    ]


def test_rendering_loads_nothing_heavy(tmp_path):
    code = "from study.cli.main import run; assert run(['cluster', 'render', 'kuberay']) == 0"
    assert loaded_after(code, tmp_path) == set()
