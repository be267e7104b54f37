"""The parts of a service, in the order in which they start; they end in the opposite one."""

from __future__ import annotations

from typing import Final

from cluster.service.begun import Begun, read_begun
from cluster.service.mlflow_part import MLFLOW
from cluster.service.part import Part
from cluster.service.postgres_part import POSTGRES
from cluster.service.ray_part import RAY
from cluster.service.wish import Setting

PARTS: Final = (POSTGRES, MLFLOW, RAY)


def wanted_parts(setting: Setting) -> tuple[Part, ...]:
    """Give the parts that a service shall have."""
    return tuple(part for part in PARTS if part is not POSTGRES or setting.wish.has_postgres)


def begun_part(part: Part, setting: Setting) -> Begun | None:
    """Give the process that a part was begun as, whether or not it lives; None if never."""
    record = setting.folder.process(part.name)
    return read_begun(record, setting.mark, setting.folder.root)


def lives(part: Part, setting: Setting) -> bool:
    """Tell whether a part's process lives."""
    begun = begun_part(part, setting)
    return begun is not None and begun.lives()
