"""Images of bytes are scaled to the same numbers wherever and whenever they are."""

from __future__ import annotations

import torch

from trainables.datasets.pixel_samples import PixelSamples, Scale
from trainables.seeding import stream

MEAN, DEVIATION = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


def every_byte(scale: Scale, channels: int) -> PixelSamples:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8).repeat(1, channels, 1, 1)
    return PixelSamples(pixels=pixels, targets=torch.arange(4), scale=scale)


def test_every_byte_of_every_channel_is_what_arithmetic_gives_to_the_last_bit() -> None:
    samples = every_byte(Scale.standard(MEAN, DEVIATION), 3)
    for channel, (mean, deviation) in enumerate(zip(MEAN, DEVIATION, strict=True)):
        expected = (samples.pixels[:, channel].float() / 255 - mean) / deviation
        assert torch.equal(samples.inputs[:, channel], expected)
    samples = every_byte(Scale.unit(), 1)
    assert torch.equal(samples.inputs, samples.pixels.float() / 255)


def test_batches_views_and_parts_are_scaled_once_and_bytes_stay_bytes() -> None:
    samples = every_byte(Scale.standard([0.1307], [0.3081]), 1)
    before, indices = samples.pixels.clone(), torch.tensor([3, 0, 3])
    expected = samples.inputs[indices]
    batch = samples.draw(indices, stream(0, "batch"))
    assert torch.equal(batch.inputs, expected)
    assert batch.targets.tolist() == [3, 0, 3]
    assert torch.equal(samples.views(indices), expected[None])
    assert torch.equal(samples.take(indices).to(torch.device("cpu")).inputs, expected)
    assert samples.pixels.dtype == torch.uint8
    assert torch.equal(samples.pixels, before)
