"""What the spaces of the single methods promise beyond what every space does."""

from __future__ import annotations

import pytest

from search_spaces import SPACES, Limits, SpaceError, resolve
from trainables.methods import METHODS

LIMITS = Limits(dataset="digits", n_classes=10, n_features=784)


def test_every_method_but_plain_training_has_a_space():
    assert set(METHODS) - set(SPACES) <= {"base", "base_finetune"}


@pytest.mark.parametrize(
    ("method", "searched"),
    [
        ("fgsm", ("budget", "split")),
        ("pgd", ("budget", "steps", "step_size", "split")),
        ("mixup", ("concentration",)),
        ("cutmix", ("concentration", "probability")),
        ("random_erasing", ("probability", "max_area")),
        ("reldrop", ("probability", "mix", "threshold")),
        ("saliency_guided", ("masked_fraction", "weight")),
    ],
)
def test_what_is_searched_by_default(method, searched):
    assert SPACES[method].searched == searched


def test_the_symbols_that_reldrop_shares_with_challenger_have_other_names():
    assert not {"alpha", "beta"} & set(SPACES["reldrop"].rules(LIMITS))


def test_pgd_searches_what_fgsm_does_over_the_same_axes():
    pgd, fgsm = SPACES["pgd"].rules(LIMITS), SPACES["fgsm"].rules(LIMITS)
    assert {name: pgd[name] for name in fgsm} == fgsm


def test_reldrop_searches_what_its_control_does_over_the_same_axes():
    reldrop, control = (SPACES[name].rules(LIMITS) for name in ("reldrop", "random_erasing"))
    assert {name: reldrop[name] for name in control} == control


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("fgsm", {"budget": -0.1}, "budget: the value must lie in [0, ∞), got -0.1."),
        ("fgsm", {"split": 0.0}, "split: the value must lie in (0, 1], got 0."),
        ("pgd", {"steps": 0}, "steps: the value must lie in [1, ∞), got 0."),
        ("pgd", {"step_size": 0.0}, "step_size: the value must lie in (0, ∞), got 0."),
        ("mixup", {"concentration": 0}, "concentration: the value must lie in (0, ∞), got 0."),
        ("cutmix", {"probability": 2.0}, "probability: the value must lie in [0, 1], got 2."),
        ("random_erasing", {"max_area": 0}, "max_area: the value must lie in [0.02, 1], got 0."),
        ("reldrop", {"mix": -1.0}, "mix: the value must lie in [0, 1], got -1."),
        ("reldrop", {"threshold": 1.5}, "threshold: the value must lie in [0, 1], got 1.5."),
        (
            "saliency_guided",
            {"masked_fraction": 0.0},
            "masked_fraction: the value must lie in (0, 1], got 0.",
        ),
        ("saliency_guided", {"weight": -1.0}, "weight: the value must lie in [0, ∞), got -1."),
    ],
)
def test_values_out_of_range_are_refused(method, given, message):
    with pytest.raises(SpaceError) as caught:
        resolve(SPACES[method].rules(LIMITS), given, SPACES[method].searched)
    assert str(caught.value) == message


def test_values_at_the_border_of_their_range_are_accepted():
    borders = {
        "fgsm": {"budget": 0.0, "split": 1.0},
        "pgd": {"steps": 1},
        "cutmix": {"probability": 0.0},
        "random_erasing": {"max_area": 1.0, "probability": 1.0},
        "reldrop": {"mix": 0.0, "threshold": 1.0},
        "saliency_guided": {"masked_fraction": 1.0, "weight": 0.0},
    }
    for method, given in borders.items():
        assert resolve(SPACES[method].rules(LIMITS), given, ()).fixed == given
