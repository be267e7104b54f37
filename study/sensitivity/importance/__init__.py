"""Global sensitivity: what each dimension of a search explains, over its whole space.

One file per estimator and one line in ``IMPORTANCES``. Only
:mod:`study.sensitivity.importance.optuna_importance` knows Optuna.
"""

from study.sensitivity.importance.dependence import (
    PartialCurve,
    PartialDependence,
    partial_dependence,
)
from study.sensitivity.importance.estimators import IMPORTANCES, estimators_for, importance
from study.sensitivity.importance.pair_interactions import (
    Interactions,
    PairShare,
    interactions,
    min_trials_for_pairs,
)
from study.sensitivity.importance.search_data import (
    UNBIASED_SAMPLERS,
    SearchData,
    encode_value,
    is_design,
    search_data,
)
from study.sensitivity.importance.shares import (
    DimensionShare,
    EstimatedShares,
    Importance,
    ImportanceEstimator,
)

__all__ = [
    "IMPORTANCES",
    "UNBIASED_SAMPLERS",
    "ImportanceEstimator",
    "SearchData",
    "Importance",
    "Interactions",
    "EstimatedShares",
    "PairShare",
    "PartialCurve",
    "PartialDependence",
    "DimensionShare",
    "estimators_for",
    "search_data",
    "importance",
    "interactions",
    "is_design",
    "min_trials_for_pairs",
    "partial_dependence",
    "encode_value",
]
