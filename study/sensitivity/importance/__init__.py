"""Global sensitivity: what each dimension of a search explains, over its whole space.

One file per estimator and one line in ``IMPORTANCES``. Only
:mod:`study.sensitivity.importance.optuna_study` knows Optuna.
"""

from study.sensitivity.importance.axes import to_number
from study.sensitivity.importance.basis import UNBIASED, GlobalBasis, global_basis, is_design
from study.sensitivity.importance.interactions import (
    Interactions,
    PairShare,
    interactions,
    least_for_pairs,
)
from study.sensitivity.importance.measuring import IMPORTANCES, estimators_for, importance
from study.sensitivity.importance.partial_dependence import (
    PartialCurve,
    PartialDependence,
    partial_dependence,
)
from study.sensitivity.importance.record import Estimator, Importance, Measured, Share

__all__ = [
    "IMPORTANCES",
    "UNBIASED",
    "Estimator",
    "GlobalBasis",
    "Importance",
    "Interactions",
    "Measured",
    "PairShare",
    "PartialCurve",
    "PartialDependence",
    "Share",
    "estimators_for",
    "global_basis",
    "importance",
    "interactions",
    "is_design",
    "least_for_pairs",
    "partial_dependence",
    "to_number",
]
