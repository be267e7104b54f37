"""Figures, one per file: each draws one frozen record and computes nothing."""

from study.figures import (
    attribution_maps,
    dimension_curve,
    filter_cosine,
    filter_cosine_over_dimension,
    robustness,
    search_history,
    transfer,
)
from study.figures.style import render

__all__ = [
    "attribution_maps",
    "dimension_curve",
    "filter_cosine",
    "filter_cosine_over_dimension",
    "render",
    "robustness",
    "search_history",
    "transfer",
]
