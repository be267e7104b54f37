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
from trainables.runtime.stop_monitor import no_step_callback
from trainables.trial import TrialContext, run_trial

# The plain method and the most complex one stand for all where time is short.
WITH_EXTENDED_METHODS = [
    pytest.param(name, marks=[] if name in {"base", "challenger"} else pytest.mark.extended)
    for name in METHODS
]

CPU = torch.device("cpu")


@pytest.fixture
def context(tmp_path, folders) -> TrialContext:
    return context_below(TrialContext(folder=tmp_path, data=folders, device=CPU), "trial")


def context_below(context: TrialContext, name: str) -> TrialContext:
    """Return a place with an empty folder below another's."""
    folder = context.folder / name
    folder.mkdir()
    return replace(context, folder=folder)


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

    def recorded(config, data, device, step_callback) -> tuple[Replica, ...]:
        found.replicas = original(config, data, device, step_callback)
        return found.replicas

    def counted(config, data, state, step_callback=no_step_callback) -> None:
        found.epochs += 1
        run_epoch(config, data, state, step_callback)

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


@pytest.mark.parametrize("name", WITH_EXTENDED_METHODS)
def test_a_trial_that_continues_after_any_epoch_equals_an_uninterrupted_one(
    name, context, seen, kept, monkeypatch
):
    config = trial(name)
    expected = list(run_trial(config, context))
    weights = seen.weights()
    assert [report.epoch for report in expected] == [0, 2, 4, 5]
    checkpoints = sorted(kept.iterdir())
    assert [folder.name for folder in checkpoints] == ["1", "2", "3", "4"]

    # Copies of the copies would be in the way, and nothing of them is used.
    monkeypatch.setattr(checkpoint, "write", lambda *_: None)
    for folder in checkpoints:
        seen.epochs = 0
        found = list(run_trial(config, replace(context, folder=folder)))
        assert found == expected
        assert same_weights(seen.weights(), weights)
        # Two replicas; so the epochs before the checkpoint were not trained again.
        assert seen.epochs == 2 * (5 - int(folder.name))


def test_a_trial_that_is_stopped_at_each_report_equals_an_uninterrupted_one(context, seen):
    config = trial("challenger")
    expected = list(run_trial(config, context))
    weights = seen.weights()
    again = context_below(context, "again")
    for count in (1, 2, 3):
        reports = run_trial(config, again)
        assert [next(reports) for _ in range(count)] == expected[:count]
        reports.close()
    assert list(run_trial(config, again)) == expected
    assert same_weights(seen.weights(), weights)


def test_a_damaged_checkpoint_costs_an_epoch_and_changes_nothing(context, seen):
    config = trial("random")
    expected = list(run_trial(config, context))
    weights = seen.weights()
    newest = max(context.folder.glob("epoch-*.pt"))
    newest.write_bytes(newest.read_bytes()[:-100])
    seen.epochs = 0
    assert list(run_trial(config, context)) == expected
    assert seen.epochs == 2 * 2  # epochs 4 and 5 of two replicas
    assert same_weights(seen.weights(), weights)


def test_checkpoints_are_as_rare_as_asked(context):
    config = trial()
    config = replace(config, training=replace(config.training, checkpoint_every_s=1e6))
    list(run_trial(config, context))
    assert not list(context.folder.glob("epoch-*.pt"))


def test_a_checkpoint_of_another_configuration_is_refused(context):
    config, other = trial("base"), trial("random")
    list(run_trial(config, context))
    with pytest.raises(CheckpointError) as caught:
        next(run_trial(other, context))
    assert str(caught.value) == (
        f"{context.folder} holds a checkpoint of configuration {config.hash()}, but this trial's "
        f"is {other.hash()}; it belongs to another study or version: move it away."
    )


@pytest.mark.parametrize(
    ("replica_mode", "dropout", "groups"),
    [("auto", 0.0, 0), ("loop", 0.0, 0), ("vmap", 0.0, 1), ("vmap", 0.3, 0)],
)
def test_replicas_are_joined_when_the_study_says_so(
    replica_mode, dropout, groups, context, monkeypatch
):
    joined, original = [], replicas_module.stacked_group
    monkeypatch.setattr(
        replicas_module, "stacked_group", lambda *given: joined.append(1) or original(*given)
    )
    config = trial("challenger", model=Vgg11(width=1 / 32, dropout=dropout))
    reports = list(run_trial(config, replace(context, replica_mode=replica_mode)))
    assert [report.epoch for report in reports] == [0, 2, 4, 5]
    assert len(joined) == groups


def test_a_joined_trial_goes_on_bit_for_bit(context):
    config = trial("challenger", model=Vgg11(width=1 / 32))
    joined = replace(context, replica_mode="vmap")
    expected = list(run_trial(config, context_below(joined, "whole")))
    cut_off = run_trial(config, joined)
    for _ in range(3):
        next(cut_off)
    cut_off.close()
    assert checkpoint.latest_epoch(context.folder) == 4
    found = list(run_trial(config, joined))
    assert [r.metrics for r in found] == [r.metrics for r in expected]


def test_a_trial_that_does_not_fit_on_its_gpu_fails_with_its_parameters(context, monkeypatch):
    def too_large(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the docs.")

    monkeypatch.setattr("trainables.trial.start_replicas", too_large)
    with pytest.raises(DeviceMemoryError) as caught:
        list(run_trial(trial(), replace(context, gpu_share=0.25)))
    assert str(caught.value) == (
        "a trial must fit into its share of a GPU, resources.gpus = 0.25, but CUDA out of memory. "
        "Tried to allocate 2 GiB. Parameters: {'name': 'base'}; give it a larger share, or take "
        "smaller batches, fewer replicas or a narrower model."
    )


def test_a_loss_that_is_not_finite_is_never_saved(context, monkeypatch):
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
        list(run_trial(config, context))
    assert checkpoint.load_latest(context.folder)["replicas"][0]["epoch"] == 2


def test_only_a_final_trial_keeps_attribution_maps(context):
    list(run_trial(trial(), context))
    assert not (context.folder / FILE_NAME).exists()
    final = context_below(context, "final")
    reports = list(run_trial(trial(is_final=True), final))
    assert (final.folder / FILE_NAME).exists()
    assert "test/accuracy" in reports[-1].metrics
