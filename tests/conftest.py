"""What all tests share: where real data is, and a reproducible Hypothesis."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples everywhere; a deadline would be an assertion about time.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def challenger_data() -> Path:
    """Give the root of the real data, or skip."""
    root = os.environ.get("CHALLENGER_DATA")
    if not root:
        pytest.skip("reads real data: set CHALLENGER_DATA to the data root")
    return Path(root).resolve()
