"""``cluster down``: all that a service has started is ended, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from cluster.service.folder import ServiceFolder
from cluster.service.lock import holding
from cluster.service.part import Part
from cluster.service.parts import PARTS, begun_part
from cluster.service.ray_part import remove_ray_folder
from cluster.service.strays import end_strays
from cluster.service.wish import Setting, read_setting


def end_service(folder: ServiceFolder, say: Callable[[str], None]) -> tuple[str, ...]:
    """End a service, also what is left of one that crashed; what it keeps stays.

    Drivers of studies go first and are asked: their studies can be resumed.

    Args:
        folder: Where the service keeps its things.
        say: Told each step.

    Returns:
        What was ended, for people; empty if nothing ran.

    Raises:
        ClusterError: If another command starts or ends the service just now.
    """
    if not folder.exists():
        return ()
    with holding(folder):
        setting = read_setting(folder)
        return () if setting is None else _end_all(setting, say)


def _end_all(setting: Setting, say: Callable[[str], None]) -> tuple[str, ...]:
    ended = ["running drivers"] if end_strays(setting, say) else []
    for part in reversed(PARTS):
        if end_part(part, setting):
            ended.append(part.title)
            say(f"{part.title} has ended")
    # What a driver left that started just before.
    end_strays(setting, say)
    forget(setting)
    return tuple(ended)


def end_part(part: Part, setting: Setting) -> bool:
    """End one part in order; tells whether anything of it was left to end."""
    begun = begun_part(part, setting)
    if begun is None:
        return False
    was_there = bool(begun.members())
    part.end(begun, setting)
    setting.folder.process(part.name).unlink()
    return was_there


def forget(setting: Setting) -> None:
    """Delete the record of a service of which nothing runs any more, and Ray's folder."""
    remove_ray_folder(setting.folder.ray)
    for part in PARTS:
        setting.folder.process(part.name).unlink(missing_ok=True)
    setting.folder.record.unlink(missing_ok=True)
