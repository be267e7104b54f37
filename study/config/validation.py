"""All problems of a study file at once, and settings of the command line laid over it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from study.config.study_spec import parse
from study.config.yaml_reader import read_yaml
from study.records.errors import SpecError
from trainables.decoding import shown

_MOST_PROBLEMS: Final = 100
_STEP: Final = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d+)\]")
# Without one of these an arm says nothing further.
_PARTS: Final = ("method", "dataset", "model")


def problems(text: str, where: str, folder: Path | None = None) -> tuple[str, ...]:
    """Return everything that is wrong with a study file, in the order in which it is found.

    What is wrong is left out, and the rest is read again; a problem that follows from another one
    is therefore found only once that is mended.

    Args:
        text: The study file.
        where: Its name, for messages.
        folder: Folder of its plug-in files.
    """
    try:
        data: Any = copy.deepcopy(dict(read_yaml(text, where)))
    except SpecError as error:
        return (str(error),)
    # Arms that are left out do not change what the others are called.
    numbers = list(range(len(data["arms"]))) if isinstance(data.get("arms"), list) else []
    found: list[str] = []
    removed: set[str] = set()
    while len(found) < _MOST_PROBLEMS:
        try:
            parse(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), where, folder)
        except SpecError as error:
            said = str(error).removeprefix(f"{where}: ")
        else:
            break
        steps = list(_steps(said))
        name = _path(steps, numbers)
        is_left_out = name.rpartition(".")[2] in {one.rpartition(".")[2] for one in removed}
        if name in removed or (" is missing" in said and is_left_out):
            # It follows from what was left out: a default that an arm now lacks.
            break
        found.append(f"{where}: {_renumbered(said, numbers)}")
        removed_path = _remove(data, steps, numbers)
        if removed_path is None:
            break
        removed.add(removed_path)
    return tuple(found)


def with_settings(text: str, where: str, settings: Sequence[str]) -> str:
    """Lay settings of the command line over a study file.

    Args:
        text: The study file.
        where: Its name, for messages.
        settings: ``KEY=VALUE`` each, the key a dotted path (``defaults.training.epochs``,
            ``arms.0.name``), the value as in YAML.

    Returns:
        The text with the settings; the given one if there are none.

    Raises:
        SpecError: If one has no ``=``, or its path leads nowhere.
    """
    if not settings:
        return text
    data: Any = copy.deepcopy(dict(read_yaml(text, where)))
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (equals and key):
            raise SpecError(
                f"--set must be KEY=VALUE, such as defaults.training.epochs=5, got "
                f"{shown(setting)}."
            )
        *outer, last = key.split(".")
        target = data
        for part in outer:
            if isinstance(target, dict) and target.get(part) is None:
                target[part] = {}
            target = _below(target, part, key)
        _put(target, last, dict(read_yaml(f"value: {value}", f"--set {key}"))["value"], key)
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


def _below(target: Any, part: str, key: str) -> Any:  # noqa: ANN401 (plain data)
    if isinstance(target, dict):
        return target[part]
    if isinstance(target, list) and part.isdecimal() and int(part) < len(target):
        return target[int(part)]
    raise SpecError(f"--set {key}: {part!r} must be within a mapping or a list; correct the key.")


def _put(target: Any, part: str, value: object, key: str) -> None:  # noqa: ANN401
    if isinstance(target, dict):
        target[part] = value
    elif isinstance(target, list) and part.isdecimal() and int(part) < len(target):
        target[int(part)] = value
    else:
        raise SpecError(
            f"--set {key}: {part!r} must be within a mapping or a list; correct the key."
        )


def _steps(said: str) -> Iterator[str | int]:
    """Yield the keys of the dotted path with which a message begins."""
    position = 0
    while (match := _STEP.match(said, position)) is not None:
        yield int(match[2]) if match[2] is not None else match[1]
        position = match.end()


def _path(steps: Sequence[str | int], numbers: Sequence[int]) -> str:
    """Return a path as in the file, with the arm's number there."""
    named = [
        numbers[step] if i == 1 and isinstance(step, int) and steps[0] == "arms" else step
        for i, step in enumerate(steps)
    ]
    return ".".join(map(str, named))


def _renumbered(said: str, numbers: Sequence[int]) -> str:
    def number(match: re.Match[str]) -> str:
        return f"arms[{numbers[int(match[1])]}]"

    return re.sub(r"arms\[(\d+)\]", number, said)


def _remove(data: Any, steps: Sequence[str | int], numbers: list[int]) -> str | None:  # noqa: ANN401
    """Leave out what a message is about; its path, or None if that cannot be left out."""
    steps = list(steps)
    if len(steps) > 1 and steps[0] == "arms" and isinstance(steps[1], int):
        own = steps[2] if len(steps) > 2 else None
        arm = data["arms"][steps[1]]
        if own is None or own in _PARTS or not isinstance(arm, dict) or own not in arm:
            removed = _path(steps[:2], numbers)
            del data["arms"][steps[1]], numbers[steps[1]]
            return removed if data["arms"] else None
    outer, target = None, data
    taken: list[str | int] = []
    for step in steps:
        is_key = isinstance(target, dict) and step in target
        is_index = isinstance(target, list) and isinstance(step, int) and step < len(target)
        if not (is_key or is_index):
            break
        outer, target = target, target[step]
        taken.append(step)
    if outer is None or taken in (["name"], ["arms"]):
        return None
    removed = _path(taken, numbers)
    del outer[taken[-1]]
    return removed
