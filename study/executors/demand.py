"""What a trial reserves, in Ray's words."""

from __future__ import annotations

import math
from typing import Final

from study.spec import Resources

_GIB: Final = 2**30
# Ray counts in steps of 0.0001 and rounds: of seven times 0.1429 six fit on a GPU.
_STEPS: Final = 10_000


def demand_of(resources: Resources) -> dict[str, float]:
    """Give the amounts by Ray's names; what is not asked for is left out.

    A share of a GPU is rounded down to what Ray counts in, so that n trials of 1/n fit on one.

    Example:
        >>> demand_of(Resources(gpus=1 / 7, memory_gib=2, custom={"rtx4090": 1.0}))
        {'CPU': 1.0, 'GPU': 0.1428, 'memory': 2147483648.0, 'rtx4090': 1.0}
    """
    amounts = {
        "CPU": float(resources.cpus),
        # A whole one, and a share that is exact in steps, stay as they are.
        "GPU": math.floor(resources.gpus * _STEPS + 1e-6) / _STEPS,
        "memory": float(int((resources.memory_gib or 0) * _GIB)),
        **resources.custom,
    }
    return {name: amount for name, amount in amounts.items() if amount}
