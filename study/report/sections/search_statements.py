"""Statements on the search: swept dimensions, importances, trials and cost."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from study.figures.importance_bars import global_metrics
from study.records.errors import ReportError
from study.records.labels import arm_label, dimension_symbol, metric_label
from study.records.trial_table import ArmRow, TrialTable
from study.report.formatting import (
    CONFIDENCE_PERCENT,
    STATE_NAMES,
    format_count,
    format_difference,
    format_difference_interval,
    format_p_value,
    format_params,
    format_percent,
    format_power,
    format_value,
    format_with_unit,
    join_words,
)
from study.report.sections.result_statements import Section, main_metric, outcome_word
from study.report.summary_tables import format_hours
from study.sensitivity import (
    CONFIDENCE,
    BestSet,
    CorrectedDifference,
    DimensionCurve,
    SweepEffect,
    best_set,
    cost,
    holm,
    sweep_curve,
    sweep_effect,
    swept_dimensions,
)
from study.sensitivity.importance import (
    DimensionShare,
    Importance,
    SearchData,
    estimators_for,
    importance,
    is_design,
    search_data,
)


def dimensions_section(table: TrialTable) -> Section:
    """State for each sweep its range, and whether the dimension has an effect."""
    metric, swept = main_metric(table), _swept_arms(table)
    found = [_curve_or_reason(table, arm, dimension, metric) for arm, dimension in swept]
    effects = [sweep_effect(curve) for curve in found if isinstance(curve, DimensionCurve)]
    corrected = iter(zip(effects, holm([effect.p_value for effect in effects]), strict=True))
    statements = tuple(
        " ".join(_curve_sentences(one, *next(corrected), len(effects)))
        if isinstance(one, DimensionCurve)
        else one
        for one in found
    )
    none = ("No dimension was swept: add 'sensitivity' to an arm of the study file.",)
    return Section(
        title="Sensitivity to the dimensions", place="sensitivity", statements=statements or none
    )


def _swept_arms(table: TrialTable) -> list[tuple[ArmRow, str]]:
    return [(arm, name) for arm in table.arms for name in swept_dimensions(table, arm)]


def _curve_or_reason(
    table: TrialTable, arm: ArmRow, dimension: str, metric: str
) -> DimensionCurve | str:
    """Return a curve, or the reason why there is none."""
    try:
        return sweep_curve(table, arm.name, dimension, metric)
    except ReportError as error:
        return f"{arm_label(arm.name, arm.method)}, {dimension}: no result; {error}"


def _curve_sentences(
    curve: DimensionCurve, effect: SweepEffect, p: float, family: int
) -> Iterator[str]:
    symbol, metric = dimension_symbol(curve.dimension), curve.metric
    lowest = min(curve.points, key=lambda point: point.interval.mean)
    highest = max(curve.points, key=lambda point: point.interval.mean)
    low, high = (
        f"{format_with_unit(point.interval.mean, metric)} ({symbol} = {format_value(point.value)})"
        for point in (lowest, highest)
    )
    span = format_difference(highest.interval.mean - lowest.interval.mean, metric)
    widths = [point.interval.width for point in curve.points]
    mean_width, max_width = (
        format_difference(width, metric) for width in (statistics.fmean(widths), max(widths))
    )
    yield (
        f"Over {len(curve.points)} values of {symbol} ({format_value(curve.points[0].value)} to "
        f"{format_value(curve.points[-1].value)}) the mean {metric_label(metric).name} of "
        f"{arm_label(curve.arm, curve.method)} ranges from {low} to {high}, by {span}; the "
        f"{CONFIDENCE_PERCENT} interval of a single value is {mean_width} wide on average and "
        f"{max_width} at most (n = {curve.n})."
    )
    yield _effect_sentence(symbol, effect, p, family)
    averaged = format_averaged(curve)
    if averaged:
        yield averaged
    yield from _base_sentence(curve)
    yield _best_sentence(symbol, best_set(curve))
    yield (
        f"The search chose {symbol} = {format_value(curve.chosen)}; choosing the best value of "
        f"this curve instead would select on the test set."
    )


def format_averaged(curve: DimensionCurve) -> str:
    """Return the difference to Base averaged over a curve's values as a sentence, with its test.

    Empty without Base.
    """
    if curve.averaged is None:
        return ""
    alone = CorrectedDifference(difference=curve.averaged, p_holm=curve.averaged.p_value, family=1)
    interval, metric = curve.averaged.interval, curve.metric
    word = outcome_word(alone, metric)
    power = format_power(alone, metric)
    ending = f"; {power}" if power and not word else ""
    finding = f"is {word} than Base" if word else "is not shown to differ from Base"
    return (
        f"Averaged over {len(curve.points)} values of {dimension_symbol(curve.dimension)}, "
        f"{arm_label(curve.arm, curve.method)} {finding}: "
        f"{format_difference_interval(interval, metric)} (paired t test over {alone.difference.n} "
        f"seeds, {format_p_value(alone.p_holm)}{ending})."
    )


def _effect_sentence(symbol: str, effect: SweepEffect, p: float, family: int) -> str:
    verdict = (
        f"{symbol} has an effect" if p < 1 - CONFIDENCE else f"No effect of {symbol} was shown"
    )
    correction = f", Holm-corrected over {family} sweeps" if family > 1 else ""
    sentence = (
        f"{verdict}: its value explains {effect.share:.0%} of the variance within a seed, where "
        f"{effect.expected_share:.0%} is expected by chance ({format_p_value(p)} by permutation "
        f"within seeds{correction})."
    )
    if effect.min_p_value < 1 - CONFIDENCE:
        return sentence
    return (
        f"{sentence} With {effect.values} values and {effect.n} replicas p is at least "
        f"{effect.min_p_value:.2g}, so that no effect can be shown; more replicas are needed."
    )


def _best_sentence(symbol: str, found: BestSet) -> str:
    margin = format_difference(found.margin, found.metric)
    if len(found.best) == 1:
        return f"{symbol} = {format_value(found.best[0])} is the best of these values."
    which = (
        f"All {len(found.best)} values"
        if len(found.best) == len(found.values)
        else f"{symbol} = {', '.join(map(format_value, found.best))}"
    )
    return (
        f"{which} may be the best one; none of them is worse than the best by more than {margin} "
        f"(simultaneous {CONFIDENCE_PERCENT} intervals, multiple comparisons with the best)."
    )


def _base_sentence(curve: DimensionCurve) -> Iterator[str]:
    compared = [point.to_base for point in curve.points if point.to_base is not None]
    if not compared:
        return
    sign = 1 if curve.direction == "maximize" else -1
    shown = [c for c in compared if c.is_significant]
    better = sum(sign * c.difference.interval.mean > 0 for c in shown)
    worse = len(shown) - better
    none = len(compared) - len(shown)
    parts = [
        *([f"{better} {_is(better)} better than Base"] if better else []),
        *([f"{worse} {_is(worse)} worse than Base"] if worse else []),
        *([f"for {none} no difference to Base was shown"] if none else []),
    ]
    yield f"Of {len(compared)} values, {join_words(parts)} (Holm-corrected)."


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


_STATED_ESTIMATORS = ("fanova", "ped_anova", "sobol_first", "sobol_total", "given_first")
_UNBIASED_HINT = "'sampler: random' or 'design: sobol' (or saltelli)"


def importance_section(table: TrialTable) -> Section:
    """State per design and metric the dimensions with an effect above chance.

    Trials of a sampler that uses results support no statement, even where biased figures are
    shown.
    """
    designs = [arm for arm in table.arms if is_design(arm)]
    statements = tuple(
        dict.fromkeys(
            _importance_statement(table, arm, metric)
            for arm in designs
            for metric in global_metrics(table, arm)
        )
    )
    return Section(
        title="Importance", place="sensitivity", statements=statements or tuple(_no_claim(table))
    )


def _no_claim(table: TrialTable) -> Iterator[str]:
    samplers = dict.fromkeys(arm.sampler for arm in table.arms if arm.dimensions)
    if samplers:
        yield (
            f"No claim is made about importance over the whole space: "
            f"{join_words(list(samplers))} chose the trials by earlier results. For such a "
            "claim, search an arm with "
            f"{_UNBIASED_HINT} and 'scheduler: none'."
        )


def _importance_statement(table: TrialTable, arm: ArmRow, metric: str) -> str:
    label = arm_label(arm.name, arm.method)
    name = f"{label}, {metric_label(metric).name}"
    try:
        data = search_data(table, arm.name, metric)
    except ReportError as error:
        return f"{name}: no claim is made; {error}"
    findings, reasons = _findings(data)
    if not findings:
        # One reason, and the same for every metric: there are too few trials.
        return f"{label} ({format_count(data.n, 'trial')}): no claim is made; {reasons[0]}"
    claims = [f"No claim is made here: {reason}" for reason in reasons]
    return " ".join((f"{name} ({_data_clause(data)}):", *findings, *claims))


def _data_clause(data: SearchData) -> str:
    noise = (
        ""
        if data.noise is None
        else f", of whose variance {min(1.0, data.noise):.0%} is replica noise"
    )
    return f"{format_count(data.n, 'trial')} by {data.sampler}{noise}"


def _findings(data: SearchData) -> tuple[list[str], list[str]]:
    """Return what the estimators find, and why others make no claim."""
    findings, reasons = [], []
    for name in (name for name in estimators_for(data.sampler) if name in _STATED_ESTIMATORS):
        try:
            findings.append(_finding(importance(data, name)))
        except ReportError as error:
            reasons.append(str(error))
    return findings, reasons


def _finding(record: Importance) -> str:
    title, factor = record.estimator.title, record.estimator.factor
    if record.level is None:
        return f"{_explained(record, record.shares)} ({title}); there is no chance level."
    level = f"level {format_percent(record.level, factor)}%"
    shown = [share for share in record.shares if share.is_significant]
    if not shown:
        return (
            f"No dimension has an effect above chance ({title}: {level}; the largest is "
            f"{dimension_symbol(record.shares[0].dimension)}, "
            f"{_format_share(record.shares[0])})."
        )
    rest = "; no other dimension has an effect above chance" * (len(shown) < len(record.shares))
    return f"{_explained(record, shown)} ({title}), above chance ({level}){rest}."


def _explained(record: Importance, shares: Sequence[DimensionShare]) -> str:
    first, *others = shares
    parts = [f"{dimension_symbol(first.dimension)} explains {_format_share(first)}"]
    parts += [f"{dimension_symbol(other.dimension)} {_format_share(other)}" for other in others]
    return f"{join_words(parts)} {record.estimator.share_of}"


def _format_share(share: DimensionShare) -> str:
    value, low, high = (format_percent(each) for each in (share.value, share.low, share.high))
    return f"{value}% [{low}, {high}]"


def search_section(table: TrialTable) -> Section:
    """State per arm its trials by state, its replicas and its chosen configuration."""
    aim = (
        f"Sampler: {_sampler_names(table)}; objective: {table.objective} ({table.direction}) on "
        f"validation data. Test metrics come only from trials of the chosen configurations with "
        f"fresh replica seeds."
    )
    return Section(
        title="Search",
        place="searches",
        statements=(
            aim,
            *(" ".join(_search_sentences(table, arm)) for arm in table.arms),
            *_cost_sentences(table),
        ),
    )


def _sampler_names(table: TrialTable) -> str:
    names = dict.fromkeys(arm.sampler for arm in table.arms if arm.dimensions)
    return join_words([name.upper() if name == "tpe" else name for name in names] or ["none"])


def _search_sentences(table: TrialTable, arm: ArmRow) -> Iterator[str]:
    name = f"{arm_label(arm.name, arm.method)} ({arm.dataset}; {arm.model}; {arm.epochs} epochs)"
    if arm.like is not None:
        taken = "what it chooses" if arm.best_params is None else format_params(arm.best_params)
        yield f"{name} has no search of its own: it is trained with {arm.like}'s choice, {taken}."
    elif not arm.dimensions:
        yield f"{name} has no dimensions."
    else:
        yield f"{name} searched {join_words([dimension_symbol(d) for d in arm.dimensions])}."
        yield _trials_sentence(table, arm)
        if arm.group is not None:
            count = sum(other.group == arm.group for other in table.arms)
            yield (
                f"Its search is shared by {count} datasets, on each of which every point is "
                f"tried: the objective is the mean gain over Base in {table.objective} "
                f"({arm_label(arm.group, arm.method)})."
            )
        yield from _race_sentence(table, arm)
        chosen = "nothing yet" if arm.best_params is None else format_params(arm.best_params)
        yield f"Chosen: {chosen}."
    finals = table.select(arm.name, "final")
    replicas = sorted({len(row.seeds) for row in finals})
    if finals:
        counts = " or ".join(map(str, replicas))
        yield f"{format_count(len(finals), 'final trial')} of {counts} replicas."
    else:
        yield "No final trial yet."


def _cost_sentences(table: TrialTable) -> Iterator[str]:
    try:
        record = cost(table)
    except ReportError:
        # The panel of the cost has the reason.
        return
    lost = sum(row.cpu_hours for row in record.rows if row.state in {"PRUNED", "FAIL"})
    gpu = f" and {format_hours(record.gpu_hours)} GPU hours" if record.gpu_hours else ""
    yield (
        f"Training took {format_hours(record.cpu_hours)} CPU hours{gpu}; "
        f"{format_hours(lost)} of the CPU hours were used by trials that were stopped early or "
        f"failed."
    )


def _race_sentence(table: TrialTable, arm: ArmRow) -> Iterator[str]:
    """State that the choice was confirmed on seeds of its own, where it was."""
    raced = table.select(arm.name, "confirm")
    if raced:
        points = len({tuple(sorted(row.params.items())) for row in raced})
        seeds = len({seed for row in raced for seed in row.seeds})
        yield (
            f"The choice was confirmed: its {points} best trials raced on up to "
            f"{format_count(seeds, 'fresh validation seed')}, in "
            f"{format_count(len(raced), 'trial')}."
        )


def _trials_sentence(table: TrialTable, arm: ArmRow) -> str:
    trials = table.select(arm.name, "search")
    if not trials:
        return "No search trial yet."
    states = Counter(row.state for row in trials)
    parts = [f"{states[state]} {word}" for state, word in STATE_NAMES.items() if states[state]]
    replicas = max(len(row.seeds) for row in trials)
    return (
        f"{format_count(len(trials), 'trial')} of {format_count(replicas, 'replica')} each: "
        f"{join_words(parts)}."
    )
