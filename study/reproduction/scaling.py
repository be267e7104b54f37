"""The same study, smaller: what a scale replaces, and what then differs from the paper's.

A scale names settings by where they stand. ``training``, ``replicas``, ``search`` and
``evaluation`` replace values that the preset spells out, in its defaults and in its arms;
``datasets`` and ``models`` change the settings of those of a name, wherever they occur;
``sweeps`` replaces the values of a sweep over a dimension, ``resources`` what a trial occupies;
``arms`` is merged into the arms of a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from study.errors import SpecError
from study.reproduction.preset import Preset
from study.spec import StudySpec, merge
from trainables.decoding import encode
from trainables.names import suggestion

_REPLACED = ("training", "replicas", "search", "evaluation")
_NAMED = {"datasets": "dataset", "models": "model"}
_COMPARED = ("dataset", "model", "training", "replicas", "search", "evaluation", "sensitivity")


def at_scale(preset: Preset, scale: str) -> dict[str, Any]:
    """Give the study file of a scale, named after the preset and the scale.

    Raises:
        SpecError: If the preset has no such scale, or it names what no scale may.
    """
    study = {**preset.study, "name": f"{preset.name}-{scale}"}
    if scale == "full":
        return study
    if scale not in preset.scales:
        hint = suggestion(scale, [*preset.scales, "full"])
        raise SpecError(f"{preset.name} has no scale {scale!r}; {hint}")
    patch = preset.scales[scale]
    for key in patch:
        if key not in (*_REPLACED, *_NAMED, "sweeps", "resources", "arms"):
            raise SpecError(f"{preset.name}.yaml: scales.{scale}.{key} is not a setting.")
    return {
        **study,
        "resources": {**study.get("resources", {}), **patch.get("resources", {})},
        "defaults": _scaled(study.get("defaults", {}), patch),
        "arms": [
            merge(_scaled(arm, patch), patch.get("arms", {}).get(arm.get("name"), {}))
            for arm in study["arms"]
        ],
    }


def differences(full: StudySpec, ours: StudySpec, arm: str) -> tuple[str, ...]:
    """Say in which settings an arm differs from the paper's setting: ``epochs 100 → 2``."""
    theirs, mine = (dict(_settings(spec, arm)) for spec in (full, ours))
    return tuple(
        f"{key} {_shown(theirs.get(key))} → {_shown(mine.get(key))}"
        for key in dict.fromkeys((*theirs, *mine))
        if theirs.get(key) != mine.get(key)
    )


def _scaled(part: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    scaled = {
        key: _replaced(value, patch[key]) if key in _REPLACED and key in patch else value
        for key, value in part.items()
    }
    for plural, key in _NAMED.items():
        if key in scaled:
            scaled[key] = _named(scaled[key], patch.get(plural, {}))
    if "datasets" in scaled:
        scaled["datasets"] = [_member(member, patch) for member in scaled["datasets"]]
    if "sensitivity" in scaled:
        sweeps = patch.get("sweeps", {})
        scaled["sensitivity"] = [
            {**sweep, "values": sweeps[sweep["over"]]} if sweep["over"] in sweeps else sweep
            for sweep in scaled["sensitivity"]
        ]
    return scaled


def _replaced(value: Any, patch: Any) -> Any:  # noqa: ANN401 (YAML)
    if isinstance(value, Mapping) and isinstance(patch, Mapping):
        return {
            key: _replaced(item, patch[key]) if key in patch else item
            for key, item in value.items()
        }
    # A mapping in place of a plain value (an alternative by its name alone) replaces nothing.
    return value if isinstance(patch, Mapping) else patch


def _named(value: Any, patches: Mapping[str, Any]) -> Any:  # noqa: ANN401
    settings = dict(value) if isinstance(value, Mapping) else {"name": value}
    return {**settings, **patches.get(settings["name"], {})}


def _member(member: Any, patch: Mapping[str, Any]) -> Any:  # noqa: ANN401
    if isinstance(member, Mapping) and "dataset" in member:
        return _scaled(member, patch)
    return _named(member, patch.get("datasets", {}))


def _settings(spec: StudySpec, name: str) -> Iterator[tuple[str, object]]:
    data = encode(spec.arm(name))
    data["search"] = {"trials": data["search"]["trials"]}
    for key in _COMPARED:
        yield from _leaves(key, data[key])


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}", item)
    else:
        yield path, value


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "all" if value is None else str(value)
