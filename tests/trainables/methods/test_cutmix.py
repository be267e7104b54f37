from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from tests.trainables.builders import Flat, trial
from tests.trainables.methods.small_network import (
    N_CLASSES,
    batch,
    counted,
    multi_labels,
    network,
    seeded,
)
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.methods import Cutmix

TEXT = replace(Digits().info, domain="text")


def numbered(count: int = 9, height: int = 12, width: int = 10) -> torch.Tensor:
    """Make images whose pixels are all the sample's number, so that pasted ones can be told."""
    return torch.arange(count).float()[:, None, None, None].expand(count, 2, height, width)


def perturbed(method: Cutmix, seed: int, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    count = len(inputs)
    with torch.random.fork_rng(devices=[]):
        model = Flat(torch.zeros(count, inputs[0].numel()))
    found = method.perturb(model, Batch(inputs=inputs, targets=torch.arange(count)), seeded(seed))
    return found.inputs, found.targets


class TorchvisionCutMix(v2.CutMix):
    """torchvision's class with a box that is given; it pairs each sample with the one before."""

    def __init__(self, box: tuple[int, int, int, int], kept: float) -> None:
        super().__init__(num_classes=N_CLASSES)
        self.given = {"box": box, "lam_adjusted": kept}

    def make_params(self, _inputs) -> dict[str, object]:
        return self.given


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("is_multi_label", [False, True])
def test_it_is_torchvisions_for_the_same_box_and_pairs(seed, is_multi_label):
    inputs, labels = batch()
    labels = multi_labels() if is_multi_label else labels
    found = Cutmix().perturb(network(), Batch(inputs=inputs, targets=labels), seeded(seed))
    # Draws that do not depend on the values: which pixels came from whom is read off numbers.
    marked = (
        Cutmix()
        .perturb(
            network(),
            Batch(inputs=numbered(11, 6, 6).double(), targets=torch.zeros(11).long()),
            seeded(seed),
        )
        .inputs[:, 0]
    )
    for i in range(11):
        pasted = (marked[i] != i).nonzero()
        box, partner = (0, 0, 0, 0), i
        if len(pasted):
            (y1, x1), (y2, x2) = pasted[0].tolist(), pasted[-1].tolist()
            box, partner = (x1, y1, x2 + 1, y2 + 1), int(marked[i, y1, x1])
        kept = 1 - len(pasted) / 36
        two, of_two = inputs[[partner, i]], labels[[partner, i]]
        mixed, soft = TorchvisionCutMix(box, kept)(two, of_two)
        assert torch.equal(found.inputs[i], mixed[1])
        if partner != i:
            assert found.targets[i].numpy() == pytest.approx(soft[1].numpy(), abs=1e-6)


@pytest.mark.extended
def test_boxes_are_distributed_as_torchvisions():
    theirs = v2.CutMix(alpha=0.8, num_classes=2)
    image = torch.zeros(1, 1, 12, 10)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        boxes = [theirs.make_params([image])["box"] for _ in range(1000)]
    expected = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes]
    found = []
    for seed in range(1000):
        mixed, _labels = perturbed(Cutmix(concentration=0.8), seed, numbered())
        # A sample that partners itself shows nothing; all nine do so hardly ever.
        found.append(int((mixed != numbered())[:, 0].sum((1, 2)).max()))
    assert stats.ks_2samp(found, expected).pvalue > 0.01


@pytest.mark.parametrize("seed", range(20))
def test_labels_are_mixed_by_the_area_that_was_pasted(seed):
    inputs = numbered()
    mixed, labels = perturbed(Cutmix(), seed, inputs)
    for i in range(9):
        shares = torch.bincount(mixed[i, 0].flatten().long(), minlength=9) / 120
        assert labels[i].tolist() == pytest.approx(shares.tolist(), abs=1e-6)
    # One rectangle for all channels and samples.
    changed = mixed != inputs
    assert torch.equal(changed[:, 0], changed[:, 1])
    moved = [area for area in changed[:, 0] if area.any()]
    assert all(torch.equal(area, moved[0]) for area in moved)


def test_a_batch_is_changed_with_the_probability():
    changed = 0
    for seed in range(400):
        mixed, labels = perturbed(Cutmix(probability=0.25, concentration=50.0), seed, numbered())
        is_changed = not torch.equal(mixed, numbered())
        changed += is_changed
        assert is_changed or torch.equal(labels, torch.eye(9))
    # Binomial(400, 1/4) is 100 ± 9: four standard deviations.
    assert 65 < changed < 135
    assert torch.equal(perturbed(Cutmix(probability=0.0), 0, numbered())[0], numbered())


def test_labels_too_are_a_function_of_the_generator_alone():
    state = torch.get_rng_state()
    first = perturbed(Cutmix(), 1, numbered())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    assert all(map(torch.equal, perturbed(Cutmix(), 1, numbered()), first))
    assert not torch.equal(perturbed(Cutmix(), 2, numbered())[1], first[1])


def test_it_costs_no_pass(monkeypatch):
    model = network()
    inputs, targets = batch()
    passes = counted(model, monkeypatch)
    Cutmix().perturb(model, Batch(inputs=inputs, targets=targets), seeded())
    assert (passes.forward, passes.backward) == ([], [])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Cutmix().check(TEXT),
            "name is 'cutmix', which works on images, but the dataset's domain is 'text'; "
            "choose 'mixup'.",
        ),
    ],
)
def test_settings_out_of_range_and_other_data_are_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message


def test_images_are_accepted_by_the_whole_configuration():
    for probability in (0.0, 1.0):
        replace(trial(), method=Cutmix(probability=probability))
