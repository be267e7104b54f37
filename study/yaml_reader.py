"""Read YAML as people mean it: ``1e-3`` is a number, and a key given twice is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from study.errors import SpecError


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
        raise SpecError(f"{where} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(data, dict):
        raise SpecError(f"{where} must hold a mapping of settings, got {data!r}.")
    return data


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.YAMLError(
                f"key '{key}' is given twice (line {key_node.start_mark.line + 1})"
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# YAML 1.1, which pyyaml reads, takes 1e-3 for a text: it asks for a dot and a sign.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"),
    list("-+.0123456789"),
)
