"""The table of importance estimators, and their checked application to search data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from study.records.errors import ReportError
from study.sensitivity.importance.fanova import FANOVA
from study.sensitivity.importance.given_data import GIVEN_DELTA, GIVEN_FIRST
from study.sensitivity.importance.ped_anova import PED_ANOVA
from study.sensitivity.importance.search_data import (
    SearchData,
    require_trials,
    require_unconditional,
)
from study.sensitivity.importance.shares import (
    DimensionShare,
    Importance,
    ImportanceEstimator,
)
from study.sensitivity.importance.sobol_analysis import SOBOL_FIRST, SOBOL_TOTAL
from trainables.names import suggestion

IMPORTANCES: Mapping[str, ImportanceEstimator] = MappingProxyType(
    {
        "fanova": FANOVA,
        "ped_anova": PED_ANOVA,
        "sobol_first": SOBOL_FIRST,
        "sobol_total": SOBOL_TOTAL,
        "given_first": GIVEN_FIRST,
        "given_delta": GIVEN_DELTA,
    }
)


def estimators_for(sampler: str) -> tuple[str, ...]:
    """Return the estimators for trials of a sampler, in the order of IMPORTANCES."""
    return tuple(
        name for name, each in IMPORTANCES.items() if not each.samplers or sampler in each.samplers
    )


@lru_cache(maxsize=64)
def importance(data: SearchData, name: str) -> Importance:
    """Estimate the importance of each dimension by an estimator of IMPORTANCES.

    Equal data give equal numbers: random draws follow from the names of arm, metric and
    estimator.

    Raises:
        ReportError: If there is no such estimator, or it does not support this design, this
            number of trials or these dimensions.
    """
    if name not in IMPORTANCES:
        hint = suggestion(name, IMPORTANCES)
        raise ReportError(f"'{name}' is not an estimator of importance; {hint}")
    estimator = IMPORTANCES[name]
    _require_design(data, estimator)
    if not estimator.supports_conditions:
        require_unconditional(data, estimator.title)
    needed, reason = estimator.min_trials(data), estimator.min_trials_reason
    require_trials(data, estimator.title, needed, reason)
    found = estimator.measure(data)
    shares = (
        DimensionShare(dimension=dimension, value=value, low=low, high=high, p_value=p)
        for dimension, (value, low, high, p) in zip(data.dimensions, found.rows(), strict=True)
    )
    return Importance(
        data=data,
        name=name,
        estimator=estimator,
        shares=tuple(sorted(shares, key=lambda share: -share.value)),
        level=found.level,
        interval=found.interval,
        chance=found.chance,
        notes=(*data.notes, *found.notes),
    )


def _require_design(data: SearchData, estimator: ImportanceEstimator) -> None:
    if estimator.samplers and data.sampler not in estimator.samplers:
        known = ", ".join(estimators_for(data.sampler))
        raise ReportError(
            f"arm '{data.arm}': {estimator.title} needs trials of "
            f"{' or '.join(estimator.samplers)}, but these are from {data.sampler}; "
            f"use one of {known}."
        )
