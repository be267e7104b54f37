"""A reader of YAML files: ``1e-3`` is a number, and a repeated key is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from study.records.errors import SpecError
from trainables.decoding import shown
from trainables.names import printable


def read_text(path: Path) -> str:
    """Read a text file that the user named.

    Raises:
        SpecError: If it cannot be read or is no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        # One that is longer is refused by the reader, without being read to its end.
        return content.decode("utf-8", "strict" if len(content) <= LONGEST else "replace")
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}; name a study file.") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path} is no UTF-8 text; name a study file (YAML).") from None


# A study file is written by people. Within these a file is read in well under a second.
LONGEST = 1 << 20
_MOST_ENTRIES = 10_000
_DEEPEST = 32

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


def read_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse one mapping; nothing in it can run code.

    Args:
        text: YAML.
        where: File name for messages.

    Raises:
        SpecError: If it is no YAML, no mapping, names a key twice, or is larger than any study.
    """
    if len(text) > LONGEST or text.count(",") + text.count("\n") > _MOST_ENTRIES:
        raise SpecError(
            f"{where} must be a study file, of at most 1 MiB and {_MOST_ENTRIES:,} lines or "
            "entries; write ranges instead of long lists."
        )
    try:
        data = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError(f"{where} is not valid YAML: {_reason(error)}.") from None
    if not isinstance(data, dict):
        found = "it is empty" if data is None else f"got {shown(data)}"
        raise SpecError(
            f"{where} must hold a mapping of settings, such as 'name: …', but {found}."
        )
    return data


class _Refused(yaml.MarkedYAMLError):
    def __init__(self, problem: str, node: yaml.Node) -> None:
        super().__init__(problem=problem, problem_mark=node.start_mark)


class _Loader(yaml.SafeLoader):
    # Only what JSON knows. Dates are texts, and so is 1:30, which YAML 1.1 takes for 90.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (pyyaml's)
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _size(node, {}) > _MOST_ENTRIES:
            raise _Refused(f"aliases make more than {_MOST_ENTRIES:,} values of it", node)
        return node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem=f"more than {_DEEPEST} levels of nesting", problem_mark=mark
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 (pyyaml's)
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused("a key must be a text", key)
            if key.tag != _MERGE and (key.tag, key.value) in seen:
                raise _Refused(f"key '{printable(key.value)}' is given twice", key)
            seen.add((key.tag, key.value))
        return node


def _size(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """Count the values of a node once all aliases are written out."""
    if node in known:
        if known[node] == 0 and isinstance(node, yaml.SequenceNode | yaml.MappingNode):
            raise _Refused("an alias must not stand for what it is a part of", node)
        return known[node]
    known[node] = 0
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        parts = node.value
    elif isinstance(node, yaml.MappingNode):
        # A mapping may be merged with itself, which leaves it as it is.
        parts = [v for k, v in node.value if not (k.tag == _MERGE and known.get(v) == 0)]
    known[node] = 1 + sum(_size(part, known) for part in parts)
    return known[node]


def _mapping(loader: _Loader, node: yaml.Node) -> dict[Hashable, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _Refused("must be a mapping", node)
    return loader.construct_mapping(node, deep=True)


def _list(loader: _Loader, node: yaml.Node) -> list[Any]:
    if not isinstance(node, yaml.SequenceNode):
        raise _Refused("must be a list", node)
    return loader.construct_sequence(node, deep=True)


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    if not _INTEGER.fullmatch(text):
        raise _Refused(f"must be an integer, got {shown(text)}", node)
    if re.fullmatch(r"[-+]?0[0-9]+", text):
        raise _Refused(
            f"{printable(text)} is another number in YAML 1.1 than in YAML 1.2; write it without "
            "a leading zero",
            node,
        )
    if len(text) > 20 or abs(int(text, 0)) >= 2**63:
        raise _Refused("an integer must lie within ±(2^63 - 1)", node)
    return int(text, 0)


def _real(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).replace("_", "").lower().replace(".inf", "inf")
    try:
        return float(text.replace(".nan", "nan"))
    except ValueError:
        raise _Refused(f"must be a number, got {shown(text)}", node) from None


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    text = str(loader.construct_scalar(node)).lower()
    if text not in loader.bool_values:
        raise _Refused(f"must be true or false, got {shown(text)}", node)
    return bool(loader.bool_values[text])


def _nothing(loader: _Loader, node: yaml.ScalarNode) -> None:
    loader.construct_scalar(node)


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        mark = error.problem_mark
        said = printable(error.problem, 160)
        return f"line {mark.line + 1}, column {mark.column + 1}: {said}"
    return printable(" ".join(str(error).split()), 160)


_INTEGER = re.compile(r"[-+]?(?:[0-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)")
_SCALARS = (
    ("null", _nothing, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (
        "bool",
        _truth,
        r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        list("yYnNtTfFoO"),
    ),
    ("int", _integer, _INTEGER.pattern, list("-+0123456789")),
    (
        "float",
        _real,
        r"[-+]?(?:(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))"
        r"|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", None, "<<", ["<"]),
)
for _name, _constructor, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _first)
    if _constructor is not None:
        _Loader.add_constructor(_TAG + _name, _constructor)
_Loader.yaml_constructors[f"{_TAG}str"] = _Loader.construct_yaml_str
_Loader.add_constructor(f"{_TAG}map", _mapping)
_Loader.add_constructor(f"{_TAG}seq", _list)
_Loader.yaml_constructors[None] = _Loader.construct_undefined
