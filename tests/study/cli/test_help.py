"""The text of every ``--help``.

After an intended change, ``python -m tests.study.cli.test_help`` rewrites the golden files.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

import click
import pytest

from study.cli import main

GOLDEN = Path(__file__).parent / "golden"


def find_commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    """Return the group and all commands below it by their words."""
    found: dict[tuple[str, ...], object] = {path: group}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = (*path, name)
        is_group = isinstance(command, click.Group)
        found |= find_commands(command, below) if is_group else {below: command}
    return found


COMMANDS = find_commands(main.cli)
IDS = [" ".join(path) or "group" for path in COMMANDS]


def golden(path: tuple[str, ...]) -> Path:
    return GOLDEN / f"{'-'.join(['challenger-study', *path])}.txt"


@pytest.mark.parametrize("path", COMMANDS, ids=IDS)
def test_help_equals_its_golden_file(path, run_cli):
    ended = run_cli(*path, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == golden(path).read_text(encoding="utf-8")
    assert run_cli(*path, "-h") == ended


def test_every_command_has_a_golden_file():
    assert {path.name for path in GOLDEN.iterdir()} == {golden(path).name for path in COMMANDS}


@pytest.mark.parametrize("path", list(COMMANDS)[1:], ids=IDS[1:])
def test_every_command_has_its_own_name_and_help_for_every_option(path):
    command = COMMANDS[path]
    assert isinstance(command, click.Command)
    assert command.name == path[-1]
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [o.name for o in options if not (o.help or o.name == "port")] == []


@pytest.mark.parametrize("group", [(), ("cluster",)])
def test_a_summary_in_the_group_agrees_with_the_command(group):
    context = click.Context(COMMANDS[group])
    for name, summary in COMMANDS[group]._summaries.items():
        command = COMMANDS[group].get_command(context, name)
        own, listed = words((command.help or "").split("\n\n")[0]), words(summary)
        assert own[0] == listed[0], name
        assert len(set(own) & set(listed)) >= 3, name


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def test_the_version_is_printed(run_cli):
    ended = run_cli("--version")
    assert ended.code == 0
    assert re.fullmatch(r"challenger-study, version \d+\.\d+\.\d+\n", ended.out)


def _write() -> None:
    os.environ["COLUMNS"] = "80"
    for path in COMMANDS:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            main.run([*path, "--help"])
        golden(path).write_text(text.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    _write()
