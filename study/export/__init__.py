"""The trial table for other programs: tidy columns, as CSV or Parquet."""

from study.export.columns import Cell, Per, export_columns
from study.export.frame import to_csv, to_frame, to_parquet

__all__ = ["Cell", "Per", "export_columns", "to_csv", "to_frame", "to_parquet"]
