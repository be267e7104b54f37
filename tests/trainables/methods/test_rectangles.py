from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy import stats

from tests.trainables.methods.small_network import seeded
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.methods.rectangles import (
    Rectangles,
    RectangleSize,
    check_images,
    randint_below,
    rectangle_mask,
)


def test_the_pixels_between_the_edges_are_covered():
    edges = Rectangles(
        top=torch.tensor([1, -2, 2]),
        bottom=torch.tensor([3, 1, 2]),
        left=torch.tensor([0, 3, 0]),
        right=torch.tensor([2, 9, 4]),
    )
    inside = rectangle_mask(edges, (3, 4)).long().tolist()
    assert inside[0] == [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    # What sticks out is cut off; a rectangle whose edges meet covers nothing.
    assert inside[1] == [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert inside[2] == [[0] * 4] * 3


def test_areas_are_uniform_and_aspect_ratios_log_uniform_within_their_ranges():
    size = RectangleSize(min_area=0.05, max_area=0.25, ratio=0.3)
    # A large image, so that rounding to pixels is small.
    tall, wide = size.sample((5000,), (1000, 1000), seeded())
    area = (tall * wide).double() / 1e6
    aspect = (tall / wide).double().log()
    assert stats.kstest(area.numpy(), stats.uniform(0.05, 0.2).cdf).pvalue > 0.01
    reach = float(torch.tensor(1 / 0.3).log())
    assert stats.kstest(aspect.numpy(), stats.uniform(-reach, 2 * reach).cdf).pvalue > 0.01
    assert area.min() > 0.049
    assert area.max() < 0.251


@pytest.mark.parametrize(("area", "side"), [(0.30, 5), (0.31, 6), (0.36, 6)])
def test_sides_are_rounded_to_the_nearest_pixel(area, side):
    # The square roots of 30, 31 and 36 are 5.48, 5.57 and 6.
    size = RectangleSize(min_area=area, max_area=area, ratio=1.0)
    tall, wide = size.sample((3,), (10, 10), seeded())
    assert tall.tolist() == wide.tolist() == [side] * 3


def test_a_rectangle_has_at_least_a_pixel():
    size = RectangleSize(min_area=1e-4, max_area=1e-3, ratio=0.5)
    tall, wide = size.sample((100,), (4, 4), seeded())
    assert (tall == 1).all()
    assert (wide == 1).all()


def test_integers_below_a_bound_are_uniform_and_none_is_below_zero():
    drawn = randint_below(torch.full((5000,), 5), seeded())
    counts = torch.bincount(drawn, minlength=5)
    # 1000 ± 28: five standard deviations.
    assert len(counts) == 5
    assert ((counts - 1000).abs() < 142).all()
    assert randint_below(torch.tensor([1, 0, -3]), seeded()).tolist() == [0, 0, 0]


@pytest.mark.parametrize("domain", ["text", "series"])
def test_what_works_on_images_refuses_other_domains(domain):
    check_images(Digits().info, "name", "cutmix", "mixup")
    with pytest.raises(ConfigError) as caught:
        check_images(replace(Digits().info, domain=domain), "name", "cutmix", "mixup")
    assert str(caught.value) == (
        "name is 'cutmix', which works on images, but the dataset's domain is "
        f"'{domain}'; choose 'mixup'."
    )
