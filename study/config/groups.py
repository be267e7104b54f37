"""Arms over several datasets: written once, searched together, trained on each.

``datasets: [digits, {name: mnist, train_per_class: 3}]`` stands for one member arm per dataset.
The members share one search, whose objective is the mean gain over Base on the same seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search_spaces import Limits
from study.config.arm import Arm
from study.config.schema import check_name
from trainables.decoding import shown
from trainables.errors import ConfigError
from trainables.methods import Base
from trainables.names import printable

_MEMBER_KEYS = ("dataset", "model", "training", "name")
_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEntry:
    """One arm of a study file, before its defaults.

    Attributes:
        where: Its path in the file, ``arms[0]`` or ``arms[0].datasets[1]``.
        own: Its keys.
        group: Name of the arm over several datasets that it is a member of, or None.
    """

    where: str
    own: Mapping[str, Any]
    group: str | None


def expand(arms: Sequence[Mapping[str, Any]]) -> list[ArmEntry]:
    """Write an arm over several datasets out as one arm per dataset.

    Raises:
        ConfigError: If ``datasets`` is no list of two or more datasets.
    """
    found = []
    for i, own in enumerate(arms):
        where = f"arms[{i}]"
        if "datasets" in own:
            found += _members(where, own)
        else:
            found.append(ArmEntry(where=where, own=own, group=None))
    return found


def shared_limits(limits: Sequence[Limits]) -> Limits:
    """Return the limits that all members of a group share."""
    return Limits(
        dataset=" and ".join(dict.fromkeys(one.dataset for one in limits)),
        n_classes=min(one.n_classes for one in limits),
        n_features=min(one.n_features for one in limits),
        spread=min(one.spread for one in limits),
    )


def with_baselines(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Mark the Base arms that the members of groups are compared with in the search.

    Raises:
        ConfigError: If a member has none, or a group's name is an arm's too.
    """
    names = {arm.name for arm in arms}
    needed = set()
    for arm in arms:
        if arm.group is None:
            continue
        if arm.group in names:
            raise ConfigError(
                f"an arm over several datasets is called {arm.group!r} like another arm; give it "
                "a 'name'."
            )
        base = baseline_of(arm, arms)
        if base.space.dimensions:
            searched = ", ".join(base.space.dimensions)
            raise ConfigError(
                f"arm {base.name!r} is the Base that {arm.group!r} is compared with on every "
                f"dataset, and must not be searched itself; hold {searched} at one value."
            )
        needed.add(base.name)
    return tuple(replace(arm, is_baseline=arm.name in needed) for arm in arms)


def baseline_of(arm: Arm, arms: Sequence[Arm]) -> Arm:
    """Return the first Base arm on an arm's dataset and model.

    Raises:
        ConfigError: If there is none.
    """
    for other in arms:
        same = (other.dataset, other.model) == (arm.dataset, arm.model)
        if isinstance(other.method, Base) and same and other.passes_like is None:
            return other
    raise ConfigError(
        f"arm {arm.name!r} is searched by its gain over Base, but no arm has method base, "
        f"dataset {arm.dataset.description} and the same model; add one."
    )


def _members(where: str, own: Mapping[str, Any]) -> list[ArmEntry]:
    datasets = own["datasets"]
    if "dataset" in own:
        raise ConfigError(f"{where}.dataset is given, and 'datasets' too; remove one of them.")
    if not isinstance(datasets, list | tuple) or not 2 <= len(datasets) <= _MOST:
        raise ConfigError(
            f"{where}.datasets must be a list of 2 to {_MOST} datasets, got {shown(datasets)}; "
            "for one write 'dataset'."
        )
    shared = {key: value for key, value in own.items() if key not in ("datasets", "name")}
    group = own.get("name", _name_of(own["method"]))
    check_name(f"{where}.name", group)
    return [
        ArmEntry(
            where=f"{where}.datasets[{i}]",
            own=_member(f"{where}.datasets[{i}]", shared, group, entry),
            group=group,
        )
        for i, entry in enumerate(datasets)
    ]


def _member(where: str, shared: Mapping[str, Any], group: str, entry: object) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping) or "dataset" not in entry:
        entry = {"dataset": entry}
    for key in entry:
        if key not in _MEMBER_KEYS:
            raise ConfigError(
                f"{where}.{printable(str(key))} is not a setting beside 'dataset'; known: "
                f"{', '.join(_MEMBER_KEYS)}."
            )
    dataset = entry["dataset"]
    suffix = entry.get("name") or _name_of(dataset)
    return {**shared, **entry, "name": f"{group}-{suffix}"}


def _name_of(part: object) -> object:
    return part.get("name") if isinstance(part, Mapping) else part
