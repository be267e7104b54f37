"""What Ray's head does without, told to ``ray start`` by ``RAY_START_HOOK``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ray._private.parameter import RayParams

HOOK: Final = "RAY_START_HOOK"


def without_client_server(params: RayParams, is_head: bool) -> None:  # noqa: ARG001 (Ray's)
    """Switch off the server of ``ray://``: no option does, and nobody here needs it."""
    params.ray_client_server_port = None
    # Not for what studies start.
    os.environ.pop(HOOK, None)
