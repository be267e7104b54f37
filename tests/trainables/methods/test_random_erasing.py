from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import nn
from torchvision.transforms import v2

from tests.trainables.methods.small_network import seeded
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.methods import RandomErasing

SERIES = replace(Digits().info, domain="series")


def perturbed(method: RandomErasing, inputs: torch.Tensor, seed: int = 0):
    model = nn.Identity()
    model.register_forward_hook(lambda *_: pytest.fail("the control asked the model"))
    targets = torch.arange(len(inputs))
    found = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(seed))
    assert found.targets is targets
    return found


def boxes(erased: torch.Tensor) -> list[tuple[int, int, int, int] | None]:
    """Return top, left, height and width of each mask, and check that it is a full rectangle."""
    found = []
    for mask in erased:
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        if not len(rows):
            found.append(None)
            continue
        top, left = int(rows[0]), int(columns[0])
        height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
        assert int(mask.sum()) == height * width
        found.append((top, left, height, width))
    return found


def test_one_rectangle_per_sample_is_filled_through_all_channels_as_torchvision_does():
    inputs = 1 + torch.rand(60, 3, 20, 30)
    changed = perturbed(RandomErasing(probability=1.0, fill=-7.0), inputs).inputs
    erased = (changed == -7.0)[:, 0]
    found = boxes(erased)
    assert len(set(found)) > 50
    for before, after, box in zip(inputs, changed, found, strict=True):
        expected = v2.functional.erase(before, *box, v=torch.full((3, 1, 1), -7.0))
        assert torch.equal(after, expected)


def test_erased_areas_and_aspect_ratios_lie_in_their_ranges():
    method = RandomErasing(probability=1.0, min_area=0.1, max_area=0.2, ratio=0.5)
    changed = perturbed(method, torch.ones(500, 1, 100, 100)).inputs
    for _top, _left, height, width in boxes(changed[:, 0] == 0):
        # Each side is rounded to whole pixels.
        assert (height - 0.5) * (width - 0.5) <= 2000
        assert (height + 0.5) * (width + 0.5) >= 1000
        assert (height + 0.5) / (width - 0.5) >= 0.5
        assert (height - 0.5) / (width + 0.5) <= 2


def test_rectangles_are_distributed_as_torchvisions():
    count, grid = 2000, (28, 20)
    theirs = v2.RandomErasing(p=1, scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = [theirs.make_params([torch.zeros(1, *grid)]) for _ in range(count)]
    changed = perturbed(RandomErasing(probability=1.0), torch.ones(count, 1, *grid)).inputs
    found = boxes(changed[:, 0] == 0)
    for part, key in enumerate(("i", "j", "h", "w")):
        ours = [box[part] for box in found]
        assert stats.ks_2samp(ours, [params[key] for params in drawn]).pvalue > 0.01
    areas = [height * width for _top, _left, height, width in found]
    expected = [params["h"] * params["w"] for params in drawn]
    assert stats.ks_2samp(areas, expected).pvalue > 0.01


@pytest.mark.parametrize(("grid", "area"), [((4, 4), 1.0), ((4, 20), 0.2), ((20, 4), 0.2)])
def test_nothing_is_erased_where_no_rectangle_fits(grid, area):
    # Torchvision's rule: a rectangle is smaller than the image on both sides.
    inputs = torch.ones(20, 1, *grid)
    method = RandomErasing(probability=1.0, min_area=area, max_area=area, ratio=1.0)
    found = perturbed(method, inputs)
    assert torch.equal(found.inputs, inputs)
    assert float(found.train_metrics["drop_rate"]) == 0


def test_each_sample_is_changed_with_the_probability():
    changed = perturbed(RandomErasing(probability=0.25), torch.ones(400, 1, 8, 8)).inputs
    count = int((changed == 0).flatten(1).any(1).sum())
    # Binomial(400, 1/4) is 100 ± 9: four standard deviations.
    assert 65 < count < 135


def test_the_measured_rate_is_the_counted_share():
    inputs = torch.ones(50, 3, 9, 7)
    found = perturbed(RandomErasing(), inputs)
    rate = float((found.inputs == 0).double().mean())
    assert 0 < rate < 0.4
    assert float(found.train_metrics["drop_rate"]) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: RandomErasing().check(SERIES),
            "name is 'random_erasing', which works on images, but the dataset's domain is "
            "'series'; choose 'random'.",
        ),
    ],
)
def test_settings_out_of_range_and_other_data_are_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message


def test_settings_at_the_border_of_their_range_are_accepted():
    for probability in (0.0, 1.0):
        method = RandomErasing(probability=probability, min_area=1.0, max_area=1.0, ratio=1.0)
        method.check(Digits().info)
