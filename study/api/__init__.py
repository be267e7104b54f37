"""Studies from Python: run them, and read what they found, in a script or a notebook."""

from study.api.study import Study, open_study

__all__ = ["Study", "open_study"]
