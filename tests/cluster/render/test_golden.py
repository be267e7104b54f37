"""Launch files equal their golden files.

``python -m tests.cluster.render.test_golden`` writes the golden files.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.render.variants import VARIANTS, variant_text

GOLDEN = Path(__file__).parent / "golden"
ENDINGS = {"dockerfile": ".Dockerfile", "slurm": ".sh"}


def golden(variant: str) -> Path:
    return GOLDEN / f"{variant}{ENDINGS.get(VARIANTS[variant][0], '.yaml')}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_launch_file_equals_its_golden_file(variant):
    assert variant_text(variant) == golden(variant).read_text(encoding="utf-8")


def test_there_is_a_golden_file_for_every_variant_and_no_other():
    assert {path.name for path in GOLDEN.iterdir()} == {golden(v).name for v in VARIANTS}


def _write() -> None:
    for path in GOLDEN.iterdir():
        path.unlink()
    for variant in VARIANTS:
        golden(variant).write_text(variant_text(variant), encoding="utf-8")


if __name__ == "__main__":
    _write()
