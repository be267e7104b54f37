"""The arms of a study file: merged with the defaults, named, and resolved one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from search_spaces import Limits, Rule, Space, SpaceError, check_design, resolve
from study.config.arm import Arm
from study.config.defaults import has_path, merge
from study.config.groups import ArmEntry, expand, shared_limits, with_baselines
from study.config.parameters import arm_rules, dataset_limits, dimension_names, fixed_reason
from study.config.schema import Name, Replicas, SearchConfig, Sensitivity, check_name
from trainables.config import EvaluationConfig, TrainingConfig
from trainables.datasets import DatasetConfig
from trainables.decoding import decode, encode, record, shown
from trainables.errors import ConfigError
from trainables.fields import hints
from trainables.methods import METHODS, MethodConfig
from trainables.models import ModelConfig
from trainables.names import printable, suggestion


@record
class ArmFile:
    """An arm as a study file holds it.

    Attributes:
        method: How batches are changed before a step; what it sets is not searched.
        dataset: Data and splits.
        model: Architecture.
        name: Unique in the study; left out, what tells the arm from the others.
        like: Name of an arm whose choice it takes in place of a search: ``{method: random, like:
            challenger}`` is trained with the N, α, β and split that Challenger chose.
        passes_like: Name of an arm whose passes through the model it gets, for ``base``: its
            epochs are multiplied by the passes of that arm's training step.
        training: Budget and optimizer.
        replicas: Seeds per configuration.
        search: How the space is searched, and the space.
        sensitivity: Sweeps around the chosen configuration.
        transfer: Whether the settings that other arms of its method chose are tried on it.
        evaluation: What final trials measure beside their metrics.
    """

    method: MethodConfig
    dataset: DatasetConfig
    model: ModelConfig
    name: Name | None = None
    like: Name | None = None
    passes_like: Name | None = None
    training: TrainingConfig = TrainingConfig()
    replicas: Replicas = Replicas()
    search: SearchConfig = SearchConfig()
    sensitivity: Annotated[tuple[Sensitivity, ...], Field(max_length=100)] = ()
    transfer: bool = False
    evaluation: EvaluationConfig = EvaluationConfig()


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
        rules: What each of its parameters allows on its dataset, or all datasets of its group.
        held: Parameters that the arm itself sets, and which are therefore not searched.
    """

    where: str
    name: str
    file: ArmFile
    own: Mapping[str, Any]
    defaults: Mapping[str, Any]
    group: str | None
    rules: Mapping[str, Rule]
    fixed_dimensions: tuple[str, ...]

    def path(self, *keys: str) -> str:
        """Return the path of a key: under the arm, or in the defaults."""
        while len(keys) > 1 and not (has_path(self.own, keys) or has_path(self.defaults, keys)):
            keys = keys[:-1]
        is_default = has_path(self.defaults, keys) and not has_path(self.own, keys)
        return "defaults" if is_default else self.where


def decode_arms(
    arms: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]
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
    for i, arm in enumerate(arms):
        if "method" not in arm:
            known = ", ".join(sorted(METHODS))
            raise ConfigError(f"arms[{i}].method is missing; known: {known}.")
    raw = _raw_arms(expand(arms), defaults)
    _check_paths(raw, defaults)
    own = {one.name: _arm(one) for one in raw if one.file.like is None}
    for one in raw:
        if one.file.passes_like is not None:
            own[one.name] = _with_passes(one, raw, own)
    resolved = with_baselines([own.get(one.name) or _matched(one, raw, own) for one in raw])
    pairs = zip(raw, resolved, strict=True)
    return resolved, tuple(note for one, arm in pairs for note in _notes(one, arm))


def _raw_arms(arms: Sequence[ArmEntry], defaults: Mapping[str, Any]) -> list[_RawArm]:
    files = [decode(ArmFile, merge(defaults, arm.own), arm.where) for arm in arms]
    own = [dataset_limits(file.dataset) for file in files]

    def limits(i: int) -> Limits:
        group = arms[i].group
        if group is None:
            return own[i]
        return shared_limits([own[j] for j, arm in enumerate(arms) if arm.group == group])

    found = []
    for i, (arm, name, file) in enumerate(zip(arms, _names(files), files, strict=True)):
        rules = arm_rules(file.method, file.training, file.model, limits(i))
        found.append(
            _RawArm(
                where=arm.where,
                name=name,
                file=file,
                own=arm.own,
                defaults=defaults,
                group=arm.group,
                rules=rules,
                fixed_dimensions=tuple(name for name in rules if has_path(arm.own, _keys(name))),
            )
        )
    return found


