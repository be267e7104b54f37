"""The JSON Schema of a study file, which editors complete and check by, and its reference.

``python -m study.config.reference`` prints the reference, with which docs/study-file.md ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click
from pydantic import TypeAdapter

from study.config.arm_decoder import ArmFile
from study.config.outline import Outline
from study.config.study_spec import Objective
from trainables.decoding import encode

HEADING: Final = "## Reference"
_Schema = Mapping[str, Any]
_BOUNDS: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}

_ABSENT_IN_DEFAULTS: Final = ("name", "method", "like", "passes_like")


def schema() -> dict[str, Any]:
    """Return the schema of a study file, as the records and their docstrings have it.

    Every dataset, model, method, attribution and metric that is known at the time is in it. An
    arm may leave out what the defaults say, and may name several datasets.
    """
    whole, arm, objective = (
        TypeAdapter(kind).json_schema() for kind in (Outline, ArmFile, Objective)
    )
    definitions = {**whole.pop("$defs", {}), **arm.pop("$defs", {})}
    said = {"default": encode(Objective()), **whole["properties"]["objective"]}
    whole["properties"]["objective"] = {**objective, **said}
    parts = arm["properties"]
    of_arm = {
        **parts,
        "datasets": {
            "type": "array",
            "minItems": 2,
            "description": "Datasets that share one search, by the mean gain over Base.",
        },
    }
    whole["properties"]["arms"]["items"] = {
        "type": "object",
        "description": arm["description"],
        "properties": of_arm,
        "required": ["method"],
        "additionalProperties": False,
    }
    whole["properties"]["defaults"] = {
        **whole["properties"]["defaults"],
        "type": "object",
        "properties": {k: v for k, v in parts.items() if k not in _ABSENT_IN_DEFAULTS},
        "additionalProperties": False,
    }
    whole["properties"]["defaults"].pop("anyOf", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        **({"$defs": definitions} if definitions else {}),
    }


def reference() -> str:
    """Return the reference as Markdown: a table of keys per level, and one per alternative."""
    whole = schema()
    arm = whole["properties"]["arms"]["items"]
    parts = {
        **arm["properties"],
        **{k: whole["properties"][k] for k in ("objective", "resources")},
    }
    sections = [
        ("### The file", *_table(whole["properties"])),
        ("### An arm, and `defaults`", *_table(arm["properties"])),
        *(section for key, part in parts.items() for section in _sections(key, part)),
    ]
    # The same alternatives stand under several keys, such as the attributions of methods.
    texts = [f"{title}\n\n" + "\n".join(lines) for title, *lines in dict.fromkeys(sections)]
    return "\n\n".join([HEADING, *texts]) + "\n"


def _sections(key: str, part: _Schema) -> Iterator[tuple[str, ...]]:
    """Yield title and lines of a key that holds settings, and of each of its alternatives."""
    item = part.get("items", part) if part.get("type") == "array" else part
    for option in _options(item):
        properties = option.get("properties", {})
        settings = {k: v for k, v in properties.items() if k != "name"}
        name = properties.get("name", {}).get("const")
        if option.get("type") != "object" or not (settings or name):
            continue
        title = f"### `{key}`" if name is None else f"### `{key}: {name}`"
        table = ("", *_table(settings)) if settings else ()
        yield (title, _cell(_first_line(option)), *table)
        for below_key, below in settings.items():
            if any("const" in o.get("properties", {}).get("name", {}) for o in _options(below)):
                yield from _sections(below_key, below)


def _options(part: _Schema) -> list[_Schema]:
    options: list[_Schema] = part.get("anyOf", [part])
    return options


def _table(properties: _Schema) -> list[str]:
    rows = [
        f"| `{key}` | {' | '.join(_cell(cell(part)) for cell in (_kind, _default, _first_line))} |"
        for key, part in properties.items()
    ]
    return ["| key | value | default | meaning |", "|---|---|---|---|", *rows]


def _kind(part: _Schema) -> str:
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "anyOf" in part:
        kinds = dict.fromkeys(_kind(option) for option in part["anyOf"])
        # The names of alternatives stand for their mappings of settings.
        return " or ".join(kind for kind in kinds if kind != "settings" or len(kinds) == 1)
    kind = {
        "integer": "integer",
        "number": "number",
        "string": "text",
        "boolean": "true, false",
        "array": "list",
        "object": "settings",
        "null": "null",
    }.get(part.get("type", ""), "any")
    bounds = [text.format(f"{part[key]:g}") for key, text in _BOUNDS.items() if key in part]
    return ", ".join([kind, *bounds])


def _default(part: _Schema) -> str:
    if "default" not in part:
        return ""
    value = part["default"]
    if isinstance(value, Mapping):
        value = value.get("name", "{}" if not value else "as below")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _first_line(part: _Schema) -> str:
    return str(part.get("description", "")).strip().split("\n\n")[0].replace("\n", " ")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


if __name__ == "__main__":
    click.echo(reference(), nl=False)
