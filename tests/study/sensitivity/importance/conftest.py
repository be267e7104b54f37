"""What has been computed once is kept by basis; tests that change constants start afresh."""

import pytest

from study.sensitivity.importance import measuring, partial_dependence, saltelli
from study.sensitivity.importance.fanova import forest_shares


@pytest.fixture(autouse=True)
def afresh():
    for kept in (
        measuring.importance,
        partial_dependence,
        saltelli.sobol_indices,
        forest_shares,
    ):
        kept.cache_clear()
