"""Figures, one per file: each draws one frozen record and computes nothing."""

from study.figures import (
    attribution_maps,
    dimension_curve,
    filter_cosine,
    filter_cosine_over_dimension,
    search_history,
)
from study.figures.style import render

__all__ = [
    "attribution_maps",
    "dimension_curve",
    "filter_cosine",
    "filter_cosine_over_dimension",
    "render",
    "search_history",
]
