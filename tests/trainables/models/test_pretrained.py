"""Models of torchvision and of users' own modules, and weights from files."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.trainables.builders import message, trial
from trainables.datasets import DatasetInfo
from trainables.datasets.user_paths import paths_relative_to
from trainables.decoding import decode, encode
from trainables.errors import ConfigError
from trainables.models import ModelConfig, ModuleModel, TorchvisionModel

COLOR = DatasetInfo(n_classes=4, input_shape=(3, 32, 32), domain="image")
GRAY = replace(COLOR, input_shape=(1, 28, 28))
SERIES = replace(COLOR, input_shape=(3, 32), domain="series")
HERE = "tests.trainables.models.small_modules"
SMALL = "shufflenet_v2_x0_5"


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def saved(tmp_path, content: object) -> str:
    torch.save(content, tmp_path / "weights.pt")
    return str(tmp_path / "weights.pt")


def built(info: DatasetInfo, **settings: object) -> nn.Module:
    return TorchvisionModel(**{"architecture": SMALL, **settings}).build(info, generator())


@pytest.mark.parametrize(
    ("info", "settings"),
    [
        (GRAY, {}),
        (COLOR, {}),
        (COLOR, {"architecture": "resnet18", "stem": "small_images"}),
        (GRAY, {"architecture": "squeezenet1_1", "image_size": 40}),
        pytest.param(COLOR, {"architecture": "vit_b_16"}, marks=pytest.mark.extended),
        pytest.param(COLOR, {"architecture": "googlenet"}, marks=pytest.mark.extended),
        pytest.param(
            COLOR, {"architecture": "inception_v3", "image_size": 75}, marks=pytest.mark.extended
        ),
    ],
)
def test_an_architecture_takes_the_channels_and_gives_the_classes_of_the_data(info, settings):
    network = built(info, **settings).train()
    assert network(torch.randn(2, *info.input_shape)).shape == (2, 4)


def test_a_small_stem_keeps_the_grid():
    network = built(COLOR, architecture="resnet18", stem="small_images")
    features = network.layer1(network.maxpool(network.conv1(torch.zeros(1, 3, 32, 32))))
    assert features.shape == (1, 64, 32, 32)


@pytest.mark.parametrize("info", [COLOR, replace(GRAY, input_shape=(1, 32, 32))], ids=["3", "1"])
def test_weights_of_three_channels_and_other_classes_are_fitted(info, tmp_path):
    given = built(replace(COLOR, n_classes=7)).eval()
    network = built(info, weights=saved(tmp_path, {"model": given.state_dict()})).eval()
    expected, found = given.state_dict(), network.state_dict()
    first, *between, weight, bias = found
    assert (found[weight].shape[0], found[bias].shape[0]) == (4, 4)
    assert all(torch.equal(found[key], expected[key]) for key in between)
    # A gray image gives the same responses in either network.
    gray = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(
        network.conv1(gray.expand(-1, info.input_shape[0], -1, -1)),
        given.conv1(gray.expand(-1, 3, -1, -1)),
    )
    assert first == "conv1.0.weight"
    assert (found[first].shape == expected[first].shape) == (info is COLOR)


@pytest.mark.extended
def test_position_embeddings_are_interpolated_to_the_images(tmp_path):
    given = built(replace(COLOR, input_shape=(3, 64, 64)), architecture="vit_b_32")
    file = saved(tmp_path, given.state_dict())
    network = built(COLOR, architecture="vit_b_32", weights=file)
    assert network.encoder.pos_embedding.shape == (1, 2, 768)
    assert torch.equal(network.conv_proj.weight, given.conv_proj.weight)


@pytest.mark.parametrize(
    ("info", "settings", "error"),
    [
        (
            COLOR,
            {"architecture": "resnt18"},
            "architecture is 'resnt18', which is not known; did you mean 'resnet18'?",
        ),
        (
            SERIES,
            {},
            "torchvision's classifiers take images, but the dataset gives samples of "
            "domain 'series' and shape (3, 32); choose another model.",
        ),
        (
            COLOR,
            {"stem": "small_images"},
            "stem is 'small_images', which 'shufflenet_v2_x0_5' does not have; write "
            "'published', or choose a ResNet.",
        ),
        (
            COLOR,
            {"architecture": "alexnet"},
            "architecture 'alexnet' does not take images of shape (3, 32, 32): Given "
            "input size: (256x1x1). Calculated output size: (256x0x0). Output size is"
            " too small; set 'image_size', or choose another.",
        ),
        (
            GRAY,
            {"architecture": "vit_b_16"},
            "architecture 'vit_b_16' does not take images of shape (1, 28, 28): Input"
            " shape indivisible by patch size; set 'image_size', or choose another.",
        ),
    ],
)
def test_what_an_architecture_does_not_take_is_refused(info, settings, error):
    assert message(ConfigError, lambda: built(info, **settings)) == error


class Anything:
    """A class that only pickle could make."""


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "weights must be a file, but '{}' is none; give its whole path."),
        (b"not weights", "weights cannot be read from {}: "),
        (Anything(), "weights cannot be read from {}: Weights only load failed"),
        ([1, 2], "weights must be tensors by name, but {} holds something else; save them by "),
        ({"conv1.0.weight": torch.zeros(1)}, "weights do not fit the network: {} lacks "),
    ],
)
def test_a_file_without_such_weights_is_refused(content, error, tmp_path):
    file = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    assert message(ConfigError, lambda: built(COLOR, weights=str(file))).startswith(
        error.format(file)
    )


def test_weights_of_another_network_are_refused_by_name_and_shape(tmp_path):
    model = ModuleModel(factory=f"{HERE}:build", arguments={"hidden": 8})
    own = model.build(COLOR, generator()).state_dict()
    for change, error in (
        ({"3.bias": None}, "lacks '3.bias'."),
        ({"x": torch.ones(1)}, "has 'x', which the network has not."),
        ({"3.bias": torch.ones(5)}, "has '3.bias' of shape (5,), not (4,)."),
        ({"3.bias": None, "x": torch.ones(1)}, "lacks '3.bias' and 1 more."),
    ):
        wrong = {key: value for key, value in {**own, **change}.items() if value is not None}
        file = saved(tmp_path, wrong)
        found = message(
            ConfigError, lambda f=file: replace(model, weights=f).build(COLOR, generator())
        )
        assert found == f"weights do not fit the network: {file} {error}"
    wrapped = {f"module.{key}": value + 1 for key, value in own.items()}
    loaded = replace(model, weights=saved(tmp_path, wrapped)).build(COLOR, generator())
    assert torch.equal(loaded[3].bias, own["3.bias"] + 1)


def test_a_relative_path_of_weights_belongs_to_the_study_file(tmp_path):
    data = {"name": "torchvision", "weights": "nets/resnet.pt"}
    with paths_relative_to(tmp_path):
        model = decode(ModelConfig, data, "model")
    assert model.weights == str(tmp_path / "nets" / "resnet.pt")
    assert decode(ModelConfig, encode(model), "model") == model


def test_the_keys_beside_a_factory_are_its_arguments():
    data = {"name": "module", "factory": f"{HERE}:build", "hidden": 5}
    model = decode(ModelConfig, data, "model")
    assert model == ModuleModel(factory=f"{HERE}:build", arguments={"hidden": 5})
    assert decode(ModelConfig, encode(model), "model") == model
    assert model.build(COLOR, generator())[1].out_features == 5
    assert model.description == f"{HERE}:build, hidden 5"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({}, "model.factory is missing; give it a value."),
        ({"factory": "build"}, "model.factory must be 'module:function', got 'build'."),
        (
            {"factory": "a:b", "sizes": {"x": 1}},
            "model.arguments.sizes must be a number up to 1e12, a text, true, false, "
            "null or a list of these, got {'x': 1}.",
        ),
        (
            {"factory": "a:b", "n": 10**13},
            "model.arguments.n must be a number up to 1e12, a text, true, false, null"
            " or a list of these, got 10000000000000.",
        ),
    ],
)
def test_a_factory_is_named_in_full(settings, error):
    found = message(
        ConfigError, lambda: decode(ModelConfig, {"name": "module", **settings}, "model")
    )
    assert found == error


@pytest.mark.parametrize(
    ("factory", "error"),
    [
        (
            "no_such_net:build",
            "is not to be found: No module named 'no_such_net'; name its file under "
            "'plugins', or install its module.",
        ),
        (
            f"{HERE}:none",
            "is not to be found: module 'tests.trainables.models.small_modules' has "
            "no attribute 'none'; name its file under 'plugins', or install its "
            "module.",
        ),
        (f"{HERE}:constant", "must be a function, got 3."),
        (f"{HERE}:no_network", "must return a torch.nn.Module, got 4."),
        (f"{HERE}:wrong_logits", "must give logits (1, 4) for inputs (1, 3, 32, 32), got (1, 5)."),
    ],
)
def test_a_factory_that_makes_no_network_of_the_data_is_refused(factory, error):
    found = message(ConfigError, lambda: ModuleModel(factory=factory).build(COLOR, generator()))
    assert found.endswith(f"factory {factory!r} {error}")


def test_an_error_of_a_factory_is_told_with_its_line():
    model = ModuleModel(factory=f"{HERE}:broken")
    found = message(ConfigError, lambda: model.build(COLOR, generator()))
    assert found.startswith(f"factory '{HERE}:broken' failed at ")
    assert found.endswith(": LookupError: no image today")
    assert "small_modules.py:" in found


def test_the_content_of_a_file_of_weights_is_part_of_a_trials_identity(tmp_path):
    file = saved(tmp_path, {"a": torch.zeros(1)})
    config = trial(model=TorchvisionModel(architecture=SMALL, weights=file))
    first = config.hash()
    assert (
        first
        == config.hash()
        != replace(config, model=TorchvisionModel(architecture=SMALL)).hash()
    )
    saved(tmp_path, {"a": torch.ones(2)})
    assert config.hash() != first


def test_nothing_in_a_file_of_weights_is_executed(tmp_path):
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("executed",))

    file = tmp_path / "weights.pt"
    file.write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(ConfigError, match="cannot be read"):
        built(COLOR, weights=str(file))
