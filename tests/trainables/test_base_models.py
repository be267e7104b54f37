"""Base models that fine-tuning starts from: trained once, kept whole, shared."""

from __future__ import annotations

import copy
import fcntl
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainables.builders import trial
from trainables import base_models
from trainables.base_models import base_weights
from trainables.config import FromBase, TrialConfig
from trainables.datasets import DataFolders, Splits
from trainables.errors import ConfigError
from trainables.loop import init_replica, run_epoch
from trainables.methods import Base, BaseFinetune, Challenger, Mixup
from trainables.optimizers import OneCycle
from trainables.replicas import start_replicas
from trainables.runtime.stop_monitor import no_step_callback

CPU = torch.device("cpu")


def finetuning(method: str = "base_finetune", epochs: int = 3, **changes: object) -> TrialConfig:
    config = trial()
    training = replace(config.training, epochs=2, start_from=FromBase(epochs=epochs))
    return trial(method, training=training, **changes)


@pytest.fixture(scope="module")
def data(folders) -> Splits:
    return trial().dataset.load(folders, 1)


@pytest.fixture
def epochs_run(monkeypatch) -> list[int]:
    """Count the epochs that Base models are trained."""
    run = []

    def counted(config, data, state, step_callback=no_step_callback) -> None:
        run_epoch(config, data, state, step_callback)
        run.append(state.epoch)

    monkeypatch.setattr(base_models, "run_epoch", counted)
    return run


def same(one, other) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())


def test_its_weights_are_those_of_an_ordinary_trial_of_as_many_epochs(tmp_path, data):
    config = finetuning().base
    state = init_replica(config, config.dataset.info, 1, CPU)
    for _ in range(3):
        run_epoch(config, data, state)
    assert same(state.model.state_dict(), base_weights(config, data, 1, tmp_path, CPU))


def test_it_is_trained_once_and_shared_by_all_methods(tmp_path, data, epochs_run):
    for method in ("base_finetune", "challenger", "random"):
        base_weights(finetuning(method).base, data, 1, tmp_path, CPU)
    assert epochs_run == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, dataset=replace(c.dataset, subset_seed=5)),
        lambda c: replace(c, model=replace(c.model, dropout=0.1)),
        lambda c: replace(c, training=replace(c.training, batch_size=7)),
        lambda c: replace(c, training=replace(c.training, schedule=OneCycle())),
        lambda c: replace(c, training=replace(c.training, start_from=FromBase(epochs=1))),
        lambda c: replace(
            c, training=replace(c.training, start_from=FromBase(epochs=3, mixup=Mixup()))
        ),
    ],
)
def test_whatever_its_weights_follow_from_makes_another(tmp_path, data, epochs_run, change):
    base_weights(finetuning().base, data, 1, tmp_path, CPU)
    epochs_run.clear()
    base_weights(change(finetuning()).base, data, 1, tmp_path, CPU)
    assert epochs_run


def test_another_seed_or_other_code_makes_another(tmp_path, data, epochs_run, monkeypatch):
    config = finetuning().base
    base_weights(config, data, 1, tmp_path, CPU)
    base_weights(config, data, 2, tmp_path, CPU)
    monkeypatch.setattr(base_models, "code_digest", lambda: "changed")
    base_weights(config, data, 1, tmp_path, CPU)
    assert epochs_run == [1, 2, 3] * 3


def test_other_samples_under_the_same_settings_make_another(tmp_path, data, epochs_run):
    config = finetuning().base
    base_weights(config, data, 1, tmp_path, CPU)
    for change in ({"pixels": data.train.pixels + 1}, {"targets": data.train.targets.flip(0)}):
        other = replace(data, train=replace(data.train, **change))
        base_weights(config, other, 1, tmp_path, CPU)
    assert epochs_run == [1, 2, 3] * 3


def test_what_its_weights_do_not_follow_from_makes_no_other(tmp_path, data, epochs_run):
    base_weights(finetuning().base, data, 1, tmp_path, CPU)
    other = finetuning("challenger", seeds=(1, 7, 9))
    other = replace(other, training=replace(other.training, epochs=9, checkpoint_every_s=5.0))
    base_weights(other.base, data, 1, tmp_path, CPU)
    assert epochs_run == [1, 2, 3]


