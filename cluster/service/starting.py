"""``cluster up``: every part of a service that does not live is started and waited for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.auth import ensure_token
from cluster.errors import ClusterError
from cluster.postgres_folder import shortened
from cluster.postgres_programs import account
from cluster.service.begun import launch
from cluster.service.ending import end_part, forget
from cluster.service.folder import ServiceFolder
from cluster.service.lock import holding
from cluster.service.part import Part
from cluster.service.parts import begun_part, lives, wanted_parts
from cluster.service.ray_part import RAY
from cluster.service.strays import end_strays
from cluster.service.wish import (
    Setting,
    Wish,
    differences,
    new_setting,
    overlaid,
    read_setting,
)
from cluster.session import LATE

_PAUSE_S: Final = 0.2
_LOG_END: Final = 2_000
_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A service that runs.

    Attributes:
        setting: What it is.
        parts: What was started for it just now; empty if all ran already.
    """

    setting: Setting
    parts: tuple[str, ...]


def start_service(
    folder: ServiceFolder, wish: Wish, given: AbstractSet[str], say: Callable[[str], None]
) -> Started:
    """Start a service, or what is missing of it, and wait until all of it answers.

    What was started is ended again if anything goes wrong; what ran before is left alone.

    Args:
        folder: Where the service keeps its things.
        wish: What it shall be.
        given: Fields of the wish that were asked for expressly; a service that runs, or did
            until it crashed, keeps the others as they are.
        say: Told each step.

    Raises:
        ClusterError: If a part cannot start, a port is taken, or another service runs here.
    """
    ensure_token()
    folder.prepare()
    with holding(folder) as lock:
        setting = _settled(folder, wish, given)
        folder.let_pass(setting.wish.has_postgres and account() is not None)
        missing = tuple(part for part in wanted_parts(setting) if not lives(part, setting))
        _clear(missing, setting, say)
        for port in (port for part in missing for port in part.ports(setting)):
            port.require_free()
        setting.write()
        try:
            _start(missing, setting, lock)
            _wait_for_all(missing, setting, lock, say)
        except BaseException:
            _undo(missing, setting)
            raise
    return Started(setting=setting, parts=tuple(part.title for part in missing))


def _settled(folder: ServiceFolder, asked: Wish, given: AbstractSet[str]) -> Setting:
    recorded = read_setting(folder)
    if recorded is None:
        return new_setting(folder, asked)
    wanted = overlaid(recorded.wish, asked, given)
    changed = differences(recorded.wish, wanted)
    if not changed:
        return recorded
    if any(lives(part, recorded) for part in wanted_parts(recorded)):
        raise ClusterError(
            f"the service in {folder.root} runs with other settings ({'; '.join(changed)}); leave "
            "them out to use it as it is, or end it first with 'cluster down'."
        )
    return Setting(folder=folder, wish=wanted, mark=recorded.mark)


def _clear(missing: Sequence[Part], setting: Setting, say: Callable[[str], None]) -> None:
    """End what a part has left that was killed: it would be in the way of the next."""
    for part in missing:
        if part is RAY:
            end_strays(setting, say)
        if (begun := begun_part(part, setting)) is not None:
            part.kill(begun, setting)


def _start(missing: Sequence[Part], setting: Setting, lock: int) -> None:
    # What each is started with may be what another prepares: MLflow's password is in Ray's.
    for part in missing:
        what = part.launch(setting)
        launch(what, setting.folder.process(part.name), lock)


def _wait_for_all(
    missing: Sequence[Part], setting: Setting, lock: int, say: Callable[[str], None]
) -> None:
    began = time.monotonic()
    tries = Counter(missing)
    waiting = list(wanted_parts(setting))
    if missing:
        say(f"starting {', '.join(part.title for part in missing)}")
    while waiting:
        for part in tuple(waiting):
            refusal = part.refusal(setting)
            if refusal is None:
                waiting.remove(part)
                if part in missing:
                    say(f"{part.title} answers after {time.monotonic() - began:.0f} s")
            elif not lives(part, setting):
                tries[part] += 1
                if part not in missing or tries[part] > _TRIES or not _was_late(part, setting):
                    raise ClusterError(_has_ended(part, setting))
                say(f"{part.title} took too long to start, once more")
                _clear([part], setting, say)
                _start([part], setting, lock)
            elif time.monotonic() - began > part.patience_s:
                raise ClusterError(_is_silent(part, setting, refusal))
        time.sleep(_PAUSE_S if waiting else 0)


def _was_late(part: Part, setting: Setting) -> bool:
    """Tell whether it was Ray, which gives itself half a minute that nothing can lengthen."""
    return part is RAY and LATE in _end_of(setting.folder.log(part.name))


def _has_ended(part: Part, setting: Setting) -> str:
    log = setting.folder.log(part.name)
    return (
        f"{part.title} must run at {part.place(setting)}, but it ended; the end of {log}: "
        f"{_end_of(log)}"
    )


def _is_silent(part: Part, setting: Setting, refusal: str) -> str:
    log = setting.folder.log(part.name)
    return (
        f"{part.title} must answer at {part.place(setting)} within {part.patience_s:.0f} s, but: "
        f"{refusal}; the end of {log}: {_end_of(log)}"
    )


def _undo(missing: Sequence[Part], setting: Setting) -> None:
    for part in reversed(missing):
        end_part(part, setting)
    if not any(lives(part, setting) for part in wanted_parts(setting)):
        forget(setting)


def _end_of(log: Path) -> str:
    text = log.read_bytes()[-_LOG_END:].decode(errors="replace") if log.exists() else ""
    return shortened(text) or "nothing"
