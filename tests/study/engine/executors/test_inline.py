"""Trials one after the other in this process."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from study.config.schema import Resources
from study.engine.executors import EXECUTORS, require_gpus, run_inline, run_on_ray
from tests.support.simulated import StudyFixture, study_text


def test_the_executors_have_their_names() -> None:
    assert dict(EXECUTORS) == {"inline": run_inline, "ray": run_on_ray}


@pytest.mark.parametrize("gpus", [1, 0.5])
def test_a_gpu_that_is_not_there_is_refused(gpus: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(ClusterError) as refused:
        require_gpus(Resources(gpus=gpus))
    assert str(refused.value) == (
        f"resources.gpus is {gpus:g}, but this machine has 0 GPUs; set it to 0 or use another "
        "machine."
    )


def test_a_share_of_a_gpu_that_is_there_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    require_gpus(Resources(gpus=0.5))
    require_gpus(Resources(gpus=0))


def test_a_study_refused_for_its_gpu_asks_for_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    place = StudyFixture.of(tmp_path, study_text(resources={"gpus": 1}))
    coordinator = place.coordinator()
    with pytest.raises(ClusterError):
        run_inline(coordinator, place.context)
    assert list(coordinator.state.records()) == []


def test_schedulers_stop_nothing_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = StudyFixture.of(tmp_path, study_text(scheduler="asha", sweep=[], epochs=1))
    coordinator = place.coordinator()
    with caplog.at_level(logging.WARNING, logger="study.engine.executors.inline"):
        run_inline(coordinator, place.context)
    assert caplog.messages == [
        "executor inline has no schedulers: every trial uses its full budget."
    ]
    assert {record.state for record in coordinator.state.records()} == {"COMPLETE"}


def test_unreserved_resources_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    resources = {"memory_gib": 1, "custom": {"rtx4090": 1}}
    place = StudyFixture.of(
        tmp_path, study_text(arms=[{"method": "base"}], epochs=1, resources=resources)
    )
    run_inline(place.coordinator(), place.context)
    assert (
        "executor inline reserves nothing: it ignores resources.memory_gib and resources.custom."
        in caplog.messages
    )
