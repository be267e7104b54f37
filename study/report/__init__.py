"""The report of a study: figures, tables, a written summary and one HTML page."""

from study.report.summary import Summary, summarise, to_markdown
from study.report.tables import Table
from study.report.write import ReportFiles, write_report

__all__ = ["ReportFiles", "Summary", "Table", "summarise", "to_markdown", "write_report"]
