"""An arm's own keys laid over the defaults of a study file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Alternatives with a name, for which the name alone may stand.
_TAGGED = ("dataset", "model", "method", "optimizer", "design")


def merge(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay an arm's own keys over the defaults, at every depth.

    Another alternative replaces the default one with all its settings; the same one, or none
    named, changes single settings.

    Example:
        >>> merge({"optimizer": {"name": "sgd", "lr": 0.1}}, {"optimizer": {"lr": 0.2}})
        {'optimizer': {'name': 'sgd', 'lr': 0.2}}
        >>> merge({"optimizer": {"name": "sgd", "lr": 0.1}}, {"optimizer": "adam"})
        {'optimizer': 'adam'}
    """
    merged = dict(defaults)
    for key, value in own.items():
        base, over = _as_mapping(key, merged.get(key)), _as_mapping(key, value)
        if isinstance(base, Mapping) and isinstance(over, Mapping) and _is_same(base, over):
            merged[key] = merge(base, over)
        else:
            merged[key] = value
    return merged


def has_path(tree: object, keys: Sequence[str]) -> bool:
    """Return whether a file has a value at a path.

    Example:
        >>> has_path({"search": {"trials": 3}}, ["search", "trials"])
        True
    """
    for key in keys:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True


def _as_mapping(key: str, value: object) -> object:
    return {"name": value} if key in _TAGGED and isinstance(value, str) else value


def _is_same(base: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    return bool(own.get("name", base.get("name")) == base.get("name"))
