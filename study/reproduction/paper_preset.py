"""Presets: a study file with its scales and the numbers that the paper prints.

A preset is a study file with three more keys: ``scales``, ``paper`` (printed numbers) and
``unknown`` (settings that the paper does not state, in a sentence). Without a scale it is the
paper's configuration, scale ``full``. In a scale, ``training``, ``replicas``, ``search`` and
``evaluation`` replace values that the preset sets; ``datasets`` and ``models`` change the
entries of a name; ``sweeps`` replaces the values of a sweep, ``resources`` those of a trial;
``arms`` is merged into the arms of a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from study.config.defaults import merge
from study.config.study_spec import StudySpec
from study.config.yaml_reader import read_yaml
from study.records.errors import SpecError
from trainables.decoding import decode, encode, record
from trainables.errors import ConfigError
from trainables.names import suggestion

SCALES = ("smoke", "small", "full")


@record
class PaperRow:
    """A number that the paper prints.

    Attributes:
        row: Its row in the paper, ``tinyMNIST, Ours``.
        arm: The corresponding arm of the study.
        value: The number in the paper's unit, in which results are shown.
        note: Reason why it must not be compared, or None.
    """

    row: str
    arm: str
    metric: str
    value: float
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A parsed preset.

    Attributes:
        name: Name of its file.
        study: The study file at full scale, as plain data.
        scales: Scale to its replacements.
        paper: Printed numbers.
        unknown: Settings that the paper does not state.
    """

    name: str
    study: Mapping[str, Any]
    scales: Mapping[str, Mapping[str, Any]]
    paper: tuple[PaperRow, ...]
    unknown: str


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets that reproduce the papers, sorted."""
    folder = files("study.presets")
    return tuple(
        sorted(
            file.name.removesuffix(".yaml")
            for file in folder.iterdir()
            if file.name.endswith(".yaml") and file.name != "demo.yaml"
        )
    )


def load_preset(name: str) -> Preset:
    """Read a preset.

    Raises:
        SpecError: If there is none of that name.
    """
    if name not in preset_names():
        hint = suggestion(name, preset_names())
        raise SpecError(f"there is no preset {name!r} to reproduce; {hint}")
    where = f"{name}.yaml"
    data = read_yaml((files("study.presets") / where).read_text(encoding="utf-8"), where)
    try:
        return Preset(
            name=name,
            scales=data.pop("scales"),
            paper=decode(tuple[PaperRow, ...], data.pop("paper"), "paper"),
            unknown=data.pop("unknown"),
            study=data,
        )
    except ConfigError as error:
        raise SpecError(f"{where}: {error}") from None


_REPLACED = ("training", "replicas", "search", "evaluation")
_NAMED = {"datasets": "dataset", "models": "model"}
_COMPARED = ("dataset", "model", "training", "replicas", "search", "evaluation", "sensitivity")


def at_scale(preset: Preset, scale: str) -> dict[str, Any]:
    """Return the study file of a scale, named after the preset and the scale.

    Raises:
        SpecError: If the preset has no such scale, or the scale has an unknown key.
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
        "defaults": _patch_part(study.get("defaults", {}), patch),
        "arms": [
            merge(_patch_part(arm, patch), patch.get("arms", {}).get(arm.get("name"), {}))
            for arm in study["arms"]
        ],
    }


def differences(full: StudySpec, ours: StudySpec, arm: str) -> tuple[str, ...]:
    """Return the settings in which an arm differs from the paper: ``epochs 100 → 2``."""
    theirs, mine = (dict(_settings(spec, arm)) for spec in (full, ours))
    return tuple(
        f"{key} {_format_setting(theirs.get(key))} → {_format_setting(mine.get(key))}"
        for key in dict.fromkeys((*theirs, *mine))
        if theirs.get(key) != mine.get(key)
    )


def _patch_part(part: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    scaled = {
        key: _patch_value(value, patch[key]) if key in _REPLACED and key in patch else value
        for key, value in part.items()
    }
    for plural, key in _NAMED.items():
        if key in scaled:
            scaled[key] = _patch_named(scaled[key], patch.get(plural, {}))
    if "datasets" in scaled:
        scaled["datasets"] = [_patch_member(member, patch) for member in scaled["datasets"]]
    if "sensitivity" in scaled:
        sweeps = patch.get("sweeps", {})
        scaled["sensitivity"] = [
            {**sweep, "values": sweeps[sweep["over"]]} if sweep["over"] in sweeps else sweep
            for sweep in scaled["sensitivity"]
        ]
    return scaled


def _patch_value(value: Any, patch: Any) -> Any:  # noqa: ANN401 (YAML)
    if isinstance(value, Mapping) and isinstance(patch, Mapping):
        return {
            key: _patch_value(item, patch[key]) if key in patch else item
            for key, item in value.items()
        }
    # A mapping does not replace a plain value, which is an alternative by its name.
    return value if isinstance(patch, Mapping) else patch


def _patch_named(value: Any, patches: Mapping[str, Any]) -> Any:  # noqa: ANN401
    settings = dict(value) if isinstance(value, Mapping) else {"name": value}
    return {**settings, **patches.get(settings["name"], {})}


def _patch_member(member: Any, patch: Mapping[str, Any]) -> Any:  # noqa: ANN401
    if isinstance(member, Mapping) and "dataset" in member:
        return _patch_part(member, patch)
    return _patch_named(member, patch.get("datasets", {}))


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


def _format_setting(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "all" if value is None else str(value)
