"""Small data of the kinds that users bring, under the names that the docs use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_own_data(folder: Path, count: int = 20) -> None:
    """Write ``photos`` and ``measurements.npz`` of two classes each."""
    generator = np.random.default_rng(0)
    for k, name in enumerate(("cat", "dog")):
        home = folder / "photos" / name
        home.mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(100 * k, 100 * k + 100, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(home / f"{number}.png")
    labels = np.arange(2 * count) % 2
    x = generator.normal(labels[:, None], 1, (2 * count, 6))
    np.savez(folder / "measurements.npz", x=x, y=labels)
