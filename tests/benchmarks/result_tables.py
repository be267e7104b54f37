"""The results of benchmarks of studies as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from study.cli.console import make_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks import Quartiles
    from tests.benchmarks.charts import ChartPage
    from tests.benchmarks.large_study import LargeStudyCosts
    from tests.benchmarks.overhead import Overhead
    from tests.benchmarks.reproducible import WaitingCost
    from tests.benchmarks.reuse import Reuse
    from tests.benchmarks.scaling import SlotUtilization
    from tests.benchmarks.tracking import Tracking, TrackingShare

_SAVINGS = {
    "base_models": "Base models, trained once per seed",
    "loaded_data": "data, loaded once per process",
    "decoded_data": "data, decoded once per node",
    "evaluations": "evaluations that eval_every leaves out",
    "twins": "trials that would repeat another",
}


def print_scaling(
    usages: list[SlotUtilization], left_out: list[int], much: LargeStudyCosts | None
) -> None:
    table = Table("trials at a time", "seconds each", "trials", "ideal s", "actual s", "used")
    for each in usages:
        table.add_row(
            str(each.slots),
            f"{each.trial_seconds:g}",
            str(each.trials),
            f"{each.ideal_seconds:.1f}",
            f"{each.actual_seconds:.1f}",
            f"{each.efficiency:.1%}",
        )
    console = make_console()
    console.print(table)
    if left_out:
        console.print(f"left out for lack of memory: {', '.join(map(str, left_out))} at a time")
    if much is not None:
        console.print(
            f"{much.trials} trials: status {much.status_seconds:.1f} s, report "
            f"{much.report_seconds:.1f} s, driver {much.driver_mib:.0f} MiB, of which "
            f"{much.driver_mib_for_trials:.0f} for the trials",
            highlight=False,
        )


def print_waiting(found: list[WaitingCost]) -> None:
    table = Table("places", "max_concurrent", "spread of durations", "length", "95 % below")
    for one in found:
        table.add_row(
            str(one.places),
            str(one.max_concurrent),
            f"{one.spread:g}",
            f"{one.median:.2f}",
            f"{one.high:.2f}",
        )
    make_console().print(table)


def print_overhead(found: Overhead) -> None:
    title = f"Overhead: {found.trials} trials, {found.slots} at a time"
    table = _spread_table(title, "seconds per trial")
    rows = {
        "a study, all of it on": found.study,
        "Optuna alone: ask, 4 reports, tell": found.bare_optuna,
        "Tune as it comes": found.stock_tune,
        "study ÷ Optuna alone": found.to_bare_optuna,
        "Tune as it comes ÷ study": found.to_stock_tune,
    }
    for name, spread in rows.items():
        table.add_row(name, *_cells(spread))
    console = make_console()
    console.print(table)
    console.print(f"first report after {found.start_up_s:.1f} s", highlight=False)
    fed = ", ".join(f"{n} trials of {s} s" for s, n in found.largest_clusters())
    console.print(f"one driver could feed, to 95 %, {fed} at a time", highlight=False)


def print_tracking(found: Tracking) -> None:
    title = f"Tracking: {found.points} points at a time, {found.bare.rounds} rounds"
    table = _spread_table(title, "points per second")
    for name, rate in {
        "a backlog, its runs opened and closed": found.backlog,
        "a backlog of reports alone": found.reports_alone,
        "bare log_batch, 1,000 points in a call": found.bare,
    }.items():
        table.add_row(name, f"{rate.median:.0f}", f"{rate.low:.0f} – {rate.high:.0f}")
    for name, share in {
        "backlog ÷ bare": found.backlog_to_bare,
        "reports alone ÷ bare": found.reports_to_bare,
    }.items():
        table.add_row(name, *_cells(share))
    make_console().print(table)


def print_tracking_share(found: TrackingShare) -> None:
    make_console().print(
        f"a study of {found.trials} trials and {found.study_seconds:.0f} s waits "
        f"{found.queued_seconds:.2f} s for the queue and {found.last_seconds:.1f} s for the last "
        f"records, {found.waited:.1%} of its time; its synchronization takes "
        f"{found.delivery_cpu_seconds:.1f} CPU seconds",
        highlight=False,
    )


def print_charts(found: Sequence[ChartPage]) -> None:
    table = Table(
        *("search trials", "view", "charts", "seconds (median)", "of"),
        title="MLflow's charts, first screen",
    )
    for one in found:
        all_of = ", ".join(f"{seconds:.1f}" for seconds in one.seconds)
        table.add_row(str(one.trials), one.view, str(one.charts), f"{one.median:.1f}", all_of)
    make_console().print(table)


def print_reuse(found: Reuse) -> None:
    table = Table(
        "not done again",
        "times",
        "CPU s each",
        "quartiles",
        "CPU s saved",
        title=f"Reuse: {found.trials} search trials",
        title_justify="left",
    )
    for name, saving in found.savings.items():
        table.add_row(
            _SAVINGS[name], str(saving.times), *_cells(saving.each), f"{saving.seconds:.1f}"
        )
    console = make_console()
    console.print(table)
    console.print(
        f"the search took {found.study_s:.0f} CPU s; without any of it, {found.without_s:.0f} s "
        f"at least, {found.without_s / found.study_s:.1f} times as long",
        highlight=False,
    )


def _spread_table(title: str, unit: str) -> Table:
    return Table("what", unit, "quartiles", title=title, title_justify="left")


def _cells(spread: Quartiles) -> tuple[str, str]:
    return f"{spread.median:.3f}", f"{spread.low:.3f} – {spread.high:.3f}"
