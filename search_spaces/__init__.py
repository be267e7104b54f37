"""Search spaces of challenger-study: dimensions, their rules, spaces and designs.

Only :mod:`search_spaces.optuna_sampler` imports Optuna.
"""

from search_spaces.designs import (
    DESIGNS,
    Design,
    Saltelli,
    Sobol,
    check_design,
    design_point,
    design_points,
    sweep,
    unique,
)
from search_spaces.dimensions import (
    CategoricalDimension,
    Dimension,
    FloatDimension,
    IntDimension,
    ParamValue,
    SpaceError,
)
from search_spaces.rules import Condition, Limits, Rule, wider_ends
from search_spaces.space import Space, check_values, resolve
