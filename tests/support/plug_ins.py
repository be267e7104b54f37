"""Plug-ins for tests: the examples of docs/plug-ins.md, written as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "plug-ins.md"
EXAMPLES: Final = tuple(
    re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)
)


def write_examples(folder: Path) -> Path:
    """Write all examples as one plug-in, and return its file."""
    file = folder / "my_parts.py"
    file.write_text("\n".join(EXAMPLES), encoding="utf-8")
    return file


def write_measurements(folder: Path) -> None:
    """Write the data of the example's dataset: three classes of four numbers."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 50)
    np.savez(folder / "measurements.npz", x=rng.normal(y[:, None], 1.0, (150, 4)), y=y)
