"""Which method is best over all datasets, and which are not shown to differ."""

from __future__ import annotations

from collections.abc import Iterator

from study.errors import ReportError
from study.report.sections.outcome import main_metric
from study.report.sections.section import Section
from study.report.wording import listed, p_value
from study.sensitivity import (
    CONFIDENCE,
    AverageRanks,
    arm_label,
    average_ranks,
    metric_label,
    settings,
)
from study.trial_table import TrialTable


def section(table: TrialTable) -> Section:
    """State the mean ranks; nothing where the study has only one dataset."""
    statements = tuple(_statements(table)) if len(settings(table)) > 1 else ()
    return Section(title="Over the datasets", statements=statements)


def _statements(table: TrialTable) -> Iterator[str]:
    try:
        record = average_ranks(table, main_metric(table))
    except ReportError as error:
        yield f"Methods are not ranked: {error}"
        return
    ranks = [f"{arm_label(m.method, m.method)} {m.rank:.2f}" for m in record.methods]
    yield (
        f"Mean ranks by {metric_label(record.metric).name} over {len(record.settings)} datasets "
        f"(1 is best): {', '.join(ranks)}. {_verdict(record)}"
    )


def _verdict(record: AverageRanks) -> str:
    sure = f"{p_value(record.p_value)}, Friedman's test by permutation"
    if record.p_value >= 1 - CONFIDENCE:
        return f"No difference between the methods was shown ({sure})."
    groups = [listed([arm_label(method, method) for method in group]) for group in record.alike]
    alike = f" Not shown to differ: {'; '.join(groups)}." if groups else ""
    return (
        f"The methods differ ({sure}); two of them where their mean ranks are at least "
        f"{record.critical_difference:.2f} apart (Nemenyi, 5%).{alike}"
    )
