"""The report of a study: figures, tables, a written summary and one HTML page."""

from study.report.markdown import Summary, arm_note, summarize, to_markdown
from study.report.report_files import PageFormat, ReportFiles, write_report
from study.report.tables import Table

__all__ = [
    "PageFormat",
    "ReportFiles",
    "Summary",
    "Table",
    "arm_note",
    "summarize",
    "to_markdown",
    "write_report",
]
