"""``cluster status``: what a service is, part by part, without becoming a part of it.

Ray is asked by the HTTP of its dashboard: to connect as a driver takes seconds.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.auth import require_token
from cluster.service.dashboard import NodeState, StudyJob, nodes_of, studies_of
from cluster.service.folder import ServiceFolder
from cluster.service.part import Part
from cluster.service.parts import begun_part, wanted_parts
from cluster.service.ray_part import RAY, prepare_to_join
from cluster.service.wish import Setting, read_setting

if TYPE_CHECKING:
    from cluster.queue import QueueRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """How a part is.

    Attributes:
        title: Its name.
        state: ``answers``, ``does not answer`` or ``ended``.
        since_s: When it started, or last said something if it has ended; in seconds since 1970.
        place: Where it is found.
        reason: Why it does not answer, or None.
    """

    title: str
    state: str
    since_s: float
    place: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How a service is.

    Attributes:
        setting: What it is.
        parts: How its parts are.
        nodes: Ray's nodes, the head first; empty if Ray does not answer.
        studies: Studies whose drivers run on it.
        queue: How they share it, in the order of the queue; empty unless there are several.
    """

    setting: Setting
    parts: tuple[PartState, ...]
    nodes: tuple[NodeState, ...]
    studies: tuple[StudyJob, ...]
    queue: tuple[QueueRow, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether every part answers as it must."""
        return all(part.state == "answers" for part in self.parts)


def look_at_service(folder: ServiceFolder) -> ServiceState | None:
    """Look at a service; None if there is none.

    Raises:
        ClusterError: If its record or Ray's token cannot be read.
    """
    setting = read_setting(folder)
    if setting is None:
        return None
    parts = wanted_parts(setting)
    with ThreadPoolExecutor(len(parts)) as pool:
        states = tuple(pool.map(lambda part: _state(part, setting), parts))
    if RAY.title not in {state.title for state in states if state.state == "answers"}:
        return ServiceState(setting=setting, parts=states, nodes=(), studies=(), queue=())
    headers = require_token().headers()
    studies = studies_of(setting.dashboard, headers)
    return ServiceState(
        setting=setting,
        parts=states,
        nodes=nodes_of(setting.dashboard, headers),
        studies=studies,
        queue=_queue(setting) if len(studies) > 1 else (),
    )


def _queue(setting: Setting) -> tuple[QueueRow, ...]:
    """Ask the queue, as a driver: worth the seconds only where several studies share."""
    prepare_to_join(setting)
    from cluster.queue import look

    return look(setting.head)


def _state(part: Part, setting: Setting) -> PartState:
    begun = begun_part(part, setting)
    if begun is None or not begun.lives():
        return PartState(
            title=part.title,
            state="ended",
            since_s=_last_word_s(part, setting),
            place=part.place(setting),
            reason=f"its process has ended; see {setting.folder.log(part.name)}",
        )
    refusal = part.refusal(setting)
    return PartState(
        title=part.title,
        state="answers" if refusal is None else "does not answer",
        since_s=time.time() - begun.age_s(),
        place=part.place(setting),
        reason=refusal,
    )


def _last_word_s(part: Part, setting: Setting) -> float:
    log = setting.folder.log(part.name)
    return log.stat().st_mtime if log.exists() else setting.folder.record.stat().st_mtime
