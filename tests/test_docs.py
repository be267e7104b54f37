"""README and docs: links lead somewhere, examples are study files, command lines are commands."""

from __future__ import annotations

import copy
import re
import shlex
from pathlib import Path
from typing import Final

import click
import pytest
import yaml

from study.cli.main import cli
from study.config.reference import HEADING, reference
from study.config.study_spec import parse
from tests.support.own_data import write_own_data
from tests.support.plug_ins import write_examples

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = (
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
EXAMPLES: Final = tuple(sorted((ROOT / "docs" / "examples").glob("*.yaml")))


def _blocks(page: Path, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M)
    return [block for kind, block in found if kind == language]


def _commands() -> list[tuple[str, str]]:
    pattern = re.compile(r"^(?:pip install uv && )?(?:uv run )?challenger-study (.+?)(?:\s#.*)?$")
    return [
        (page.name, match[1].strip())
        for page in PAGES
        for block in _blocks(page, "")
        for match in map(pattern.match, block.splitlines())
        if match is not None
    ]


def _leaf(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and its arguments."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        below = command.get_command(click.Context(command), words[0])
        if below is None:
            break
        command, words = below, words[1:]
    return command, words


def test_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize(("page", "line"), _commands())
def test_a_command_line_of_the_docs_is_one_of_ours(page: str, line: str) -> None:
    command, arguments = _leaf(shlex.split(line))
    assert command is not cli, page
    # A file need not exist, and nothing is run.
    parameters = [copy.copy(parameter) for parameter in command.params]
    for parameter in parameters:
        if isinstance(parameter.type, click.Path):
            parameter.type = click.STRING
    click.Command(command.name, params=parameters).make_context(command.name, arguments)


@pytest.mark.parametrize(
    ("page", "block"),
    [(page.name, block) for page in PAGES for block in _blocks(page, "yaml") if "arms:" in block],
)
def test_a_study_of_the_docs_is_a_study_file(page: str, block: str, tmp_path: Path) -> None:
    write_examples(tmp_path)
    write_own_data(tmp_path)
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "parts.py").touch()
    assert parse(block, page, tmp_path).arms


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_study_file_named_like_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert parse(text, path.name).name == path.stem == yaml.safe_load(text)["name"]


def test_the_reference_of_the_study_file_is_current() -> None:
    """``python -m study.config.reference`` prints what the page must end with."""
    page = (ROOT / "docs" / "study-file.md").read_text(encoding="utf-8")
    assert page[page.index(HEADING) :] == reference()