def _keys(parameter: str) -> list[str]:
    """Return where an arm sets a parameter of its own."""
    return parameter.split(".") if "." in parameter else ["method", parameter]


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
    if raw.group is not None and file.search.confirm is not None:
        raise ConfigError(
            f"{raw.path('search', 'confirm')}.search.confirm must be null for an arm over several "
            "datasets, whose choice is by the mean gain over Base; remove it."
        )
    _check_config(raw.where, arm)
    _check_design(raw, arm)
    return replace(arm, sensitivity=_sweeps(raw, arm))


def _matched(raw: _RawArm, all_raw: Sequence[_RawArm], own: Mapping[str, Arm]) -> Arm:
    """Resolve an arm that takes what another one chose."""
    source = _source(raw, "like", all_raw, own)
    space = Space(
        dimensions={k: v for k, v in source.space.dimensions.items() if k in raw.rules},
        fixed={k: v for k, v in source.space.fixed.items() if k in raw.rules},
        conditions={k: v for k, v in source.space.conditions.items() if k in raw.rules},
    )
    method, theirs = encode(raw.file.method), encode(source.method)
    shared = {key: theirs[key] for key in method if key in theirs and key != "name"}
    taken = {*space.dimensions, *space.fixed, *(k for k in shared if _is_dimension(raw, k))}
    if not taken:
        raise ConfigError(
            f"{raw.where}.like is {source.name!r}, but method {source.method.name} has no "
            f"dimension that {raw.file.method.name} has too, so there is nothing to take; remove "
            "it."
        )
    for key in shared:
        if not has_path(raw.own, ("method", key)):
            method[key] = shared[key]
        elif key in {*space.dimensions, *space.fixed} or (
            _is_dimension(raw, key) and method[key] != shared[key]
        ):
            raise ConfigError(
                f"{raw.where}.method.{key} is set, and 'like' takes it from {source.name!r}; "
                "remove one of them."
            )
    arm = Arm(
        name=raw.name,
        dataset=raw.file.dataset,
        model=raw.file.model,
        method=decode(type(raw.file.method), method, f"{raw.where}.method"),
        training=raw.file.training,
        replicas=raw.file.replicas,
        search=SearchConfig(),
        sensitivity=(),
        space=space,
        evaluation=raw.file.evaluation,
        like=source.name,
    )
    _check_config(raw.where, arm)
    return replace(arm, sensitivity=_sweeps(raw, arm))


def _with_passes(raw: _RawArm, all_raw: Sequence[_RawArm], own: Mapping[str, Arm]) -> Arm:
    """Let an arm train for as many passes through the model as another one."""
    where, arm = f"{raw.where}.passes_like", own.get(raw.name)
    if arm is None or arm.space.dimensions or arm.transfer:
        raise ConfigError(
            f"{where} is given, but {raw.name!r} does not hold its settings at one value; only "
            "its epochs may follow from another arm."
        )
    source = _source(raw, "passes_like", all_raw, own)
    if any(one.file.passes_like for one in all_raw if one.name == source.name):
        raise ConfigError(f"{where} is {source.name!r}, which has the passes of another arm.")
    return replace(arm, passes_like=source.name)


def _source(raw: _RawArm, key: str, all_raw: Sequence[_RawArm], own: Mapping[str, Arm]) -> Arm:
    """Return the arm that another one takes something from."""
    where, like = f"{raw.where}.{key}", str(getattr(raw.file, key))
    if raw.group is not None:
        raise ConfigError(
            f"{where} is given, and 'datasets' too; write one arm for each dataset, like the "
            "member on it."
        )
    for other in ("search", "transfer"):
        if key == "like" and other in raw.own:
            raise ConfigError(
                f"{raw.where}.{other} is given, but 'like' takes what {like!r} chose in place of "
                "a search; remove one of them."
            )
    if like == raw.name:
        raise ConfigError(f"{where} must be another arm than the arm itself, got {like!r}.")
    if like not in own:
        matched = next((one for one in all_raw if one.name == like), None)
        if matched is not None:
            raise ConfigError(
                f"{where} is {like!r}, which is itself like {matched.file.like!r}; name that one."
            )
        raise ConfigError(f"{where} must be an arm, got {like!r}; {suggestion(like, own)}")
    source = own[like]
    for part in ("dataset", "model", "training"):
        if getattr(source, part) != getattr(raw.file, part):
            raise ConfigError(
                f"{where} is {like!r}, whose {part} is another one; a control is trained as the "
                f"arm it follows: give both the same {part}."
            )
    return source


def _is_dimension(raw: _RawArm, name: str) -> bool:
    return name in raw.rules and raw.rules[name].is_searched


