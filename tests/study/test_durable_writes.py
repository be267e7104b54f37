"""How often a study waits for the disk: once per report, once per end, and no more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from study.handout import Assignment
from tests.study.simulated import Place, simulated_reports, study_text


def test_a_report_waits_for_the_disk_once_and_so_does_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def counting(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    place = Place.of(tmp_path, study_text(arms=[{"method": "base"}]))
    conductor = place.conductor()
    step = conductor.next()
    assert isinstance(step, Assignment)
    monkeypatch.setattr(os, "fsync", counting)
    for report in simulated_reports(step.config):
        synced.clear()
        conductor.report(step.key, report)
        assert synced == ["reports.jsonl"]
    synced.clear()
    conductor.finish(step.key)
    assert len(synced) == 1
    assert synced[0].startswith(".end.json.")
