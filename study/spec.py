"""A study file, decoded strictly: every key is known, every value in its range, before a start."""

from __future__ import annotations

import re
import typing
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces import SPACES, SpaceError, check_values, resolve
from study.arm import Arm, dataset_limits, method_rules
from study.errors import SpecError
from study.reading import read_text
from study.settings import Direction, Objective, Replicas, Resources, Search, Sensitivity
from study.yaml_reader import read_yaml
from trainables.config import TrainingConfig
from trainables.datasets import DatasetConfig
from trainables.decoding import decode
from trainables.errors import ConfigError
from trainables.methods import METHODS, MethodConfig
from trainables.metrics import METRICS
from trainables.models import ModelConfig
from trainables.names import suggestion

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TAGGED = ("dataset", "model", "method", "optimiser")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A whole study, resolved.

    Attributes:
        name: Name of the study and of its folder.
        seed: Seed of sampler and replicas.
        arms: Its arms, in the order of the file.
        metric: What trials are compared by.
        direction: Whether it is maximised or minimised.
        resources: What one trial occupies.
        notes: What the user should know, such as dimensions that an arm does not have.
    """

    name: str
    seed: int
    arms: tuple[Arm, ...]
    metric: str
    direction: Direction
    resources: Resources
    notes: tuple[str, ...]

    def arm(self, name: str) -> Arm:
        """Give the arm of a name.

        Raises:
            SpecError: If there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        names = [arm.name for arm in self.arms]
        raise SpecError(f"study {self.name!r} has no arm {name!r}; {suggestion(name, names)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _ArmFile:
    """What a file may say of an arm."""

    method: MethodConfig
    dataset: DatasetConfig
    model: ModelConfig
    name: str | None = None
    training: TrainingConfig = TrainingConfig()  # noqa: RUF009 (frozen)
    replicas: Replicas = Replicas()  # noqa: RUF009
    search: Search = Search()  # noqa: RUF009
    sensitivity: tuple[Sensitivity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _StudyFile:
    """What a file may say at its top level."""

    name: str
    arms: tuple[Any, ...]
    seed: int = 0
    defaults: Mapping[str, Any] | None = None
    objective: Objective = Objective()  # noqa: RUF009
    resources: Resources = Resources()  # noqa: RUF009


def load(path: Path) -> StudySpec:
    """Read a study file.

    Raises:
        SpecError: If it cannot be read or anything in it is wrong; the message names the file,
            the dotted path of the key, what must hold and what came.
    """
    return parse(read_text(path), str(path))


def parse(text: str, where: str) -> StudySpec:
    """Decode the text of a study file; ``where`` names it in messages.

    Raises:
        SpecError: As :func:`load`.
    """
    try:
        return _study(read_yaml(text, where))
    except (ConfigError, SpaceError) as error:
        raise SpecError(f"{where}: {error}") from None


def _study(data: Mapping[str, Any]) -> StudySpec:
    file = decode(_StudyFile, data)
    _check_name("name", file.name)
    defaults = file.defaults or {}
    _check_defaults(defaults)
    if not file.arms:
        raise ConfigError("arms must hold at least one arm, got none.")
    raw = [_as_mapping(f"arms[{i}]", arm) for i, arm in enumerate(file.arms)]
    decoded = [decode(_ArmFile, _merge(defaults, arm), f"arms[{i}]") for i, arm in enumerate(raw)]
    names = _arm_names(decoded)
    notes: list[str] = []
    arms = []
    for i, (name, arm) in enumerate(zip(names, decoded, strict=True)):
        arms.append(_resolve_arm(_RawArm(f"arms[{i}]", name, arm, raw[i]), notes))
    return StudySpec(
        name=file.name,
        seed=file.seed,
        arms=tuple(arms),
        metric=_metric(file.objective),
        direction=_direction(file.objective),
        resources=file.resources,
        notes=tuple(notes),
    )


class _RawArm(typing.NamedTuple):
    where: str
    name: str
    file: _ArmFile
    own: Mapping[str, Any]


def _resolve_arm(raw: _RawArm, notes: list[str]) -> Arm:
    file = raw.file
    limits = dataset_limits(file.dataset)
    rules = method_rules(file.method, limits)
    given = _space_of_arm(raw, notes)
    named = SPACES.get(file.method.name)
    searched = named.searched if named else ()
    held = tuple(_fixed_by_method(raw.own))
    try:
        space = resolve(rules, given, tuple(d for d in searched if d not in held))
    except SpaceError as error:
        raise ConfigError(f"{raw.where}.search.space.{error}") from None
    arm = Arm(
        name=raw.name,
        dataset=file.dataset,
        model=file.model,
        method=file.method,
        training=file.training,
        replicas=file.replicas,
        search=file.search,
        sensitivity=_sensitivity_of_arm(raw, notes),
        space=space,
    )
    _check_sweeps(raw.where, arm)
    _check_config(raw.where, arm)
    return arm


def _space_of_arm(raw: _RawArm, notes: list[str]) -> dict[str, Any]:
    """Drop, and note, what the shared space says of dimensions that this arm does not search."""
    own = (raw.own.get("search") or {}).get("space") or {}
    rules = method_rules(raw.file.method, dataset_limits(raw.file.dataset))
    held = _fixed_by_method(raw.own)
    given = {}
    for name, entry in raw.file.search.space.items():
        if name in held and name in own:
            raise ConfigError(
                f"{raw.where}.search.space.{name} is searched and also set in 'method'; "
                "remove one of them."
            )
        if name in held:
            notes.append(f"arm {raw.name}: {name} is set in 'method', so it is not searched.")
        elif name in rules or name in own:
            given[name] = entry
        else:
            notes.append(f"arm {raw.name}: method {raw.file.method.name} has no {name}; skipped.")
    return given


def _fixed_by_method(own: Mapping[str, Any]) -> set[str]:
    method = own.get("method")
    return set(method) - {"name"} if isinstance(method, Mapping) else set()


def _sensitivity_of_arm(raw: _RawArm, notes: list[str]) -> tuple[Sensitivity, ...]:
    rules = method_rules(raw.file.method, dataset_limits(raw.file.dataset))
    kept = []
    for sensitivity in raw.file.sensitivity:
        if sensitivity.over in rules or "sensitivity" in raw.own:
            kept.append(sensitivity)
        else:
            over = sensitivity.over
            notes.append(f"arm {raw.name}: method {raw.file.method.name} has no {over}; no sweep.")
    return tuple(kept)


def _check_sweeps(where: str, arm: Arm) -> None:
    rules = method_rules(arm.method, arm.limits)
    for i, sensitivity in enumerate(arm.sensitivity):
        path = f"{where}.sensitivity[{i}].over"
        known = arm.space.dimensions
        if sensitivity.over in rules and sensitivity.over not in known:
            raise ConfigError(f"{path}: {sensitivity.over} is not searched; search it as well.")
        try:
            check_values(rules, sensitivity.over, sensitivity.values or ())
        except SpaceError as error:
            raise ConfigError(f"{path}: {error}") from None
        axis = known[sensitivity.over]
        kinds = {type(value) for value in sensitivity.values or ()}
        if hasattr(axis, "low") and kinds - {type(axis.low)}:
            raise ConfigError(
                f"{where}.sensitivity[{i}].values must be of the kind that is searched "
                f"({type(axis.low).__name__}), got {list(sensitivity.values or ())}."
            )


def _check_config(where: str, arm: Arm) -> None:
    # What method and dataset must hold together, before anything is trained.
    try:
        arm.trial_config({}, (0,), is_final=False)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from None


def _check_defaults(defaults: Mapping[str, Any]) -> None:
    hints = typing.get_type_hints(_ArmFile)
    known = [key for key in hints if key not in ("name", "method")]
    for key, value in defaults.items():
        if key not in known:
            raise ConfigError(f"defaults.{key} is not a setting; {suggestion(str(key), known)}")
        decode(hints[key], value, f"defaults.{key}")
    space = decode(Search, defaults.get("search", {}), "defaults.search").space
    dimensions = {d for named in SPACES.values() for d in _dimensions_of(named)}
    for name in space:
        if name not in dimensions:
            hint = suggestion(str(name), dimensions)
            raise ConfigError(f"defaults.search.space.{name} is not a dimension; {hint}")


def _dimensions_of(named: Any) -> set[str]:  # noqa: ANN401
    from search_spaces import Limits

    return set(named.rules(Limits(dataset="any", n_classes=2, n_features=1)))


def _merge(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay an arm's own keys over the defaults; another alternative replaces the default one."""
    merged = dict(defaults)
    for key, value in own.items():
        if key in _TAGGED and isinstance(value, str):
            value = {"name": value}
        base = merged.get(key)
        if key in _TAGGED and isinstance(base, str):
            base = {"name": base}
        if isinstance(base, Mapping) and isinstance(value, Mapping) and _same(base, value):
            merged[key] = _merge(base, value)
        else:
            merged[key] = value
    return merged


def _same(base: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    return bool(own.get("name", base.get("name")) == base.get("name"))


def _arm_names(arms: list[_ArmFile]) -> list[str]:
    parts = [(arm.dataset.name, arm.model.name, arm.method.name) for arm in arms]
    varying = [i for i in range(3) if len({p[i] for p in parts}) > 1 or i == 2]
    names = [
        arm.name or "-".join(p[i] for i in varying) for arm, p in zip(arms, parts, strict=True)
    ]
    for i, name in enumerate(names):
        _check_name(f"arms[{i}].name", name)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        i = len(names) - 1 - names[::-1].index(twice[0])
        raise ConfigError(
            f"arms[{i}] would be called {twice[0]!r} like another arm; give it a 'name'."
        )
    return names


def _check_name(where: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where} must be 1 to 64 lower-case letters, digits, '.', '_' or '-', and begin with "
            f"a letter or digit, got {name!r}."
        )


def _as_mapping(where: str, arm: object) -> Mapping[str, Any]:
    if not isinstance(arm, Mapping):
        raise ConfigError(f"{where} must be a mapping of settings, got {arm!r}.")
    if "method" not in arm:
        raise ConfigError(f"{where}.method is missing; known: {', '.join(sorted(METHODS))}.")
    return arm


def _metric(objective: Objective) -> str:
    known = [f"val/{name}" for name in METRICS]
    if objective.metric not in known:
        hint = suggestion(objective.metric, known)
        raise ConfigError(
            f"objective.metric must be a validation metric, got {objective.metric!r}; {hint}"
        )
    return objective.metric


def _direction(objective: Objective) -> Direction:
    higher = METRICS[objective.metric.removeprefix("val/")].higher_is_better
    natural: Direction = "maximise" if higher else "minimise"
    if objective.direction not in (None, natural):
        raise ConfigError(
            f"objective.direction is {objective.direction!r}, but {objective.metric} is to be "
            f"{natural}d; leave it out."
        )
    return natural
