"""What matters: which dimensions explain the results over the whole space of a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from study.errors import ReportError
from study.report.global_exhibits import global_metrics
from study.report.global_tables import percent
from study.report.sections.section import Section
from study.report.wording import counted, listed
from study.sensitivity import arm_label, dimension_symbol, metric_label
from study.sensitivity.importance import (
    GlobalBasis,
    Importance,
    Share,
    estimators_for,
    global_basis,
    importance,
    is_design,
)
from study.trial_table import ArmRow, TrialTable

_SAID = ("fanova", "ped_anova", "sobol_first", "sobol_total", "given_first")
_HOW = "'sampler: random' or 'design: sobol' (or saltelli)"


def section(table: TrialTable) -> Section:
    """State per design and metric which dimensions explain more than chance would.

    Trials that a sampler proposed by their results are the basis of no statement, however
    insistently the figures were asked for.
    """
    designs = [arm for arm in table.arms if is_design(arm)]
    statements = tuple(
        _statement(table, arm, metric) for arm in designs for metric in global_metrics(table, arm)
    )
    return Section(title="What matters", statements=statements or tuple(_none(table)))


def _none(table: TrialTable) -> Iterator[str]:
    samplers = dict.fromkeys(arm.sampler for arm in table.arms if arm.dimensions)
    if samplers:
        yield (
            f"No claim is made about which dimensions matter over their whole space: "
            f"{listed(list(samplers))} proposed the trials by their results. To make one, search "
            f"an arm with {_HOW} and 'scheduler: none'."
        )


def _statement(table: TrialTable, arm: ArmRow, metric: str) -> str:
    name = f"{arm_label(arm.name, arm.method)}, {metric_label(metric).name}"
    try:
        basis = global_basis(table, arm.name, metric)
    except ReportError as error:
        return f"{name}: no claim is made; {error}"
    return " ".join((f"{name} ({_stands_on(basis)}):", *_findings(basis)))


def _stands_on(basis: GlobalBasis) -> str:
    noise = (
        ""
        if basis.noise is None
        else f", of whose variance {min(1.0, basis.noise):.0%} is replica noise"
    )
    return f"{counted(basis.n, 'trial')} by {basis.sampler}{noise}"


def _findings(basis: GlobalBasis) -> Iterator[str]:
    for name in (name for name in estimators_for(basis.sampler) if name in _SAID):
        try:
            yield _finding(importance(basis, name))
        except ReportError as error:
            yield f"No claim is made here: {error}"


def _finding(record: Importance) -> str:
    title, factor = record.estimator.title, record.estimator.factor
    if record.level is None:
        return f"{_explained(record, record.shares)} ({title}); chance has no level here."
    level = f"level {percent(record.level, factor)}%"
    shown = [share for share in record.shares if share.is_shown]
    if not shown:
        return (
            f"For no dimension an effect above chance was shown ({title}: {level}; the largest is "
            f"{dimension_symbol(record.shares[0].dimension)} with {_share(record.shares[0])})."
        )
    more = f"{_explained(record, shown)} ({title}), more than chance"
    rest = "; for no other dimension an effect above chance was shown" * (
        len(shown) < len(record.shares)
    )
    return f"{more} ({level}){rest}."


def _explained(record: Importance, shares: Sequence[Share]) -> str:
    first, *others = shares
    parts = [f"{dimension_symbol(first.dimension)} explains {_share(first)}"]
    parts += [f"{dimension_symbol(other.dimension)} {_share(other)}" for other in others]
    return f"{listed(parts)} {record.estimator.explains}"


def _share(share: Share) -> str:
    value, low, high = (percent(each) for each in (share.value, share.low, share.high))
    return f"{value}% [{low}, {high}]"
