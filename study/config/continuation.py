"""The changes of a study file that a started study accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from study.config.study_spec import StudySpec
from study.records.errors import SpecError
from trainables.decoding import encode

# More trials and final replicas, another sweep, other resources and further arms leave every
# finished trial valid.
# ``search.space`` is what the file says; what comes of it is compared in ``space``.
_MAY_CHANGE = re.compile(
    r"notes\b|plugins\b|resources\b|arms\.[^/]+/\.(search\.trials|replicas\.final|sensitivity|search\.space)\b"
)
_OTHERWISE = "give the changed study another name."
_MISSING = object()


def check_continuation(begun: StudySpec, now: StudySpec, where: str) -> None:
    """Refuse a study file that contradicts the trials there are.

    Args:
        begun: The study as it was begun.
        now: The study as the file has it.
        where: The file, for the message.

    Raises:
        SpecError: Naming an arm that is gone, or the first key that differs with both values.
    """
    old_arms, new_arms = ({arm.name for arm in spec.arms} for spec in (begun, now))
    for name in sorted(old_arms - new_arms):
        raise SpecError(
            f"{where}: study {now.name!r} was begun with an arm {name!r}, which the file no "
            f"longer has; restore it (with 'name: {name}', if a further arm has changed how it "
            f"is called), or {_OTHERWISE}"
        )
    further = {f"arms.{name}/" for name in new_arms - old_arms}
    for path, old, new in _differences(_by_name(begun), _by_name(now)):
        if _MAY_CHANGE.match(path) or path in further:
            continue
        raise SpecError(
            f"{where}: study {now.name!r} was begun {_with(path, old)}, but the file now "
            f"{_says(new)}; restore it, or {_OTHERWISE}"
        )
    _check_amounts(begun, now, where)


def _check_amounts(begun: StudySpec, now: StudySpec, where: str) -> None:
    for old in begun.arms:
        new = now.arm(old.name)
        for path, before, after in (
            ("search.trials", old.search.trials, new.search.trials),
            ("replicas.final", old.replicas.final, new.replicas.final),
        ):
            if after < before:
                begun_with = _with(f"arms.{old.name}.{path}", before)
                raise SpecError(
                    f"{where}: study {now.name!r} was begun {begun_with}, but the file now "
                    f"{_says(after)}: fewer would leave arms with unequal budgets; give at "
                    f"least as many, or {_OTHERWISE}"
                )


def _differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        if old != new:
            yield path, old, new
        return
    # Which alternative it is goes before its settings.
    for key in sorted(old.keys() | new.keys(), key=lambda key: (key != "name", key)):
        below = f"{path}.{key}" if path else key
        yield from _differences(old.get(key, _MISSING), new.get(key, _MISSING), below)


def _by_name(spec: StudySpec) -> dict[str, Any]:
    data: dict[str, Any] = encode(spec)
    for arm in data["arms"]:
        arm["space"] = {**arm["space"]["dimensions"], **arm["space"]["fixed"]}
    # A slash ends an arm's name, which may itself hold dots.
    data["arms"] = {f"{arm['name']}/": arm for arm in data["arms"]}
    return data


def _with(path: str, value: object) -> str:
    shown = _as_in_file(path)
    return f"without {shown}" if value is _MISSING else f"with {shown} = {value!r}"


def _says(value: object) -> str:
    return "has none" if value is _MISSING else f"says {value!r}"


def _as_in_file(path: str) -> str:
    """Return the path in the file of a resolved value."""
    path = path.replace("/.space.", "/.search.space.").replace("/.", ".")
    return f"objective.{path}" if path in ("metric", "direction") else path
