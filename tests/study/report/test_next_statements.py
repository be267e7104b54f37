"""What to run next: replicas and their cost where nothing was shown."""

from __future__ import annotations

from dataclasses import replace

from study.records.trial_table import TrialRow, TrialTable
from study.report.sections import SECTIONS
from tests.support.trial_tables import constant_table

BASE = (0.40, 0.41, 0.42, 0.43)
ABOVE = (0.50, 0.52, 0.51, 0.53)
AROUND = (0.38, 0.44, 0.41, 0.45)


def used(row: TrialRow, cpu_s: float) -> TrialRow:
    *others, last = row.reports
    return replace(row, reports=(*others, replace(last, usage={"cpu_s": cpu_s})))


def table_of(challenger: tuple[float, ...]) -> TrialTable:
    table = constant_table(
        {"base": {0: BASE}, "random": {0: BASE}, "challenger": {5: challenger, 1: challenger}}
    )
    return replace(table, rows=tuple(used(row, 720.0) for row in table.rows))


def test_half_of_what_is_shown_takes_more_replicas_at_their_cost() -> None:
    (text,) = SECTIONS["next"](table_of(AROUND)).statements
    # A replica takes 0.05 hours: two points of Challenger and one of Base.
    assert text == (
        "Challenger on mnist (3 per class): a difference of 3.2 percentage points to Base, half "
        "of what 4 seeds show in 80% of studies, takes 8 final replicas: with 'replicas: {final: "
        "8}' in both arms the same command makes 24 trainings of about 1.2 CPU hours."
    )


def test_nothing_is_advised_where_a_difference_was_shown_or_there_is_no_result() -> None:
    assert SECTIONS["next"](table_of(ABOVE)).statements == ()
    assert SECTIONS["next"](replace(table_of(ABOVE), rows=())).statements == ()
