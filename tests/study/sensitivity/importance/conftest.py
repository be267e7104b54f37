"""Caches are cleared for tests that change constants."""

import pytest

from study.sensitivity.importance import estimators, partial_dependence, sobol_analysis
from study.sensitivity.importance.fanova import forest_shares


@pytest.fixture(autouse=True)
def clear_caches():
    for kept in (
        estimators.importance,
        partial_dependence,
        sobol_analysis.sobol_indices,
        forest_shares,
    ):
        kept.cache_clear()
