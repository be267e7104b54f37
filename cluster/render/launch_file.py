"""A launch file as its renderer returns it, and how YAML and templates become its text."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFile:
    """What a renderer makes of settings.

    Attributes:
        usage: Lines that say how the file is used, in which it is called FILE; they stand at its
            top as comments.
        content: What it holds: a text, or documents of plain data, which are written as YAML.
        header: What must stand before any comment.
    """

    usage: tuple[str, ...]
    content: str | tuple[Any, ...]
    header: str = ""

    def text(self, command: str, name: str = "FILE") -> str:
        """Give the whole file.

        Args:
            command: With which command it was made.
            name: What the file is called, for the lines that say how it is used.
        """
        lines = (f"Made by: {command}", "", *(line.replace("FILE", name) for line in self.usage))
        return self.header + "".join(f"# {line}".rstrip() + "\n" for line in lines) + self._body()

    def _body(self) -> str:
        return self.content if isinstance(self.content, str) else to_yaml(self.content)


def usage_lines(text: str) -> tuple[str, ...]:
    """Give the lines of a text that is indented as the code around it is."""
    return tuple(textwrap.dedent(text).strip().splitlines())


def to_yaml(documents: Sequence[Any]) -> str:
    r"""Write plain data as YAML in the order in which it was put together.

    Example:
        >>> print(to_yaml([{"b": [1], "a": "x\ny\n"}]), end="")
        b:
          - 1
        a: |
          x
          y
    """
    return yaml.dump_all(
        documents,
        Dumper=_YamlDumper,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
        explicit_start=len(documents) > 1,
    )


class _YamlDumper(yaml.SafeDumper):
    """Without references, with lists indented and texts of several lines as they are."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 (pyyaml's)
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_YamlDumper.add_representer(str, _represent_text)


def drop_empty(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None, empty or False: a key that is not there is the default."""
    return {key: value for key, value in data.items() if value not in (None, "", [], {}, False)}


def render_template(name: str, **values: Any) -> str:  # noqa: ANN401 (whatever the template asks for)
    """Fill a template.

    Args:
        name: Its file.
        values: What it asks for; ``| quote`` in it makes one word of a shell.

    Raises:
        jinja2.UndefinedError: If it asks for something else.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        # Scripts and Dockerfiles are no HTML.
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = shlex.quote
    text = (files("cluster.render") / "templates" / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(**values)
