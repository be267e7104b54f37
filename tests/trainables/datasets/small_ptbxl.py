"""A PTB-XL of a few records, in the layout in which the real one is published."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
ZIP = "ptb-xl-a-large-publicly-available-electrocardiography-dataset-1.0.3.zip"
GAIN = 1000


@dataclass(frozen=True, kw_only=True)
class Ecg:
    """One record: its statements, its fold, and what is written to its file."""

    codes: tuple[str, ...]
    fold: int
    digital: np.ndarray

    @property
    def millivolts(self) -> np.ndarray:
        """The signals (lead, time)."""
        return self.digital.T / GAIN


def statements() -> list[dict[str, str]]:
    """Name 71 statements: 44 diagnostic, 19 on form, 4 of which are both, 12 on rhythm."""
    rows = []
    for k in range(44):
        flags = {"diagnostic": "1.0", "form": "1.0" if k >= 40 else "", "rhythm": ""}
        subclass = k % 23
        classes = {"diagnostic_class": f"P{subclass % 5}", "diagnostic_subclass": f"S{subclass}"}
        rows.append({"": f"D{k}", **flags, **classes})
    for kind, letter, count in (("form", "F", 15), ("rhythm", "R", 12)):
        for k in range(count):
            flags = {name: "1.0" if name == kind else "" for name in ("form", "rhythm")}
            empty = {"diagnostic": "", "diagnostic_class": "", "diagnostic_subclass": ""}
            rows.append({"": f"{letter}{k}", **flags, **empty})
    return rows


def ecgs(count: int = 40, seed: int = 0) -> list[Ecg]:
    """Draw records, of which the first twenty have nothing but a statement on rhythm."""
    generator = np.random.default_rng(seed)
    codes = [row[""] for row in statements()]
    found = []
    for k in range(count):
        own = ["R3"] if k < 20 else generator.choice(codes, 3, replace=False).tolist()
        digital = generator.integers(-3000, 3000, (1000, 12)) + 100 * (k % 7)
        found.append(Ecg(codes=tuple(own), fold=1 + k % 10, digital=digital))
    return found


def record_path(index: int) -> str:
    """Return the place of a record's signals, without ending."""
    return f"records100/{index // 16:02}000/{index:05}_lr"


def write(home: Path, records: Sequence[Ecg]) -> Path:
    """Write records and tables as they are published."""
    home.mkdir(parents=True, exist_ok=True)
    for index, record in enumerate(records):
        write_record(home / record_path(index), record)
    write_table(home / "scp_statements.csv", statements())
    rows = [
        {
            "ecg_id": str(index),
            "report": 'sinusrhythmus, "normales" ekg\n',
            "scp_codes": str({code: 100.0 * (k % 2) for k, code in enumerate(record.codes)}),
            "strat_fold": str(record.fold),
            "filename_lr": record_path(index),
        }
        for index, record in enumerate(records)
    ]
    write_table(home / "ptbxl_database.csv", rows)
    return home


def write_record(path: Path, record: Ecg) -> None:
    """Write one record: a header in text, and 16-bit numbers, time by time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    length, n_leads = record.digital.shape
    signal = f"{path.name}.dat 16 {GAIN}.0(0)/mV 16 0 0 0 0"
    lines = [f"{path.name} {n_leads} 100 {length}", *(f"{signal} {k}" for k in LEADS[:n_leads])]
    path.with_name(f"{path.name}.hea").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_name(f"{path.name}.dat").write_bytes(record.digital.astype("<i2").tobytes())


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write a table with the columns of its first row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def pack(home: Path, archive: Path, leave_out: str = "") -> None:
    """Pack what is published into a zip file with one topmost folder."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        opened.mkdir("ptb-xl-1.0.3")
        for path in sorted(home.rglob("*")):
            name = path.relative_to(home).as_posix()
            if path.is_file() and name != leave_out:
                opened.write(path, f"ptb-xl-1.0.3/{name}")
