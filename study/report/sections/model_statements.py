"""Statements on the trained models: filters, occlusion, and limits of the result."""

from __future__ import annotations

from collections.abc import Iterator

from study.records.errors import ReportError
from study.records.labels import arm_label, metric_label, order_label
from study.records.trial_table import TrialTable
from study.report.formatting import (
    CONFIDENCE_PERCENT,
    format_corrected,
    format_count,
    format_difference,
    format_estimate,
    format_interval,
    format_power,
    format_significance,
    format_with_unit,
    join_words,
)
from study.report.sections.result_statements import Section, main_metric
from study.sensitivity import (
    MEAN_LAYER,
    OCCLUSION_ORDERS,
    ArmComparison,
    CorrectedDifference,
    OcclusionCurve,
    Robustness,
    Workload,
    compare,
    cosine_and_accuracy,
    not_covered,
    occluded_workloads,
    robustness,
    workloads,
)

_METRIC = f"filter_cosine/{MEAN_LAYER}"


def filters_section(table: TrialTable) -> Section:
    """State each arm's mean filter cosine and its difference to Base."""
    return Section(
        title="Diversity of filters", place="filters", statements=tuple(_filters_statements(table))
    )


def _filters_statements(table: TrialTable) -> Iterator[str]:
    try:
        comparison = compare(table, (_METRIC,))
    except ReportError as error:
        yield f"No result yet: {error}"
        return
    for row in comparison.rows:
        yield _filters_statement(row)
    for workload in workloads(table):
        yield from _correlation(table, workload)
    yield (
        "The signed cosine of random filters is 0 on average; lower means more diverse filters. "
        "A difference in filter cosine does not by itself explain a difference in accuracy."
    )


def _filters_statement(row: ArmComparison) -> str:
    name, found = arm_label(row.arm, row.method), row.get(_METRIC)
    if found is None:
        return f"{name} on {row.dataset}: no filter cosine."
    level = (
        f"{name} on {row.dataset}: mean filter cosine {format_interval(found.interval, _METRIC)}"
    )
    corrected = found.to_control
    if corrected is None:
        return f"{level}."
    change = format_corrected(corrected, _METRIC)
    if not corrected.is_significant:
        verdict = "no difference to Base was shown"
    elif corrected.difference.interval.mean < 0:
        verdict = "more diverse filters than Base"
    else:
        verdict = "less diverse filters than Base"
    return f"{level}; {verdict}: {change}{_power(corrected)}."


def _power(corrected: CorrectedDifference) -> str:
    power = "" if corrected.is_significant else format_power(corrected, _METRIC)
    return f"; {power}" if power else ""


def _correlation(table: TrialTable, workload: Workload) -> Iterator[str]:
    """State the correlation of filter cosine and the main metric over final trials."""
    metric = main_metric(table)
    try:
        found = cosine_and_accuracy(table, workload, "final", metric).overall
    except ReportError:
        # A report without sweeps has too few final trials; nothing is missing.
        return
    if found is None:
        return
    is_better = (found.r < 0) == (metric_label(metric).direction == "maximize")
    verdict = (
        f"trials with more diverse filters are {'better' if is_better else 'worse'}"
        if found.low > 0 or found.high < 0
        else "no correlation was shown"
    )
    interval = f"{found.low:.2f} to {found.high:.2f}".replace("-", "−")
    r = f"{found.r:.2f}".replace("-", "−")
    yield (
        f"Over {found.n} final trials on {workload.dataset}, mean filter cosine and "
        f"{metric_label(metric).name} are correlated with r = {r} ({CONFIDENCE_PERCENT} interval "
        f"{interval}): {verdict}."
    )


def occlusion_section(table: TrialTable) -> Section:
    """State the area under each arm's occlusion curves, if the study has any."""
    found = occluded_workloads(table)
    statements = tuple(
        text for workload in found for text in _occlusion_statements(table, workload)
    )
    return Section(
        title="Robustness to hidden inputs",
        place="result",
        statements=(*statements, _CAUTION) if found else (),
    )


_CAUTION = (
    "The area includes the level of the whole samples, so a model that is better without "
    "occlusion has an advantage. With the most relevant positions hidden first, each model loses "
    "the positions that it relies on: a steep decrease can mean that few positions are decisive, "
    "or that the attribution finds them well."
)


def _occlusion_statements(table: TrialTable, workload: Workload) -> Iterator[str]:
    try:
        record = robustness(table, workload)
    except ReportError as error:
        yield f"No result on {workload.dataset} yet: {error}"
        return
    for order in OCCLUSION_ORDERS:
        for curve in record.curves_for(order):
            yield _occlusion_statement(record, curve)


