"""What is measured on the test split of a final trial beside its metrics."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from trainables.checks import require


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """Tests that a trained model undergoes once, after its last epoch.

    They change nothing of its training.

    Attributes:
        occlusion: Shares of a sample's positions that are hidden in turn, each in (0, 1] and
            in increasing order; empty for no occlusion test.
        bootstrap_draws: Draws of test samples behind each interval over them; 0 for no such
            intervals.
    """

    occlusion: tuple[float, ...] = ()
    bootstrap_draws: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        shares = self.occlusion
        in_range = all(0 < share <= 1 for share in shares)
        require(in_range, "occlusion", "must hold shares in (0, 1]", list(shares))
        increases = all(a < b for a, b in itertools.pairwise(shares))
        require(increases, "occlusion", "must increase from share to share", list(shares))
        draws = self.bootstrap_draws
        require(draws >= 0, "bootstrap_draws", "must be 0 or more", draws)
