"""Every attribution on every model family: it works, or it is refused before training."""

from __future__ import annotations

import pytest
import torch

from trainables.attribution import ATTRIBUTIONS
from trainables.datasets import DATASETS
from trainables.errors import ConfigError
from trainables.models import MODELS

DATASET = {"vgg11": "digits", "vgg16": "cifar10", "text_cnn": "reuters", "fcn_wang": "ptbxl"}
REFUSED = {
    ("text_cnn", "captum_lrp"): "Captum has no rule for module 'features.0', a Conv1d",
    ("fcn_wang", "captum_lrp"): "Captum has no rule for module 'features.0', a Conv1d",
    ("fcn_wang", "deep_lift"): "Captum has no rule for module 'highest', an AdaptiveMaxPool1d",
}


def test_every_model_is_here():
    assert sorted(DATASET) == sorted(MODELS)


@pytest.mark.parametrize("attribution", sorted(ATTRIBUTIONS))
@pytest.mark.parametrize("model", sorted(DATASET))
def test_it_explains_the_model_or_says_why_it_cannot(model, attribution):
    info = DATASETS[DATASET[model]]().info
    settings = MODELS[model](width=1 / 16)
    network = settings.build(info, torch.Generator().manual_seed(0))
    explain = ATTRIBUTIONS[attribution]()
    reason = REFUSED.get((model, attribution))
    if reason is not None:
        with pytest.raises(ConfigError) as caught:
            explain.check(network, torch.zeros(1, *info.input_shape))
        assert str(caught.value) == (
            f"attribution {attribution} cannot explain this model: {reason}; use epsilon_lrp, "
            "input_x_gradient or integrated_gradients."
        )
        return
    explain.check(network, torch.zeros(1, *info.input_shape))
    inputs = torch.randn(2, *info.input_shape)
    relevance = explain(network, inputs, torch.tensor([0, 1]))
    assert relevance.shape == inputs.shape
    assert relevance.isfinite().all()
    assert relevance.abs().sum() > 0