def _occlusion_statement(record: Robustness, curve: OcclusionCurve) -> str:
    metric, area, last = record.metric, curve.area, curve.points[-1]
    first, end = (format_with_unit(p.interval.mean, metric) for p in (curve.points[0], last))
    level = (
        f"{arm_label(curve.arm, curve.method)} on {record.dataset}, hidden "
        f"{order_label(curve.order)}: the mean {metric_label(metric).name} changes from {first} "
        f"to {end} with {last.share * 100:.3g}% hidden; over all shares it is "
        f"{format_estimate(area.interval, metric)}"
    )
    corrected = area.to_base
    if corrected is None:
        return f"{level}."
    difference = corrected.difference.interval.mean
    if not corrected.is_significant:
        verdict = "no difference to Base was shown"
    elif difference > 0:
        verdict = "better than Base under occlusion"
    else:
        verdict = "worse than Base under occlusion"
    change = format_difference(difference, metric, is_signed=True)
    return f"{level}; {verdict}: {change} ({format_significance(corrected, metric)})."


_OBJECT = "test/object_relevance"


def object_section(table: TrialTable) -> Section:
    """State the share of each arm's relevance inside the object, if the study has measured it."""
    return Section(
        title="Relevance inside the object",
        place="result",
        statements=tuple(_object_statements(table)),
    )


def _object_statements(table: TrialTable) -> Iterator[str]:
    try:
        rows = compare(table, (_OBJECT,)).rows
    except ReportError:
        # No arm has a test metric yet, which the outcome says.
        return
    measured = [(row, found) for row in rows if (found := row.get(_OBJECT)) is not None]
    for row, found in measured:
        level = (
            f"{arm_label(row.arm, row.method)} on {row.dataset}: "
            f"{format_estimate(found.interval, _OBJECT)} of the positive relevance"
        )
        corrected = found.to_control
        if corrected is None:
            yield f"{level}."
            continue
        verdict = "no difference to Base was shown"
        if corrected.is_significant:
            verdict = f"{'more' if corrected.difference.interval.mean > 0 else 'less'} than Base"
        change = format_difference(corrected.difference.interval.mean, _OBJECT, is_signed=True)
        yield f"{level}; {verdict}: {change} ({format_significance(corrected, _OBJECT)})."
    if measured:
        yield (
            "The relevance is ε-LRP's of the true class, and the share the mean over the test "
            "images. A larger share does not by itself mean a better model."
        )


_ADVISED_REPLICAS = 5


def limits_section(table: TrialTable) -> Section:
    """State scale, replicas, unequal budgets and failed trials."""
    return Section(
        title="Limitations", place="method", statements=tuple(_limits_statements(table))
    )


def _limits_statements(table: TrialTable) -> Iterator[str]:
    yield (
        f"The {CONFIDENCE_PERCENT} intervals cover the variation between replica seeds "
        f"(initialization, order of samples, challenges). They do not cover other datasets, "
        f"models or searches."
    )
    choices = dict.fromkeys(choice for arm in table.arms for choice in not_covered(arm))
    yield (
        f"All replicas share their {join_words(list(choices))}: no interval covers another choice "
        "of them."
    )
    yield from _replica_statements(table)
    for workload in workloads(table):
        yield from _budget_statements(table, workload)
        epochs = sorted({arm.epochs for arm in workload.arms})
        yield (
            f"Scale: {workload.dataset}, {workload.model}, {' or '.join(map(str, epochs))} "
            "epochs, "
            f"{workload.arms[0].n_features} input features, {workload.arms[0].n_classes} "
            f"classes."
        )
    failed = sum(row.state == "FAIL" for row in table.rows)
    if failed:
        yield (
            f"{failed} of {format_count(len(table.rows), 'trial')} failed and are excluded from "
            f"every mean; if they failed because of their parameters, the means are biased "
            f"towards better values."
        )


def _replica_statements(table: TrialTable) -> Iterator[str]:
    counts = [len(row.seeds) for row in table.rows if row.phase == "final"]
    if counts and min(counts) < _ADVISED_REPLICAS:
        yield (
            f"Final trials have as few as {format_count(min(counts), 'replica')}: intervals are "
            f"wide, and small effects cannot be shown; {_ADVISED_REPLICAS} or more are advised."
        )


def _budget_statements(table: TrialTable, workload: Workload) -> Iterator[str]:
    counts = {
        arm.name: len(table.select(arm.name, "search")) for arm in workload.arms if arm.dimensions
    }
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield (
            f"The arms on {workload.dataset} had unequal search budgets in trials ({shown}): the "
            f"comparison favors the larger."
        )
