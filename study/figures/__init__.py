"""Figures, one per file: each says of one frozen record what is drawn, and computes nothing.

``static`` and ``interactive`` draw what they say.
"""

from study.figures import (
    arm_curves,
    attribution_maps,
    cosine_and_accuracy,
    cosine_over_epochs,
    dimension_curve,
    filter_cosine,
    filter_cosine_over_dimension,
    interactive,
    ranks,
    robustness,
    search_history,
    search_points,
    static,
    transfer,
)
from study.figures.sheet import cut_caption, render, render_without_caption

__all__ = [
    "arm_curves",
    "attribution_maps",
    "cosine_and_accuracy",
    "cosine_over_epochs",
    "cut_caption",
    "dimension_curve",
    "filter_cosine",
    "filter_cosine_over_dimension",
    "interactive",
    "ranks",
    "render",
    "render_without_caption",
    "robustness",
    "search_history",
    "search_points",
    "static",
    "transfer",
]
