"""From the name of a format and what was set to a launch file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from cluster.errors import LaunchError
from cluster.render import LAUNCHERS
from cluster.render.launch_file import LaunchFile
from cluster.render.overrides import key_of, keys, settings_of
from cluster.render.settings import LaunchSettings


def launch_file(launcher: str, pairs: Sequence[str]) -> LaunchFile:
    """Make a launch file.

    Args:
        launcher: Name of a format.
        pairs: What is set, such as ``workers.max=8``.

    Raises:
        LaunchError: If there is no such format, a setting is wrong, or one changes nothing in this
            format: whoever sets it expects that it does.
    """
    if launcher not in LAUNCHERS:
        close = difflib.get_close_matches(launcher, LAUNCHERS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(LAUNCHERS)}."
        raise LaunchError(f"{launcher!r} is no format of launch files; {hint}")
    settings = settings_of(pairs)
    made = LAUNCHERS[launcher](settings)
    for pair in pairs:
        rest = [other for other in pairs if other != pair]
        if _value(settings, key_of(pair)) != _value(LaunchSettings(), key_of(pair)):
            _require_effect(launcher, pair, rest, made)
    return made


def _require_effect(launcher: str, pair: str, rest: Sequence[str], made: LaunchFile) -> None:
    try:
        without = LAUNCHERS[launcher](settings_of(rest))
    except LaunchError:
        # It is needed beside the others.
        return
    if without == made:
        raise LaunchError(
            f"{key_of(pair)} changes nothing in a {launcher} file with these settings; leave it "
            "out."
        )


def _value(settings: LaunchSettings, key: str) -> object:
    assert key in keys()
    found: object = settings
    for name in key.split("."):
        found = getattr(found, name)
    return found
