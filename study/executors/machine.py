"""Whether this machine could ever hold a trial."""

from __future__ import annotations

import torch

from cluster.errors import ClusterError
from study.spec import Resources


def require_gpus(resources: Resources) -> None:
    """Make sure that this machine has the GPUs that a trial asks for.

    Raises:
        ClusterError: If it has fewer.
    """
    if resources.gpus > torch.cuda.device_count():
        raise ClusterError(
            f"resources.gpus is {resources.gpus:g}, but this machine has "
            f"{torch.cuda.device_count()} GPUs; set it to 0 or use another machine."
        )
