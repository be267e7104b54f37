"""The arms of a study file: merged with the defaults, named, and resolved one by one."""

from __future__ import annotations

import typing
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search_spaces import SPACES, Limits, Rule, Space, SpaceError, check_design, resolve
from study.config.arm import Arm, dataset_limits, method_rules
from study.config.defaults import has_path, merge
from study.config.groups import ArmEntry, expand, shared_limits, with_baselines
from study.config.names import check_name
from study.config.schema import Replicas, Search, Sensitivity
from trainables.config import EvaluationConfig, TrainingConfig
from trainables.datasets import DatasetConfig
from trainables.decoding import decode
from trainables.errors import ConfigError
from trainables.methods import METHODS, MethodConfig
from trainables.models import ModelConfig
from trainables.names import suggestion


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
    transfer: bool = False
    evaluation: EvaluationConfig = EvaluationConfig()  # noqa: RUF009


@dataclass(frozen=True, slots=True, kw_only=True)
class _RawArm:
    """One arm on its way from the file to its resolved form.

    Attributes:
        where: Its path in the file, ``arms[0]``.
        name: Its name.
        file: The arm over the defaults, decoded.
        own: What the file says under the arm itself.
        defaults: What the file says in ``defaults``.
        group: Name of the arm over several datasets that it is a member of, or None.
        limits: What its dataset allows, or all datasets of its group.
    """

    where: str
    name: str
    file: _ArmFile
    own: Mapping[str, Any]
    defaults: Mapping[str, Any]
    group: str | None
    limits: Limits

    @property
    def rules(self) -> Mapping[str, Rule]:
        """What each dimension of its method allows."""
        return method_rules(self.file.method, self.limits)

    @property
    def fixed_dimensions(self) -> tuple[str, ...]:
        """Dimensions that its ``method`` sets, and which are therefore not searched."""
        method = self.own.get("method")
        return tuple(d for d in self.rules if isinstance(method, Mapping) and d in method)

    def path(self, *keys: str) -> str:
        """Give the path at which a key stands: under the arm, or in the defaults."""
        while len(keys) > 1 and not (has_path(self.own, keys) or has_path(self.defaults, keys)):
            keys = keys[:-1]
        is_default = has_path(self.defaults, keys) and not has_path(self.own, keys)
        return "defaults" if is_default else self.where


def decode_arms(
    arms: Sequence[object], defaults: Mapping[str, Any]
) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    """Resolve the arms of a study file.

    Args:
        arms: What the file says under ``arms``.
        defaults: What it says under ``defaults``; an arm's own keys go before it.

    Returns:
        The arms, and what the user should know of them, such as dimensions that are skipped.

    Raises:
        ConfigError: If anything is wrong; the message starts with the dotted path.
    """
    _check_defaults(defaults)
    if not arms:
        raise ConfigError("arms must hold at least one arm, got none.")
    mappings = [_as_mapping(f"arms[{i}]", arm) for i, arm in enumerate(arms)]
    raw = _raw_arms(expand(mappings), defaults)
    resolved = with_baselines([_arm(one) for one in raw])
    pairs = zip(raw, resolved, strict=True)
    return resolved, tuple(note for one, arm in pairs for note in _notes(one, arm))


def _raw_arms(arms: Sequence[ArmEntry], defaults: Mapping[str, Any]) -> list[_RawArm]:
    files = [decode(_ArmFile, merge(defaults, arm.own), arm.where) for arm in arms]
    own = [dataset_limits(file.dataset) for file in files]

    def limits(i: int) -> Limits:
        group = arms[i].group
        if group is None:
            return own[i]
        return shared_limits([own[j] for j, arm in enumerate(arms) if arm.group == group])

    return [
        _RawArm(
            where=arm.where,
            name=name,
            file=file,
            own=arm.own,
            defaults=defaults,
            group=arm.group,
            limits=limits(i),
        )
        for i, (arm, name, file) in enumerate(zip(arms, _names(files), files, strict=True))
    ]


def _arm(raw: _RawArm) -> Arm:
    file = raw.file
    arm = Arm(
        name=raw.name,
        dataset=file.dataset,
        model=file.model,
        method=file.method,
        training=file.training,
        replicas=file.replicas,
        search=file.search,
        sensitivity=(),
        space=_space(raw),
        group=raw.group,
        transfer=file.transfer,
        evaluation=file.evaluation,
    )
    if raw.group is not None and file.search.scheduler != "none":
        raise ConfigError(
            f"{raw.path('search', 'scheduler')}.search.scheduler must be 'none' for an arm over "
            f"several datasets, got {file.search.scheduler!r}: a trial on one of them does not "
            "tell how the others go."
        )
    _check_config(raw.where, arm)
    _check_design(raw, arm)
    return replace(arm, sensitivity=_sweeps(raw, arm))


def _space(raw: _RawArm) -> Space:
    named = SPACES.get(raw.file.method.name)
    searched = tuple(d for d in (named.searched if named else ()) if d not in raw.fixed_dimensions)
    given = {d: e for d, e in raw.file.search.space.items() if _is_searchable(raw, d)}
    try:
        return resolve(raw.rules, given, searched, named.conditions if named else None)
    except SpaceError as error:
        keys = str(error).split(" ")[0].rstrip(":").split(".")
        raise ConfigError(f"{raw.path('search', 'space', *keys)}.search.space.{error}") from None