def test_a_training_that_was_killed_goes_on_from_its_checkpoint(tmp_path, data, monkeypatch):
    config = finetuning().base
    whole = base_weights(config, data, 1, tmp_path / "whole", CPU)
    run = []

    def dies(config, data, state, step_callback=no_step_callback) -> None:
        if len(run) == 2:
            raise KeyboardInterrupt
        run_epoch(config, data, state, step_callback)
        run.append(state.epoch)

    monkeypatch.setattr(base_models, "run_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        base_weights(config, data, 1, tmp_path / "killed", CPU)
    monkeypatch.undo()
    continued = []

    def counted(config, data, state, step_callback=no_step_callback) -> None:
        run_epoch(config, data, state, step_callback)
        continued.append(state.epoch)

    monkeypatch.setattr(base_models, "run_epoch", counted)
    assert same(whole, base_weights(config, data, 1, tmp_path / "killed", CPU))
    assert continued == [3]


def _hold(path: Path, held, release) -> None:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held.set()
        release.wait(60)


def _fetch(home: Path, cache: Path, done) -> None:
    config = finetuning().base
    data = config.dataset.load(DataFolders(root=None, cache=cache), 1)
    base_weights(config, data, 1, home, CPU)
    done.set()


@pytest.mark.service
def test_others_wait_while_one_trains_it(tmp_path, data, folders):
    base_weights(finetuning().base, data, 1, tmp_path, CPU)
    (lock,) = tmp_path.glob("*/lock")
    context = multiprocessing.get_context("spawn")
    held, release, done = (context.Event() for _ in range(3))
    holder = context.Process(target=_hold, args=(lock, held, release))
    waiter = context.Process(target=_fetch, args=(tmp_path, folders.cache, done))
    holder.start()
    assert held.wait(60)
    waiter.start()
    assert not done.wait(5)
    release.set()
    assert done.wait(60)
    holder.join()
    waiter.join()


def test_replicas_begin_with_the_weights_and_a_fresh_optimizer(folders, tmp_path):
    folders = replace(folders, cache=tmp_path)
    config = finetuning("challenger")
    replicas = start_replicas(config, folders, CPU)
    for seed, replica in zip(config.seeds, replicas, strict=True):
        weights = base_weights(config.base, replica.data, seed, tmp_path / "base", CPU)
        assert same(weights, replica.state.model.state_dict())
        assert (replica.state.epoch, replica.state.optimizer.state_dict()["state"]) == (0, {})
    assert not same(*(replica.state.model.state_dict() for replica in replicas))


def test_fine_tuning_draws_on_where_the_base_model_stopped(data):
    """One epoch of base_finetune after three of Base is the fourth epoch of Base."""
    config = finetuning()
    base = config.base
    longer = replace(base, training=replace(base.training, epochs=4))
    state = init_replica(longer, longer.dataset.info, 1, CPU)
    for _ in range(3):
        run_epoch(longer, data, state)
    tuned = init_replica(config, config.dataset.info, 1, CPU)
    tuned.model.load_state_dict(state.model.state_dict())
    tuned.optimizer.load_state_dict(copy.deepcopy(state.optimizer.state_dict()))
    run_epoch(longer, data, state)
    run_epoch(config, data, tuned)
    assert same(state.model.state_dict(), tuned.model.state_dict())


def test_base_cannot_start_from_base_nor_its_fine_tuning_from_scratch():
    with pytest.raises(ConfigError) as caught:
        replace(finetuning(), method=Base())
    assert str(caught.value) == (
        "method 'base' cannot start from 'base', which would train it twice as long as it says; "
        "use 'base_finetune', or give this arm 'start_from: scratch'."
    )
    with pytest.raises(ConfigError) as caught:
        replace(trial(), method=BaseFinetune())
    assert str(caught.value) == (
        "method 'base_finetune' goes on training a Base model, but start_from is 'scratch'; set "
        "'start_from: base', or use method 'base'."
    )


def test_the_trial_of_the_base_model_has_nothing_of_the_method():
    config = finetuning("challenger", is_final=True)
    assert isinstance(config.method, Challenger)
    base = config.base
    assert isinstance(base.method, Base)
    assert (base.training.epochs, base.is_final, base.base) == (3, False, None)
    as_long = replace(config, training=replace(config.training, start_from=FromBase()))
    assert as_long.base.training.epochs == config.training.epochs
    assert isinstance(finetuning().method, BaseFinetune)
