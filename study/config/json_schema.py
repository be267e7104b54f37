"""The JSON Schema of a study file, which editors complete and check by."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from study.config.arm_decoder import ArmFile
from study.config.study_spec import StudyFile

_ABSENT_IN_DEFAULTS = ("name", "method")


def schema() -> dict[str, Any]:
    """Return the schema of a study file, as the records and their docstrings have it.

    Every dataset, model, method, attribution and metric that is known at the time is in it. An
    arm may leave out what the defaults say, and may name several datasets.
    """
    whole, arm = (TypeAdapter(kind).json_schema() for kind in (StudyFile, ArmFile))
    definitions = {**whole.pop("$defs", {}), **arm.pop("$defs", {})}
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
