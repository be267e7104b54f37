"""A preset: a study file, how it is made smaller, and what the paper prints for it.

A preset is a study file with three more keys: ``scales`` (see :mod:`study.reproduction.scaling`),
``paper`` (printed numbers) and ``unknown`` (what the paper does not state, in a sentence). As it
stands it is the paper's setting, scale ``full``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from study.errors import SpecError
from study.spec import read_yaml
from trainables.decoding import decode
from trainables.errors import ConfigError
from trainables.names import suggestion

SCALES = ("smoke", "small", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """A number that the paper prints.

    Attributes:
        row: Its row there, ``tinyMNIST, Ours``.
        arm: Arm of the study that stands for it.
        metric: Key of the metric.
        value: The number in the paper's unit, which is the one in which results are shown.
        note: Why it may not be compared, or None.
    """

    row: str
    arm: str
    metric: str
    value: float
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A preset, read.

    Attributes:
        name: Its name, which is that of its file.
        study: The study file at full scale, as plain data.
        scales: Scale to what it replaces.
        paper: What the paper prints.
        unknown: What the paper does not state.
    """

    name: str
    study: Mapping[str, Any]
    scales: Mapping[str, Mapping[str, Any]]
    paper: tuple[PaperRow, ...]
    unknown: str


def preset_names() -> tuple[str, ...]:
    """Name the presets that reproduce something, in alphabetical order."""
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
        raise SpecError(f"there is nothing called {name!r} to reproduce; {hint}")
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
