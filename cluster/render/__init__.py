"""Launch files for Ray clusters on which studies run: one template per format.

Rendering reads nothing but its settings: no environment, no network, no cluster.
"""

from __future__ import annotations

from cluster.render.launch_file import LAUNCHERS, render_launch_file, render_settings
from cluster.render.overrides import describe_settings, parse_overrides
from cluster.render.settings import LaunchSettings

__all__ = [
    "LAUNCHERS",
    "LaunchSettings",
    "describe_settings",
    "parse_overrides",
    "render_launch_file",
    "render_settings",
]
