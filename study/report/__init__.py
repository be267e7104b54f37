"""The report of a study: figures, tables, a written summary and one HTML page."""

from study.report.arm_note import arm_note
from study.report.summary import Summary, summarise, to_markdown
from study.report.tables import Table
from study.report.write import PageFormat, ReportFiles, write_report

__all__ = [
    "PageFormat",
    "ReportFiles",
    "Summary",
    "Table",
    "arm_note",
    "summarise",
    "to_markdown",
    "write_report",
]
