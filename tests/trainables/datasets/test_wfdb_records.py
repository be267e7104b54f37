"""Real WFDB files, written by wfdb: labels, leads, rates, lengths, damage."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.builders import message
from trainables.datasets import DataFolders, RecordSamples, WfdbRecords
from trainables.datasets import wfdb_records as module
from trainables.datasets.stored_samples import StoredSamples
from trainables.errors import DataError

N, RATE, SECONDS = 24, 250, 4
LEADS = ["II", "V1", "I"]


def write(path: Path, signals: np.ndarray, *, leads=LEADS, rate=RATE, comments=()) -> None:
    """Write signals (lead, time) as a record."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import wfdb

        path.parent.mkdir(parents=True, exist_ok=True)
        count = len(leads)
        wfdb.wrsamp(
            path.name,
            fs=rate,
            units=["mV"] * count,
            sig_name=list(leads),
            p_signal=signals.T,
            fmt=["16"] * count,
            adc_gain=[1000.0] * count,
            baseline=[0] * count,
            comments=list(comments),
            write_dir=str(path.parent),
        )


def tone(k: int, rate: int = RATE) -> np.ndarray:
    """Return three leads of a record: a slow wave of its own height, its double, its negative."""
    time = np.arange(rate * SECONDS) / rate
    wave = (1 + k / 10) * np.sin(2 * np.pi * 2 * time)
    return np.stack([wave, 2 * wave, -wave])


@pytest.fixture
def home(tmp_path):
    for k in range(N):
        labels = ["A"] if k % 2 else ["B"]
        write(tmp_path / "ecg" / f"{k // 12}" / f"r{k}", tone(k), comments=[f"Dx: {labels[0]}"])
    return tmp_path / "ecg"


@pytest.fixture
def folders(tmp_path):
    return DataFolders(root=None, cache=tmp_path / "cache")


def reader(home: Path, **settings: object) -> WfdbRecords:
    return WfdbRecords(
        path=str(home), **{"seconds": SECONDS, "val_size": 4, "test_size": 6} | settings
    )


def table(home: Path, rows: list[tuple[str, str]]) -> str:
    lines = ["record,labels", *(f"{name},{labels}" for name, labels in rows)]
    path = home.parent / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_labels_come_from_headers_and_leads_are_named(home, folders):
    data = reader(home, leads=("I", "II"))
    info, splits = data.info, data.load(folders, 0)
    assert (info.input_shape, info.domain, info.is_multi_label) == ((2, 400), "series", False)
    assert data.listing.classes == ("A", "B")
    parts = (splits.train, splits.val, splits.test)
    assert [len(one) for one in parts] == [14, 4, 6]
    assert torch.bincount(splits.test.targets).tolist() == [3, 3]
    inputs = splits.train.views(torch.arange(14))[0]
    torch.testing.assert_close(inputs[:, 0], -inputs[:, 1], atol=1e-3, rtol=0)
    assert (inputs.std((0, 2), correction=0) - 1).abs().max() < 1e-5


def test_signals_are_resampled_without_a_shift(home, folders):
    for k in (0, 1):
        write(
            home / f"{0}" / f"r{k}", tone(k, 500), rate=500, comments=["Dx: A" if k else "Dx: B"]
        )
    data = reader(home)
    signals = np.load(data._cached(data.listing, folders))
    paths = [path.name for path in data.listing.extra]
    for name in ("r0", "r5"):
        found = signals[paths.index(name), 0]
        expected = tone(int(name[1:]), 100)[0]
        assert np.abs(found - expected)[20:-20].max() < 0.02


def test_labels_of_a_table_may_be_several(home, folders):
    rows = [(f"{k // 12}/r{k}", "A;B" if k % 3 == 0 else "C") for k in range(N)]
    data = reader(home, labels=table(home, rows))
    assert data.info.is_multi_label
    assert data.listing.classes == ("A", "B", "C")
    splits = data.load(folders, 0)
    assert splits.train.targets.shape == (14, 3)
    assert torch.equal(splits.train.targets[:, 0], splits.train.targets[:, 1])
    assert splits.test.targets.sum(0).tolist() == [2, 2, 4]


def test_windows_are_random_in_training_and_even_in_an_evaluation(home, folders):
    splits = reader(home, window_s=1.0).load(folders, 0)
    assert isinstance(splits.train, RecordSamples)
    assert splits.val.views(torch.arange(4)).shape == (7, 4, 3, 100)


def test_a_large_set_stays_on_disk_and_gives_the_same(home, folders, monkeypatch):
    data = reader(home)
    in_memory = data.load(folders, 0).test
    monkeypatch.setattr(module, "MAPPED_FROM_BYTES", 10)
    mapped = data.load(folders, 0).test
    assert isinstance(mapped, StoredSamples)
    rows = torch.arange(6)
    torch.testing.assert_close(mapped.views(rows), in_memory.views(rows))


def flat(home: Path) -> None:
    write(home / "0" / "r3", np.zeros((3, 1000)), comments=["Dx: A"])


def gap(home: Path) -> None:
    signals = tone(3)
    signals[1, 5] = np.nan
    write(home / "0" / "r3", signals, comments=["Dx: A"])


def short(home: Path) -> None:
    write(home / "0" / "r3", tone(3)[:, :500], comments=["Dx: A"])


def other_leads(home: Path) -> None:
    write(home / "0" / "r3", tone(3), leads=["II", "V2", "I"], comments=["Dx: A"])


def no_label(home: Path) -> None:
    write(home / "0" / "r3", tone(3))


def cut(home: Path) -> None:
    path = home / "0" / "r3.dat"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (flat, "r3 must hold signals, but none of its 3 leads changes over time"),
        (gap, "r3 must hold 3 × 1000 finite numbers, but 1 of them are missing or infinite"),
        (short, "r3 must have 4 seconds at least, but has 2; lower 'seconds'"),
        (other_leads, "r3 must have a lead 'V1', but lacks it; its leads are II, V2, I."),
        (no_label, "r3.hea must have a label, but has none; add it."),
        (cut, "r3 is damaged ("),
    ],
)
def test_a_bad_record_is_named(damage, rule, home, folders):
    damage(home)
    assert rule in message(DataError, lambda: reader(home).check(folders))


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        ([("0/r0", "A"), ("0/r99", "B")], "labels.csv: row 2 names "),
        ([("0/r0", "A"), ("../x", "B")], "labels.csv: row 2 must name a record below the folder"),
        ([("0/r0", "A"), ("0/r0", "B")], "labels.csv: row 2 must name a record below the folder"),
        ([("0/r0", "A"), ("0/r1", ";")], "labels.csv: row 2 must have a label, but has none"),
        ([("0/r0", "A"), ("", "B")], "labels.csv: row 2 must have a 'record' and 'labels'"),
        ([], "labels.csv must have rows behind its heads"),
    ],
)
def test_a_bad_table_is_named_by_its_row(rows, rule, home, folders):
    data = reader(home, labels=table(home, rows))
    assert rule in message(DataError, lambda: data.check(folders))


def test_a_folder_without_records_is_refused(tmp_path, folders):
    (tmp_path / "empty").mkdir()
    said = message(DataError, lambda: reader(tmp_path / "empty").check(folders))
    assert said.endswith("must hold WFDB records (.hea and .dat), but holds none.")
