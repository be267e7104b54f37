"""The papers' tables and figures as studies: at a scale of choice, beside the printed numbers."""

from study.reproduction.paper_comparison import (
    ControlTest,
    ReproducedValue,
    Reproduction,
    reproduce,
    reproduction_csv,
    reproduction_tables,
)
from study.reproduction.paper_preset import (
    SCALES,
    PaperRow,
    Preset,
    at_scale,
    differences,
    load_preset,
    preset_names,
)

__all__ = [
    "SCALES",
    "PaperRow",
    "Preset",
    "ReproducedValue",
    "Reproduction",
    "ControlTest",
    "at_scale",
    "differences",
    "load_preset",
    "preset_names",
    "reproduce",
    "reproduction_csv",
    "reproduction_tables",
]
