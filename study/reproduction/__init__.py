"""The papers' tables and figures as studies: at a scale of choice, beside the printed numbers."""

from study.reproduction.preset import SCALES, PaperRow, Preset, load_preset, preset_names
from study.reproduction.record import Reproduced, Reproduction, Verdict, reproduce
from study.reproduction.scaling import at_scale, differences
from study.reproduction.tables import reproduction_csv, reproduction_tables

__all__ = [
    "SCALES",
    "PaperRow",
    "Preset",
    "Reproduced",
    "Reproduction",
    "Verdict",
    "at_scale",
    "differences",
    "load_preset",
    "preset_names",
    "reproduce",
    "reproduction_csv",
    "reproduction_tables",
]