def _space(raw: _RawArm) -> Space:
    given = {d: e for d, e in raw.file.search.space.items() if _is_searchable(raw, d)}
    try:
        return resolve(raw.rules, given, raw.fixed_dimensions)
    except SpaceError as error:
        said = str(error)
        name = next((name for name in given if said.startswith(name)), "")
        end = said[len(name) :].lstrip(".").split(" ")[0]
        path = raw.path("search", "space", name, end)
        raise ConfigError(f"{path}.search.space.{said}") from None


def _is_searchable(raw: _RawArm, name: str) -> bool:
    """Return whether an entry of the space applies to this arm; False skips a default."""
    where = f"{raw.path('search', 'space', name)}.search.space.{printable(name)}"
    is_own = has_path(raw.own, ("search", "space", name))
    reason = fixed_reason(raw.file.training, name)
    if reason is not None:
        raise ConfigError(f"{where} cannot be searched: {reason}; set it under 'training'.")
    if is_own and name in raw.fixed_dimensions:
        setter = name.partition(".")[0] if "." in name else "method"
        raise ConfigError(f"{where} is given, and '{setter}' sets it too; remove one of them.")
    if is_own and name not in raw.rules:
        known = [one for one in raw.rules if ("." in one) == ("." in name)]
        hint = suggestion(name, known) if known else "it has none; remove it."
        raise ConfigError(
            f"{where} is not a dimension of method {raw.file.method.name}; {hint}"
            if "." not in name
            else f"{where} is no number or choice of this arm; {hint}"
        )
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
            raise ConfigError(f"{where}.over {rule}, got {shown(sweep.over)}; {hint}")
    return tuple(kept)


def _notes(raw: _RawArm, arm: Arm) -> list[str]:
    """Return notes on settings and on defaults without effect."""
    configs = [arm.trial_config(point, (0,), is_final=False) for point in arm.choice_points()]
    said = dict.fromkeys(note for config in configs for note in config.notes)
    return [f"arm {raw.name}: {note}" for note in (*_unused_defaults(raw, arm), *said)]


def _unused_defaults(raw: _RawArm, arm: Arm) -> list[str]:
    """Return notes on defaults without effect; none for a method without dimensions."""
    if arm.like is not None or all("." in name for name in raw.rules):
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
    return [*found, *([even] if even else ())]


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
    for key, value in defaults.items():
        decode(hints(ArmFile)[key], value, f"defaults.{key}")
    dimensions = dimension_names()
    for name in defaults.get("search", {}).get("space", {}):
        # What stands by its path is looked up in each arm's own training and model.
        if name not in dimensions and name.partition(".")[0] not in ("training", "model"):
            raise ConfigError(
                f"defaults.search.space.{printable(name)} is not a dimension; "
                f"{suggestion(name, dimensions)}"
            )
    for i, sweep in enumerate(defaults.get("sensitivity", ())):
        over = sweep["over"]
        if over not in dimensions and over.partition(".")[0] not in ("training", "model"):
            raise ConfigError(
                f"defaults.sensitivity[{i}].over must be a dimension, got {shown(over)}; "
                f"{suggestion(over, dimensions)}"
            )


def _check_paths(raw: Sequence[_RawArm], defaults: Mapping[str, Any]) -> None:
    # A parameter of some arms alone, such as the momentum of those that have one, is skipped.
    known = {name for one in raw for name in one.rules if "." in name}
    for name in defaults.get("search", {}).get("space", {}):
        fixed = any(fixed_reason(one.file.training, name) for one in raw)
        if "." in name and name not in known and not fixed:
            raise ConfigError(
                f"defaults.search.space.{printable(name)} is no number or choice of any arm; "
                f"{suggestion(name, known)}"
            )


def _names(arms: Sequence[ArmFile]) -> list[str]:
    """Name each arm by what tells it apart from the others, unless the file names it."""
    parts = [(arm.dataset.name, arm.model.name, arm.method.name) for arm in arms]
    varying = [i for i in range(3) if len({p[i] for p in parts}) > 1 or i == 2]
    names = []
    for arm, part in zip(arms, parts, strict=True):
        followed = f"like-{arm.like}" if arm.like else f"passes-like-{arm.passes_like}"
        is_follower = arm.like is not None or arm.passes_like is not None
        own = f"{part[2]}-{followed}" if is_follower else "-".join(part[i] for i in varying)
        names.append(arm.name or own)
    for i, name in enumerate(names):
        check_name(f"arms[{i}].name", name)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        i = len(names) - 1 - names[::-1].index(twice[0])
        raise ConfigError(
            f"arms[{i}] would be called {twice[0]!r} like another arm; give it a 'name'."
        )
    return names
