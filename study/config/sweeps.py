"""Sweeps that were asked for at the command line, kept beside the study file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic.dataclasses

from search_spaces import ParamValue, SpaceError
from study.config.schema import Sensitivity
from study.config.study_spec import StudySpec
from study.config.yaml_reader import read_yaml
from study.records.errors import SpecError
from study.storage.json_record import read_record, write_record
from study.storage.layout import StudyFolder
from trainables.decoding import decode, encode
from trainables.errors import ConfigError
from trainables.names import suggestion


@pydantic.dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _AskedSweeps:
    """Sweeps by arm, as in a study file."""

    arms: Mapping[str, Sequence[Mapping[str, Any]]]


def read_asked_sweeps(folder: StudyFolder) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Read the sweeps that were asked for, by arm; StoreError if their file is damaged."""
    name = folder.path.name
    remedy = f"'repair {name}' removes it; then ask for its sweeps again by 'sensitivity {name}'."
    try:
        return read_record(folder.sweeps, _AskedSweeps, remedy).arms
    except FileNotFoundError:
        return {}


def with_sweeps(spec: StudySpec, folder: StudyFolder) -> StudySpec:
    """Add the sweeps that were asked for at the command line to a study."""
    asked = read_asked_sweeps(folder)
    arms = tuple(
        dataclasses.replace(
            arm,
            sensitivity=(
                *arm.sensitivity,
                *decode(tuple[Sensitivity, ...], asked.get(arm.name, []), arm.name),
            ),
        )
        for arm in spec.arms
    )
    return dataclasses.replace(spec, arms=arms)


def read_values(text: str) -> tuple[ParamValue, ...]:
    """Read values as a user types them: ``1,2,5`` or ``1e-3, 0.5``.

    Raises:
        SpecError: If they are no list of values.
    """
    try:
        (values,) = read_yaml(f"values: [{text}]", "--values").values()
    except (SpecError, ValueError):
        raise SpecError(f"--values must be a list such as 1,2,5, got {text!r}.") from None
    try:
        return decode(Sensitivity, {"over": "", "values": values}).values or ()
    except ConfigError as error:
        raise SpecError(f"--{error}") from None


def add_sweeps(
    spec: StudySpec,
    folder: StudyFolder,
    over: Sequence[str],
    values: tuple[ParamValue, ...] | None = None,
    arm: str | None = None,
) -> StudySpec:
    """Add sweeps to a study that was begun, durably.

    Args:
        spec: The study.
        folder: Its folder.
        over: Dimensions to sweep.
        values: Values of the one dimension; None for the default.
        arm: Arm to sweep, or None for all that search the dimension.

    Raises:
        SpecError: If no arm searches a dimension, or a value is illegal.
    """
    known = {name: list(sweeps) for name, sweeps in read_asked_sweeps(folder).items()}
    for dimension in over:
        for name in _arms_searching(spec, dimension, arm):
            try:
                sweep = spec.arm(name).checked(Sensitivity(over=dimension, values=values))
            except SpaceError as error:
                raise SpecError(f"--values: {error}") from None
            entries = known.setdefault(name, [])
            if encode(sweep) not in entries:
                entries.append(encode(sweep))
    write_record(folder.sweeps, _AskedSweeps(arms=known))
    return with_sweeps(spec, folder)


def _arms_searching(spec: StudySpec, dimension: str, arm: str | None) -> list[str]:
    arms = [spec.arm(arm)] if arm else list(spec.arms)
    found = [a.name for a in arms if dimension in a.space.dimensions and (arm or a.is_searched)]
    if not found:
        searched = {d for a in arms for d in a.space.dimensions}
        hint = suggestion(dimension, searched)
        nobody = f"arm {arm!r} does not search" if arm else "no arm searches"
        raise SpecError(f"study {spec.name!r}: {nobody} {dimension!r}; {hint}")
    return found
