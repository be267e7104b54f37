"""Launch files for Ray clusters on which studies run: one file per format, one line per file.

Rendering reads nothing but its settings: no environment, no network, no cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from cluster.render import compose, dockerfile, kuberay, ray_up, slurm
from cluster.render.launch_file import LaunchFile
from cluster.render.settings import LaunchSettings

LAUNCHERS: Final[Mapping[str, Callable[[LaunchSettings], LaunchFile]]] = MappingProxyType(
    {
        "compose": compose.render,
        "dockerfile": dockerfile.render,
        "kuberay": kuberay.render,
        "ray-up": ray_up.render,
        "slurm": slurm.render,
    }
)

__all__ = ["LAUNCHERS", "LaunchFile", "LaunchSettings"]
