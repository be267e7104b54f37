from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tests.trainables.builders import trial
from trainables.attribution import epsilon_lrp
from trainables.attribution_maps import FILE_NAME, one_per_class, save_attribution_maps
from trainables.datasets.samples import PixelSamples, PixelScale
from trainables.evaluation import predict_logits
from trainables.replicas import start_replicas

CPU = torch.device("cpu")


def test_the_first_sample_of_each_class_that_occurs_is_taken_by_class():
    targets = torch.tensor([7, 2, 7, 0, 2, 2])
    pixels = torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1)
    samples = PixelSamples(pixels=pixels, targets=targets, scale=PixelScale.unit())
    found = one_per_class(samples)
    assert found.targets.tolist() == [0, 2, 7]
    assert found.pixels.flatten().tolist() == [3, 1, 0]


def test_the_file_holds_inputs_relevance_of_the_true_class_and_prediction(tmp_path, folders):
    config = trial()
    (replica, _) = start_replicas(config, folders, CPU)
    save_attribution_maps(config, replica, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    samples = one_per_class(replica.data.test)
    with np.load(tmp_path / FILE_NAME) as arrays:
        found = dict(arrays)
    assert set(found) == {"inputs", "relevance", "target", "predicted"}
    assert found["inputs"].shape == found["relevance"].shape == (10, 1, 28, 28)
    assert found["target"].tolist() == list(range(10))
    assert np.array_equal(found["inputs"], samples.inputs.numpy())
    expected = epsilon_lrp(replica.state.model, samples.inputs, torch.arange(10))
    assert np.array_equal(found["relevance"], expected.numpy())
    predicted = predict_logits(replica.state.model, samples).argmax(1)
    assert found["predicted"].tolist() == predicted.tolist()


def test_data_that_are_no_images_have_no_maps(tmp_path, folders, monkeypatch):
    config = trial()
    (replica, _) = start_replicas(config, folders, CPU)
    info = replace(config.dataset.info, domain="series")
    monkeypatch.setattr(type(config.dataset), "info", property(lambda _self: info))
    save_attribution_maps(config, replica, tmp_path)
    assert list(tmp_path.iterdir()) == []
