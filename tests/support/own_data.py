"""Small data of the kinds that users bring, under the names that the docs use."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image


def write_own_data(folder: Path, count: int = 20) -> None:
    """Write ``photos``, ``measurements.npz``, ``reviews.csv`` and ``ecg`` of two classes each."""
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
    rows = [f'"It was {("bad", "good")[k]}.",{("down", "up")[k]}' for k in labels]
    (folder / "reviews.csv").write_text("\n".join(["review,mood", *rows]) + "\n", "utf-8")
    _write_records(folder, labels)


def _write_records(folder: Path, labels: np.ndarray) -> None:
    (folder / "ecg").mkdir()
    time = np.arange(400) / 100
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import wfdb

        for number, label in enumerate(labels):
            wave = np.sin(2 * np.pi * (1 + label) * time)
            wfdb.wrsamp(
                f"r{number}",
                fs=100,
                units=["mV"] * 2,
                sig_name=["I", "II"],
                p_signal=np.stack([wave, -wave], axis=1),
                fmt=["16"] * 2,
                write_dir=str(folder / "ecg"),
            )
    rows = [f"r{number},{('SR', 'AF')[label]}" for number, label in enumerate(labels)]
    table = "\n".join(["record,labels", *rows]) + "\n"
    (folder / "labels.csv").write_text(table, "utf-8")