def _is_searchable(raw: _RawArm, name: str) -> bool:
    """Tell whether an entry of the space is for this arm; False skips what the defaults say."""
    where = f"{raw.where}.search.space.{name}"
    is_own = has_path(raw.own, ("search", "space", name))
    if is_own and name in raw.fixed_dimensions:
        raise ConfigError(f"{where} is given, and 'method' sets it too; remove one of them.")
    if is_own and name not in raw.rules:
        method = raw.file.method.name
        hint = suggestion(name, raw.rules) if raw.rules else "it has none; remove it."
        raise ConfigError(f"{where} is not a dimension of method {method}; {hint}")
    return name in raw.rules and name not in raw.fixed_dimensions


def _sweeps(raw: _RawArm, arm: Arm) -> tuple[Sensitivity, ...]:
    searched = arm.space.dimensions
    is_own = "sensitivity" in raw.own
    kept = []
    for i, sweep in enumerate(raw.file.sensitivity):
        where = f"{raw.path('sensitivity')}.sensitivity[{i}]"
        if sweep.over in searched:
            try:
                kept.append(arm.checked(sweep))
            except SpaceError as error:
                raise ConfigError(f"{where}.values: {error}") from None
        elif is_own:
            hint = suggestion(sweep.over, searched) if searched else "it searches none; remove it."
            if sweep.over in raw.rules:
                hint = "add it to 'search.space', or remove the sweep."
            rule = "must be a dimension that the arm searches"
            raise ConfigError(f"{where}.over {rule}, got {sweep.over!r}; {hint}")
    return tuple(kept)


def _notes(raw: _RawArm, arm: Arm) -> list[str]:
    """Say what the defaults ask for in vain; nothing of a method that has no dimensions."""
    if not raw.rules:
        return []
    swept = [sweep.over for sweep in raw.file.sensitivity]
    asked = dict.fromkeys([*raw.file.search.space, *swept])
    missing = " and no ".join(name for name in asked if name not in raw.rules)
    fixed_dimensions = " and ".join(name for name in asked if name in raw.fixed_dimensions)
    unswept = " and ".join(
        name
        for name in swept
        if name in raw.rules and name not in (*raw.fixed_dimensions, *arm.space.dimensions)
    )
    said = {
        f"method {arm.method.name} has no {missing}; skipped.": missing,
        f"'method' sets {fixed_dimensions}; not searched.": fixed_dimensions,
        f"{unswept} is not searched; no sweep.": unswept,
    }
    found = [note for note, names in said.items() if names]
    design = arm.search.design if arm.space.dimensions else None
    even = None if design is None else design.advice(arm.search.trials)
    return [f"arm {raw.name}: {note}" for note in (*found, *([even] if even else ()))]


def _check_config(where: str, arm: Arm) -> None:
    # What method and dataset must hold together, before anything is trained; a searched
    # dimension counts with a value of its axis, not with the method's default.
    try:
        for point in arm.choice_points():
            arm.trial_config(point, (0,), is_final=False)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from None


def _check_design(raw: _RawArm, arm: Arm) -> None:
    design = arm.search.design
    is_own = has_path(raw.own, ("search", "design"))
    # The defaults' design passes by an arm that searches nothing, as their space does.
    if design is None or not (arm.space.dimensions or is_own):
        return
    if has_path(raw.own, ("search", "sampler")):
        raise ConfigError(
            f"{raw.where}.search.sampler is given, but {raw.path('search', 'design')}.search."
            f"design is {design.name!r} and proposes the trials; remove it, or write "
            "'design: null' beside it."
        )
    try:
        check_design(design, arm.space, arm.search.trials)
    except SpaceError as error:
        # Also where the defaults say it: it may be right for other arms.
        raise ConfigError(f"{raw.where}.search.{error}") from None


def _check_defaults(defaults: Mapping[str, Any]) -> None:
    hints = typing.get_type_hints(_ArmFile)
    known = [key for key in hints if key not in ("name", "method")]
    for key, value in defaults.items():
        if key not in known:
            raise ConfigError(f"defaults.{key} is not a setting; {suggestion(str(key), known)}")
        decode(hints[key], value, f"defaults.{key}")
    limits = Limits(dataset="any", n_classes=2, n_features=1)
    dimensions = {name for space in SPACES.values() for name in space.rules(limits)}
    _check_dimensions(defaults.get("search", {}).get("space", {}), dimensions)
    for i, sweep in enumerate(defaults.get("sensitivity", ())):
        if sweep["over"] not in dimensions:
            raise ConfigError(
                f"defaults.sensitivity[{i}].over must be a dimension, got {sweep['over']!r}; "
                f"{suggestion(sweep['over'], dimensions)}"
            )


def _check_dimensions(space: Iterable[str], dimensions: set[str]) -> None:
    for name in space:
        if name not in dimensions:
            hint = suggestion(str(name), dimensions)
            raise ConfigError(f"defaults.search.space.{name} is not a dimension; {hint}")


def _names(arms: Sequence[_ArmFile]) -> list[str]:
    """Name each arm by what tells it apart from the others, unless the file names it."""
    parts = [(arm.dataset.name, arm.model.name, arm.method.name) for arm in arms]
    varying = [i for i in range(3) if len({p[i] for p in parts}) > 1 or i == 2]
    names = [
        "-".join(p[i] for i in varying) if arm.name is None else arm.name
        for arm, p in zip(arms, parts, strict=True)
    ]
    for i, name in enumerate(names):
        check_name(f"arms[{i}].name", name)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        i = len(names) - 1 - names[::-1].index(twice[0])
        raise ConfigError(
            f"arms[{i}] would be called {twice[0]!r} like another arm; give it a 'name'."
        )
    return names


def _as_mapping(where: str, arm: object) -> Mapping[str, Any]:
    if not isinstance(arm, Mapping):
        raise ConfigError(f"{where} must be a mapping of settings, got {arm!r}.")
    if "method" not in arm:
        raise ConfigError(f"{where}.method is missing; known: {', '.join(sorted(METHODS))}.")
    return arm
