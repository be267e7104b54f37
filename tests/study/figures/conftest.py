"""What tests of figures share."""

import sys

import pytest

from study.sensitivity.importance import fanova, partial_dependence
from study.sensitivity.importance.fanova import forest_shares


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let forests be drawn a few times: figures are tested, not their numbers."""
    monkeypatch.setattr(fanova, "DRAWS", 20)
    monkeypatch.setattr(fanova, "PERMUTATIONS", 19)
    monkeypatch.setattr(sys.modules[partial_dependence.__module__], "DRAWS", 10)
    forest_shares.cache_clear()
