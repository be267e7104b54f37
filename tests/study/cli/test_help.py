"""What ``--help`` says, word for word.

After a wanted change: ``python -m tests.study.cli.test_help`` writes the golden files anew.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from pathlib import Path

import click
import pytest

from study.cli import cluster_commands, main

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = [
    [],
    *([name] for name in sorted(main._COMMANDS)),
    *(["cluster", name] for name in sorted(cluster_commands._COMMANDS)),
    ["data", "check"],
    ["data", "fetch"],
    ["mlflow", "rebuild"],
]


def golden(command: list[str]) -> Path:
    return GOLDEN / f"{'-'.join(['challenger-study', *command])}.txt"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "group")
def test_help_is_what_it_was(command, call):
    ended = call(*command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == golden(command).read_text(encoding="utf-8")
    assert call(*command, "-h") == ended


def test_there_is_a_golden_file_for_every_command_and_no_other():
    assert {path.name for path in GOLDEN.iterdir()} == {golden(c).name for c in COMMANDS}


@pytest.mark.parametrize("name", sorted(main._COMMANDS))
def test_every_command_loads_under_its_own_name(name):
    command = importlib.import_module(f"study.cli.{name}_command").command
    assert isinstance(command, click.Command)
    assert command.name == name


def test_every_command_file_is_a_command_of_the_group():
    folder = Path(main.__file__).parent
    below = {f"cluster_{name}" for name in cluster_commands._COMMANDS}
    assert {path.name.removesuffix("_command.py") for path in folder.glob("*_command.py")} == (
        set(main._COMMANDS) | below
    )


@pytest.mark.parametrize("name", sorted(main._COMMANDS))
def test_the_group_says_of_a_command_what_the_command_says_of_itself(name):
    command = importlib.import_module(f"study.cli.{name}_command").command
    own = words((command.help or "").split("\n\n")[0])
    group = words(main._COMMANDS[name])
    assert own[0] == group[0]
    assert len(set(own) & set(group)) >= 3


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


@pytest.mark.parametrize("name", sorted(main._COMMANDS))
def test_every_option_says_what_it_is_for(name):
    command = importlib.import_module(f"study.cli.{name}_command").command
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [o.name for o in options if not (o.help or o.name == "port")] == []


def test_the_version_is_said(call):
    ended = call("--version")
    assert ended.code == 0
    assert re.fullmatch(r"challenger-study, version \d+\.\d+\.\d+\n", ended.out)


def _write() -> None:
    os.environ["COLUMNS"] = "80"
    for command in COMMANDS:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            main.run([*command, "--help"])
        golden(command).write_text(said.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    _write()
