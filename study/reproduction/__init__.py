"""The papers' tables and figures as studies of any scale, with the printed numbers."""

from study.reproduction.paper_preset import at_scale, load_preset, preset_names

__all__ = [
    "at_scale",
    "load_preset",
    "preset_names",
]
