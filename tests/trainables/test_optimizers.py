from __future__ import annotations

import math

import pytest
import torch

from trainables.optimizers import Adam, AdamW, Constant, Cosine, OneCycle, set_learning_rate


def test_weight_decay_is_decoupled_for_adamw_alone():
    weights = {}
    for kind in (Adam, AdamW):
        weight = torch.nn.Parameter(torch.tensor([1.0]))
        optimizer = kind(lr=0.1, weight_decay=0.5).build([weight])
        weight.grad = torch.zeros(1)
        optimizer.step()
        weights[kind] = float(weight.detach())
    # Adam turns any gradient into a step of the learning rate; AdamW shrinks by lr × decay.
    assert weights[Adam] == pytest.approx(0.9, rel=1e-5)
    assert weights[AdamW] == pytest.approx(0.95, rel=1e-6)


def test_a_constant_schedule_stays():
    assert {Constant().factor(p) for p in (0.0, 0.3, 1.0)} == {1.0}


@pytest.mark.parametrize("settings", [{}, {"warm_up": 0.1, "start_divisor": 7.0}])
def test_one_cycle_is_torchs(settings):
    schedule, n_steps = OneCycle(**settings), 41
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=0.02,
        total_steps=n_steps,
        pct_start=(schedule.warm_up * (n_steps - 1) + 1) / n_steps,
        div_factor=schedule.start_divisor,
        final_div_factor=schedule.end_divisor,
        cycle_momentum=False,
    )
    for step in range(n_steps):
        lr = 0.02 * schedule.factor(step / (n_steps - 1))
        assert lr == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        if step < n_steps - 1:
            optimizer.step()
            theirs.step()


def test_one_cycle_starts_low_peaks_and_ends_lower():
    schedule = OneCycle()
    assert schedule.factor(0.0) == pytest.approx(1 / 25)
    assert schedule.factor(0.3) == 1.0
    assert schedule.factor(1.0) == pytest.approx(1 / 25 / 1e4)
    assert math.isclose(schedule.factor(0.65), (1 + 1 / 25 / 1e4) / 2)


def test_cosine_is_torchs():
    schedule, n_steps = Cosine(end_divisor=50.0), 31
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps - 1, eta_min=0.002)
    for step in range(n_steps):
        lr = 0.1 * schedule.factor(step / (n_steps - 1))
        assert lr == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        theirs.step()


def test_the_learning_rate_of_every_group_is_set():
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [w]} for w in weights], lr=1.0)
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
