"""Figures of a report: each file is a pure function from a record to an Altair chart."""

from __future__ import annotations

from study.figures import (
    cosine_scatter,
    dependence_curves,
    forest_plot,
    importance_bars,
    interaction_bars,
    layer_differences,
    layers_over_dimension,
    layers_over_epochs,
    learning_lines,
    occlusion_lines,
    parallel_coordinates,
    rank_diagram,
    relevance_maps,
    sweep_curve,
    sweep_of_arms,
    transfer_dots,
    trial_history,
    trial_slices,
)
from study.figures.figure import Figure, ReportSource, Subject

__all__ = ["FIGURES", "Figure", "ReportSource", "Subject"]

FIGURES: dict[str, Figure] = {
    "forest_plot": forest_plot.FIGURE,
    "rank_diagram": rank_diagram.FIGURE,
    "sweep_curve": sweep_curve.FIGURE,
    "sweep_of_arms": sweep_of_arms.FIGURE,
    "learning_lines": learning_lines.FIGURE,
    "importance_bars": importance_bars.FIGURE,
    "interaction_bars": interaction_bars.FIGURE,
    "dependence_curves": dependence_curves.FIGURE,
    "transfer_dots": transfer_dots.FIGURE,
    "occlusion_lines": occlusion_lines.FIGURE,
    "layer_differences": layer_differences.FIGURE,
    "layers_over_dimension": layers_over_dimension.FIGURE,
    "layers_over_epochs": layers_over_epochs.FIGURE,
    "layer_levels": layer_differences.LEVELS,
    "levels_over_dimension": layers_over_dimension.LEVELS,
    "levels_over_epochs": layers_over_epochs.LEVELS,
    "cosine_scatter": cosine_scatter.FIGURE,
    "relevance_maps": relevance_maps.FIGURE,
    "trial_history": trial_history.FIGURE,
    "trial_slices": trial_slices.FIGURE,
    "parallel_coordinates": parallel_coordinates.FIGURE,
}
"""Figures in the order of a report. A new one is its analysis, its chart and a line here."""
