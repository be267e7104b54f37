"""Samples of images and of records."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.datasets import RecordSamples, Samples
from trainables.datasets.samples import PixelSamples, PixelScale
from trainables.evaluation import predict_logits
from trainables.seeding import stream

MEAN, DEVIATION = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


def every_byte(scale: PixelScale, channels: int) -> PixelSamples:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8).repeat(1, channels, 1, 1)
    return PixelSamples(pixels=pixels, targets=torch.arange(4), scale=scale)


def test_every_byte_of_every_channel_is_what_arithmetic_gives_to_the_last_bit() -> None:
    samples = every_byte(PixelScale.standard(MEAN, DEVIATION), 3)
    for channel, (mean, std) in enumerate(zip(MEAN, DEVIATION, strict=True)):
        expected = (samples.pixels[:, channel].float() / 255 - mean) / std
        assert torch.equal(samples.inputs[:, channel], expected)
    samples = every_byte(PixelScale.unit(), 1)
    assert torch.equal(samples.inputs, samples.pixels.float() / 255)


def test_batches_views_and_parts_are_scaled_once_and_bytes_stay_bytes() -> None:
    samples = every_byte(PixelScale.standard([0.1307], [0.3081]), 1)
    before, indices = samples.pixels.clone(), torch.tensor([3, 0, 3])
    expected = samples.inputs[indices]
    batch = samples.make_batch(indices, stream(0, "batch"))
    assert torch.equal(batch.inputs, expected)
    assert batch.targets.tolist() == [3, 0, 3]
    assert torch.equal(samples.views(indices), expected[None])
    assert torch.equal(samples.take(indices).to(torch.device("cpu")).inputs, expected)
    assert samples.pixels.dtype == torch.uint8
    assert torch.equal(samples.pixels, before)


N, LEADS, LENGTH, CLASSES = 5, 2, 12, 3


def samples(window: int = 4, stride: int = 3) -> RecordSamples:
    # Every number tells its record, lead and time.
    number = torch.arange(float(N * LEADS * LENGTH)).reshape(N, LEADS, LENGTH)
    targets = torch.tensor([[k in own for k in range(CLASSES)] for own in OWN]).float()
    return RecordSamples(signals=number, targets=targets, window=window, stride=stride)


OWN = ({0}, {0, 2}, {1}, {1, 2}, {0, 1, 2})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def starts(batch_inputs: torch.Tensor) -> torch.Tensor:
    return batch_inputs[:, 0, 0].long() % LENGTH


def test_they_are_samples():
    assert isinstance(samples(), Samples)
    assert len(samples()) == N


def test_a_batch_holds_one_window_of_every_record_asked_for():
    data, indices = samples(), torch.tensor([3, 0, 3, 4])
    batch = data.make_batch(indices, generator())
    assert batch.inputs.shape == (4, LEADS, 4)
    assert torch.equal(batch.targets, data.targets[indices])
    assert batch.valid_mask is None
    for row, (index, start) in enumerate(zip(indices, starts(batch.inputs), strict=True)):
        assert torch.equal(batch.inputs[row], data.signals[index, :, start : start + 4])


def test_every_position_is_as_likely_and_none_reaches_beyond_the_record():
    indices = torch.zeros(9000, dtype=torch.long)
    counts = torch.bincount(starts(samples().make_batch(indices, generator()).inputs))
    # 9 positions, 1000 draws each: a deviation of 150 is five standard deviations.
    assert counts.tolist() == pytest.approx([1000] * 9, abs=150)


def test_positions_are_drawn_from_the_generator_alone():
    indices, data = torch.arange(N).repeat(4), samples()
    state = torch.get_rng_state()
    first = data.make_batch(indices, generator(1)).inputs
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(data.make_batch(indices, generator(1)).inputs, first)
    assert not torch.equal(data.make_batch(indices, generator(2)).inputs, first)
    source = generator(1)
    twice = [data.make_batch(indices, source).inputs for _ in range(2)]
    assert not torch.equal(*twice)


def test_changing_a_batch_leaves_the_records_alone():
    data = samples()
    data.make_batch(torch.arange(N), generator()).inputs.zero_()
    assert torch.equal(data.signals, samples().signals)


@pytest.mark.parametrize(
    ("window", "stride", "expected"),
    [
        (4, 3, [0, 3, 6]),
        (4, 4, [0, 4, 8]),
        (4, 8, [0, 8]),
        (4, 9, [0]),
        (12, 1, [0]),
        (11, 1, [0, 1]),
    ],
)
def test_views_are_all_whole_windows_at_the_stride(window, stride, expected):
    data, indices = samples(window, stride), torch.tensor([4, 1])
    views = data.views(indices)
    assert views.shape == (len(expected), 2, LEADS, window)
    for view, start in zip(views, expected, strict=True):
        assert torch.equal(view, data.signals[indices, :, start : start + window])


def test_ten_seconds_have_seven_views_of_two_and_a_half():
    data = RecordSamples(
        signals=torch.zeros(2, 12, 1000), targets=torch.zeros(2, 5), window=250, stride=125
    )
    assert data.views(torch.arange(2)).shape == (7, 2, 12, 250)


def test_an_evaluation_takes_the_highest_logit_over_the_views():
    class Ends(nn.Module):
        def forward(self, inputs) -> torch.Tensor:
            return torch.stack([inputs[:, 0, 0], -inputs[:, 1, -1]], dim=1)

    data = samples()
    found = predict_logits(Ends(), data)
    assert torch.equal(found[:, 0], data.signals[:, 0, 6])
    assert torch.equal(found[:, 1], -data.signals[:, 1, 3])


def test_records_are_taken_and_moved_with_their_targets_and_windows():
    part = samples(3, 2).take(torch.tensor([4, 2])).to(torch.device("cpu"))
    assert torch.equal(part.signals, samples().signals[[4, 2]])
    assert torch.equal(part.targets, samples().targets[[4, 2]])
    assert (part.window, part.stride, len(part)) == (3, 2, 2)
    assert samples().to(torch.device("meta")).signals.is_meta
    assert samples().to(torch.device("meta")).targets.is_meta
