from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainables.builders import trial
from trainables import checkpoint
from trainables import replicas as replicas_module
from trainables import trial as trial_module
from trainables.attribution_maps import FILE_NAME
from trainables.errors import CheckpointError, DeviceMemoryError, NonFiniteError
from trainables.loop import run_epoch
from trainables.methods import METHODS
from trainables.models import Vgg11
from trainables.replicas import Replica
from trainables.trial import TrialPlace, run_trial
from trainables.watch import unwatched

CPU = torch.device("cpu")


@pytest.fixture
def place(tmp_path, folders) -> TrialPlace:
    return placed(TrialPlace(folder=tmp_path, data=folders, device=CPU), "trial")


def placed(place: TrialPlace, name: str) -> TrialPlace:
    """Give a place with an empty folder below another's."""
    folder = place.folder / name
    folder.mkdir()
    return replace(place, folder=folder)


@pytest.fixture
def seen(monkeypatch):
    """Keep the replicas of every trial that is started, and every epoch that is trained."""

    class Seen:
        replicas: tuple = ()
        epochs: int = 0

        def weights(self) -> list[dict[str, torch.Tensor]]:
            return [
                {key: value.clone() for key, value in r.state.model.state_dict().items()}
                for r in self.replicas
            ]

    found, original = Seen(), trial_module.start_replicas

    def recorded(config, data, device, check) -> tuple[Replica, ...]:
        found.replicas = original(config, data, device, check)
        return found.replicas

    def counted(config, data, state, check=unwatched) -> None:
        found.epochs += 1
        run_epoch(config, data, state, check)

    monkeypatch.setattr(trial_module, "start_replicas", recorded)
    monkeypatch.setattr("trainables.loop.run_epoch", counted)
    return found


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Keep a copy of every checkpoint, each in the folder of its epoch."""
    original = checkpoint.write

    def copied(folder: Path, epoch: int, content: bytes) -> Path:
        path = original(folder, epoch, content)
        if folder.parent.name == "base":  # a Base model's
            return path
        target = tmp_path / "kept" / str(epoch)
        target.mkdir(parents=True)
        shutil.copy(path, target / path.name)
        return path

    monkeypatch.setattr(checkpoint, "write", copied)
    yield tmp_path / "kept"
    monkeypatch.setattr(checkpoint, "write", original)


def same_weights(first, second) -> bool:
    return all(
        torch.equal(value, b[key])
        for a, b in zip(first, second, strict=True)
        for key, value in a.items()
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_trial_that_continues_after_any_epoch_equals_an_uninterrupted_one(
    name, place, seen, kept, monkeypatch
):
    config = trial(name)
    expected = list(run_trial(config, place))
    weights = seen.weights()
    assert [report.epoch for report in expected] == [0, 2, 4, 5]
    checkpoints = sorted(kept.iterdir())
    assert [folder.name for folder in checkpoints] == ["1", "2", "3", "4"]

    # Copies of the copies would be in the way, and nothing of them is used.
    monkeypatch.setattr(checkpoint, "write", lambda *_: None)
    for folder in checkpoints:
        seen.epochs = 0
        found = list(run_trial(config, replace(place, folder=folder)))
        assert found == expected
        assert same_weights(seen.weights(), weights)
        # Two replicas; so the epochs before the checkpoint were not trained again.
        assert seen.epochs == 2 * (5 - int(folder.name))


def test_a_trial_that_is_stopped_at_each_report_equals_an_uninterrupted_one(place, seen):
    config = trial("challenger")
    expected = list(run_trial(config, place))
    weights = seen.weights()
    again = placed(place, "again")
    for count in (1, 2, 3):
        reports = run_trial(config, again)
        assert [next(reports) for _ in range(count)] == expected[:count]
        reports.close()
    assert list(run_trial(config, again)) == expected
    assert same_weights(seen.weights(), weights)


def test_a_damaged_checkpoint_costs_an_epoch_and_changes_nothing(place, seen):
    config = trial("random")
    expected = list(run_trial(config, place))
    weights = seen.weights()
    newest = max(place.folder.glob("epoch-*.pt"))
    newest.write_bytes(newest.read_bytes()[:-100])
    seen.epochs = 0
    assert list(run_trial(config, place)) == expected
    assert seen.epochs == 2 * 2  # epochs 4 and 5 of two replicas
    assert same_weights(seen.weights(), weights)


def test_checkpoints_are_as_rare_as_asked(place):
    config = trial()
    config = replace(config, training=replace(config.training, checkpoint_every_s=1e6))
    list(run_trial(config, place))
    assert not list(place.folder.glob("epoch-*.pt"))


def test_a_checkpoint_of_another_configuration_is_refused(place):
    config, other = trial("base"), trial("random")
    list(run_trial(config, place))
    with pytest.raises(CheckpointError) as caught:
        next(run_trial(other, place))
    assert str(caught.value) == (
        f"{place.folder} holds a checkpoint of configuration {config.hash()}, but this trial's "
        f"is {other.hash()}; it belongs to another study or version: move it away."
    )


@pytest.mark.parametrize(
    ("joining", "dropout", "cohorts"),
    [("auto", 0.0, 0), ("never", 0.0, 0), ("always", 0.0, 1), ("always", 0.3, 0)],
)
def test_replicas_are_joined_when_the_study_says_so(joining, dropout, cohorts, place, monkeypatch):
    joined, original = [], replicas_module.together
    monkeypatch.setattr(
        replicas_module, "together", lambda *given: joined.append(1) or original(*given)
    )
    config = trial("challenger", model=Vgg11(width=1 / 32, dropout=dropout))
    reports = list(run_trial(config, replace(place, joining=joining)))
    assert [report.epoch for report in reports] == [0, 2, 4, 5]
    assert len(joined) == cohorts


def test_a_joined_trial_goes_on_bit_for_bit(place):
    config = trial("challenger", model=Vgg11(width=1 / 32))
    joined = replace(place, joining="always")
    expected = list(run_trial(config, placed(joined, "whole")))
    cut_off = run_trial(config, joined)
    for _ in range(3):
        next(cut_off)
    cut_off.close()
    assert checkpoint.newest_epoch(place.folder) == 4
    found = list(run_trial(config, joined))
    assert [r.metrics for r in found] == [r.metrics for r in expected]


def test_a_trial_that_does_not_fit_on_its_gpu_fails_with_its_parameters(place, monkeypatch):
    def too_large(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the docs.")

    monkeypatch.setattr("trainables.replicas.start", too_large)
    with pytest.raises(DeviceMemoryError) as caught:
        list(run_trial(trial(), replace(place, gpu_share=0.25)))
    assert str(caught.value) == (
        "a trial must fit into its share of a GPU, resources.gpus = 0.25, but CUDA out of memory. "
        "Tried to allocate 2 GiB. Parameters: {'name': 'base'}; give it a larger share, or take "
        "smaller batches, fewer replicas or a narrower model."
    )


def test_a_loss_that_is_not_finite_is_never_saved(place, monkeypatch):
    config = trial()
    config = replace(config, training=replace(config.training, eval_every=5))
    original, steps = torch.nn.functional.cross_entropy, []

    def poisoned(logits, targets, **options: str) -> torch.Tensor:
        steps.append(None)
        loss = original(logits, targets, **options)
        return loss * (math.nan if len(steps) == 14 else 1)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", poisoned)
    # Step 14 of the process is the second step of the third epoch of the first replica.
    with pytest.raises(NonFiniteError, match=r"step 8 \(epoch 3\) of the replica with seed 1;"):
        list(run_trial(config, place))
    assert checkpoint.load_newest(place.folder)["replicas"][0]["epoch"] == 2


def test_only_a_final_trial_keeps_attribution_maps(place):
    list(run_trial(trial(), place))
    assert not (place.folder / FILE_NAME).exists()
    final = placed(place, "final")
    reports = list(run_trial(trial(is_final=True), final))
    assert (final.folder / FILE_NAME).exists()
    assert "test/accuracy" in reports[-1].metrics
