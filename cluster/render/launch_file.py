"""A launch file as its renderer gives it: how it is used, and what it holds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFile:
    """What a renderer makes of settings.

    Attributes:
        usage: Lines that say how the file is used, in which it is called FILE; they stand at its
            top as comments.
        content: What it holds: a text, or documents of plain data, which are written as YAML.
        opening: What must stand before any comment.
    """

    usage: tuple[str, ...]
    content: str | tuple[Any, ...]
    opening: str = ""

    def text(self, command: str, name: str = "FILE") -> str:
        """Give the whole file.

        Args:
            command: With which command it was made.
            name: What the file is called, for the lines that say how it is used.
        """
        lines = (f"Made by: {command}", "", *(line.replace("FILE", name) for line in self.usage))
        return self.opening + "".join(f"# {line}".rstrip() + "\n" for line in lines) + self._body()

    def _body(self) -> str:
        return self.content if isinstance(self.content, str) else yaml_text(self.content)


def usage_lines(text: str) -> tuple[str, ...]:
    """Give the lines of a text that is indented as the code around it is."""
    return tuple(textwrap.dedent(text).strip().splitlines())


def yaml_text(documents: Sequence[Any]) -> str:
    r"""Write plain data as YAML in the order in which it was put together.

    Example:
        >>> print(yaml_text([{"b": [1], "a": "x\ny\n"}]), end="")
        b:
          - 1
        a: |
          x
          y
    """
    return yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
        explicit_start=len(documents) > 1,
    )


class _Dumper(yaml.SafeDumper):
    """Without references, with lists indented and texts of several lines as they are."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 (pyyaml's)
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)


def without_empty(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None, empty or False: a key that is not there is the default."""
    return {key: value for key, value in data.items() if value not in (None, "", [], {}, False)}
