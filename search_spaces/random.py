"""The space of the Random control: N, α, β and the split ratio, as in Challenger."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import FloatDimension, IntDimension
from search_spaces.rules import Bounds, IntegerRule, Limits, RealRule, Rule, ShareOrCountRule

SEARCHED = ("n_features", "alpha", "beta", "split")

# The paper gives none of these ranges (shares, and units of the model's inputs); these are
# wide enough that the best of the studies run so far lie inside.
_SHARE = FloatDimension(low=0.01, high=0.3)
_AMOUNT = FloatDimension(low=0.1, high=2.0)
_SPLIT = FloatDimension(low=0.1, high=0.9)


def challenge_rules(limits: Limits) -> Mapping[str, Rule]:
    """Say what each dimension of a challenge allows on a dataset.

    N is a share of the D input features, or a count from 1 to D if it is given in integers.
    """
    total = limits.n_features
    reason = f"{limits.dataset} has {total} input features"
    return {
        "n_features": ShareOrCountRule(
            share=RealRule(bounds=Bounds(low=0.0, high=1.0, is_open_below=True), default=_SHARE),
            count=IntegerRule(
                bounds=Bounds(low=1, high=total, reason=reason),
                default=IntDimension(low=1, high=total),
            ),
        ),
        "alpha": RealRule(bounds=Bounds(low=0.0), default=_AMOUNT),
        "beta": RealRule(bounds=Bounds(low=0.0), default=_AMOUNT),
        "split": RealRule(
            bounds=Bounds(low=0.0, high=1.0, is_open_below=True, is_open_above=True),
            default=_SPLIT,
        ),
        "a_fraction": RealRule(
            bounds=Bounds(low=0.0, high=1.0), default=FloatDimension(low=0.0, high=1.0)
        ),
    }
