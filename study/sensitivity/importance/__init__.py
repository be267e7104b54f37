"""Global sensitivity: the importance of each dimension of a search over its whole space.

One file per estimator and one line in ``IMPORTANCES``. Only
:mod:`study.sensitivity.importance.optuna_importance` imports Optuna.
"""

from study.sensitivity.importance.dependence import (
    PartialCurve,
    PartialDependence,
    partial_dependence,
)
from study.sensitivity.importance.estimators import IMPORTANCES, estimators_for, importance
from study.sensitivity.importance.pair_interactions import Interactions, PairShare, interactions
from study.sensitivity.importance.search_data import (
    SearchData,
    encode_value,
    is_design,
    search_data,
)
from study.sensitivity.importance.shares import DimensionShare, Importance
