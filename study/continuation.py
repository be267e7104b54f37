"""What a study file may change once its study has begun."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from study.errors import SpecError
from study.spec import StudySpec
from trainables.decoding import encode

# More trials, another sweep, other resources and further arms leave every finished trial valid.
_MAY_CHANGE = re.compile(
    r"notes\b|resources\b|arms\.[^/]+/(search\.trials|sensitivity|search\.space)\b"
)


def check_continuation(begun: StudySpec, now: StudySpec, where: str) -> None:
    """Refuse a study file that contradicts the trials there are.

    Args:
        begun: The study as it was begun.
        now: The study as the file has it.
        where: The file, for the message.

    Raises:
        SpecError: Naming the first key that differs, with both values.
    """
    before, after = dict(_flat(_by_name(begun))), dict(_flat(_by_name(now)))
    new_arms = {arm.name for arm in now.arms} - {arm.name for arm in begun.arms}
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new or _MAY_CHANGE.match(key) or _is_of(key, new_arms):
            continue
        raise SpecError(
            f"{where}: study {now.name!r} was begun with {key.replace('/', '.')} = {old!r}, but "
            f"the file now says {new!r}; restore the value, or give the changed study another "
            "name."
        )


def _by_name(spec: StudySpec) -> dict[str, Any]:
    data: dict[str, Any] = encode(spec)
    # A slash ends an arm's name, which may itself hold dots.
    data["arms"] = {f"{arm['name']}/": arm for arm in data["arms"]}
    return data


def _flat(data: Any, path: str = "") -> Iterator[tuple[str, object]]:  # noqa: ANN401
    if not isinstance(data, Mapping):
        yield path, data
        return
    for key, value in data.items():
        separator = "" if not path or path.endswith("/") else "."
        yield from _flat(value, f"{path}{separator}{key}")


def _is_of(key: str, arms: set[str]) -> bool:
    return any(key.startswith(f"arms.{arm}/") for arm in arms)
