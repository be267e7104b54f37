"""Provenance is stored with a study, and other data are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.records.errors import SpecError
from study.storage.provenance import (
    check_provenance,
    provenance_of,
    read_provenance,
    write_provenance,
)
from trainables.datasets import Cifar10, DataFolders, Digits, PtbXl

SUBSET = "subset of 40 of 21,799 records"


def test_each_dataset_is_read_once_by_its_name(tmp_path: Path, monkeypatch) -> None:
    read = []

    def provenance(dataset: PtbXl, folders: DataFolders) -> str:
        read.append((dataset.task, folders))
        return SUBSET

    monkeypatch.setattr(PtbXl, "provenance", provenance)
    folders = DataFolders(root=tmp_path, cache=tmp_path)
    datasets = [PtbXl(task="form"), Digits(), PtbXl(task="all"), Cifar10()]
    found = provenance_of(datasets, folders)
    assert found == {"ptbxl": SUBSET, "digits": None, "cifar10": None}
    assert read == [("all", folders)]


def test_provenance_is_read_as_written_and_stays_when_a_dataset_is_added(tmp_path: Path) -> None:
    path = tmp_path / "tiny" / "provenance.json"
    assert read_provenance(path) == {}
    write_provenance(path, {"ptbxl": SUBSET, "digits": None})
    write_provenance(path, {"digits": None, "mnist": None})
    assert read_provenance(path) == {"ptbxl": SUBSET, "digits": None, "mnist": None}


@pytest.mark.parametrize(
    ("stored", "now", "message"),
    [
        (
            SUBSET,
            None,
            f"s.yaml: study 'tiny' was begun with ptbxl ({SUBSET}), but the data root now holds "
            "ptbxl (as published); name the data root that it was begun with, or give the study "
            "another name.",
        ),
        (
            None,
            SUBSET,
            "s.yaml: study 'tiny' was begun with ptbxl (as published), but the data root now "
            f"holds ptbxl ({SUBSET}); name the data root that it was begun with, or give the "
            "study another name.",
        ),
    ],
)
def test_other_data_are_refused(
    stored: str | None, now: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "tiny" / "provenance.json"
    check_provenance(path, {"ptbxl": now}, "s.yaml")
    write_provenance(path, {"ptbxl": stored})
    check_provenance(path, {"ptbxl": stored, "digits": None}, "s.yaml")
    with pytest.raises(SpecError) as caught:
        check_provenance(path, {"digits": None, "ptbxl": now}, "s.yaml")
    assert str(caught.value) == message
