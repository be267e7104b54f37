"""A reader of YAML files: ``1e-3`` is a number, and a repeated key is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from study.records.errors import SpecError


def read_text(path: Path) -> str:
    """Read a text file that the user named.

    Raises:
        SpecError: If it cannot be read or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}; name a study file.") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path} is no UTF-8 text; name a study file (YAML).") from None


_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse one mapping; nothing in it can run code.

    Args:
        text: YAML.
        where: File name for messages.

    Raises:
        SpecError: If it is no YAML, no mapping, or names a key twice.
    """
    try:
        data = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError(f"{where} is not valid YAML: {_reason(error)}.") from None
    if not isinstance(data, dict):
        found = "it is empty" if data is None else f"got {_shortened(data)}"
        raise SpecError(
            f"{where} must hold a mapping of settings, such as 'name: …', but {found}."
        )
    return data


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == _MERGE:
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise _Refused("a key must be a text", key_node.start_mark)
        if key in seen:
            raise _Refused(f"key '{key}' is given twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


class _Refused(yaml.MarkedYAMLError):
    def __init__(self, problem: str, mark: yaml.Mark) -> None:
        super().__init__(problem=problem, problem_mark=mark)


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _shortened(data: object) -> str:
    text = repr(data)
    return text if len(text) <= 60 else f"{text[:60]}…"


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# YAML 1.1, which pyyaml reads, takes 1e-3 for a text: it asks for a dot and a sign.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
