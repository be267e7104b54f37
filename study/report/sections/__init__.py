"""The sections of the summary, in order: one function and one line of SECTIONS each."""

from collections.abc import Callable
from types import MappingProxyType

from study.records.trial_table import TrialTable
from study.report.sections import (
    model_statements,
    next_statements,
    result_statements,
    search_statements,
)
from study.report.sections.result_statements import Section

SECTIONS: MappingProxyType[str, Callable[[TrialTable], Section]] = MappingProxyType(
    {
        "outcome": result_statements.outcome_section,
        "ranks": result_statements.ranks_section,
        "dimensions": search_statements.dimensions_section,
        "importance": search_statements.importance_section,
        "transfer": result_statements.transfer_section,
        "robustness": model_statements.occlusion_section,
        "object": model_statements.object_section,
        "filters": model_statements.filters_section,
        "search": search_statements.search_section,
        "limits": model_statements.limits_section,
        "next": next_statements.next_section,
    }
)

__all__ = ["SECTIONS", "Section"]
