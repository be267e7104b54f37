"""The paragraphs of the written summary, in order: one file and one line of SECTIONS each."""

from collections.abc import Callable
from types import MappingProxyType

from study.report.sections import (
    dimensions,
    filters,
    importance,
    limits,
    outcome,
    ranks,
    robustness,
    search,
    transfer,
)
from study.report.sections.section import Section
from study.trial_table import TrialTable

SECTIONS: MappingProxyType[str, Callable[[TrialTable], Section]] = MappingProxyType(
    {
        "outcome": outcome.section,
        "ranks": ranks.section,
        "dimensions": dimensions.section,
        "importance": importance.section,
        "transfer": transfer.section,
        "robustness": robustness.section,
        "filters": filters.section,
        "search": search.section,
        "limits": limits.section,
    }
)

__all__ = ["SECTIONS", "Section"]
