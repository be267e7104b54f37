from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.attribution import ATTRIBUTIONS, AttributionConfig, EpsilonLrp, InputXGradient
from trainables.config import (
    EvaluationConfig,
    FromBase,
    Scratch,
    StartConfig,
    TrainingConfig,
    TrialConfig,
)
from trainables.datasets import DATASETS, DatasetConfig, Digits
from trainables.datasets.subset import ImageSettings
from trainables.decoding import decode, encode, field_names, record
from trainables.errors import ConfigError
from trainables.methods import METHODS, Base, Challenger, MethodConfig, Random, RandomErasing
from trainables.models import (
    MODELS,
    ModelConfig,
    ModuleModel,
    Network,
    TorchvisionModel,
    Vgg11,
)
from trainables.optimizers import Adam, AdamW, Constant, OneCycle, OptimizerConfig, Sgd

POSITIVE = st.floats(1e-9, 1e3)
AMOUNT = st.floats(0, 1e3)
SHARE = st.floats(0.01, 0.99)
COUNT = st.integers(1, 100)

# Records are built inside strategies, and beartype checks a random item of each tuple.
random_item_checks = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"
)


def chosen(*values: object) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


ATTRIBUTION = {
    "epsilon_lrp": st.builds(
        EpsilonLrp, epsilon=AMOUNT, epsilon_mode=chosen("absolute", "relative")
    ),
    "input_x_gradient": st.builds(InputXGradient),
}
OPTIMIZER = {
    "adam": st.builds(Adam, lr=POSITIVE, weight_decay=AMOUNT),
    "adamw": st.builds(AdamW, lr=POSITIVE, weight_decay=AMOUNT),
    "sgd": st.builds(Sgd, lr=POSITIVE, momentum=SHARE, weight_decay=AMOUNT),
}
CHALLENGE = {
    "n_features": COUNT | SHARE,
    "alpha": AMOUNT,
    "beta": AMOUNT,
    "split": SHARE,
    "a_fraction": st.floats(0, 1),
    "clip": st.none() | st.tuples(st.floats(-5, -1), st.floats(0, 5)),
}
METHOD = {
    "base": st.builds(Base),
    "random": st.builds(Random, **CHALLENGE),
    "challenger": st.builds(
        Challenger,
        top_k=st.integers(1, 5),
        attribution=st.one_of(*ATTRIBUTION.values()),
        class_mode=chosen("topk", "target", "topk_or_target"),
        k_draw=chosen("batch", "sample"),
        **CHALLENGE,
    ),
}
IMAGES = {
    "val_size": COUNT,
    "test_size": st.none() | COUNT,
    "subset_seed": st.integers(-9, 9),
    "subset": chosen("fixed", "per_replica"),
    "normalization": chosen("standardize", "unit"),
}
IMAGE_SETS = {
    name: st.one_of(
        st.builds(kind, train_per_class=st.none() | COUNT, train_size=st.none(), **IMAGES),
        st.builds(kind, train_per_class=st.none(), train_size=COUNT, **IMAGES),
    )
    for name, kind in DATASETS.items()
    if issubclass(kind, ImageSettings)
}
OTHER_SETS = {
    name: st.builds(kind, train_size=st.none() | COUNT, subset_seed=st.integers(-9, 9))
    for name, kind in DATASETS.items()
    if not issubclass(kind, ImageSettings)
}
DATASET = {**IMAGE_SETS, **OTHER_SETS}
MODEL = {
    name: st.builds(
        kind,
        width=st.floats(1 / 64, 2),
        initialization=chosen("kaiming", "torch"),
        batch_norm=st.booleans(),
        dropout=st.floats(0, 0.99),
    )
    for name, kind in MODELS.items()
    if issubclass(kind, Network)
}
MODEL["torchvision"] = st.builds(
    TorchvisionModel,
    architecture=st.just("resnet18"),
    stem=chosen("published", "small_images"),
    image_size=st.none() | st.integers(1, 1024),
)
MODEL["module"] = st.builds(
    ModuleModel,
    factory=st.just("my_net:build"),
    arguments=st.dictionaries(
        st.text().filter(lambda key: key not in ("factory", "arguments", "weights", "name")),
        st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(),
    ),
)
START = {
    "scratch": st.builds(Scratch),
    "base": st.builds(FromBase, epochs=st.none() | COUNT),
}
TRAINING = st.builds(
    TrainingConfig,
    epochs=COUNT,
    batch_size=COUNT,
    optimizer=st.one_of(*OPTIMIZER.values()),
    schedule=st.builds(Constant) | st.builds(OneCycle, warm_up=SHARE),
    start_from=st.just(Scratch()),
    eval_every=COUNT,
    checkpoint_every_s=AMOUNT,
)
TRIAL = st.builds(
    TrialConfig,
    dataset=st.one_of(*DATASET.values()),
    model=st.one_of(*MODEL.values()),
    method=st.one_of(*METHOD.values()),
    training=TRAINING,
    seeds=st.lists(st.integers(-99, 99), min_size=1, max_size=5, unique=True).map(tuple),
    is_final=st.booleans(),
)
UNIONS = [
    (AttributionConfig, ATTRIBUTION, ATTRIBUTIONS),
    (OptimizerConfig, OPTIMIZER, {"adam": Adam, "adamw": AdamW, "sgd": Sgd}),
    (StartConfig, START, {"scratch": Scratch, "base": FromBase}),
    (MethodConfig, METHOD, METHODS),
    (DatasetConfig, DATASET, DATASETS),
    (ModelConfig, MODEL, MODELS),
]


def again(kind: object, value: object) -> object:
    """Encode, write and read as JSON, and decode."""
    return decode(kind, json.loads(json.dumps(encode(value))))


def message(kind: object, data: object, where: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        decode(kind, data, where)
    return str(caught.value)


@random_item_checks
@pytest.mark.parametrize(("union", "strategies", "known"), UNIONS)
@given(data=st.data())
def test_decoding_undoes_encoding_for_every_alternative(union, strategies, known, data):
    assert strategies.keys() <= known.keys()
    for name, kind in known.items():
        # One without a strategy here is tried with its defaults alone.
        value = data.draw(strategies.get(name, st.builds(kind)), label=name)
        assert type(value) is kind
        assert again(kind, value) == value
        assert again(union, value) == value


@random_item_checks
@given(TRIAL)
def test_decoding_undoes_encoding_for_whole_trials(value):
    copy = again(TrialConfig, value)
    assert copy == value
    assert copy.hash() == value.hash()
    assert type(copy.training.checkpoint_every_s) is float
    if isinstance(value.method, Random | Challenger):
        assert type(copy.method.n_features) is type(value.method.n_features)


def test_every_field_and_the_name_are_encoded():
    for _union, _strategies, known in UNIONS:
        for name, kind in known.items():
            encoded = encode(kind(**({"factory": "a:b"} if name == "module" else {})))
            assert set(encoded) == {"name", *field_names(kind)}
            assert encoded["name"] == name


def test_a_name_alone_takes_the_defaults():
    assert decode(TrainingConfig, {"optimizer": "sgd"}).optimizer == Sgd()
    assert decode(TrainingConfig, {"optimizer": {"name": "sgd"}}).optimizer == Sgd()
    assert decode(Adam, "adam") == Adam()


def test_an_integer_becomes_a_real_number_only_where_one_is_asked_for():
    assert decode(Adam, {"lr": 1}) == Adam(lr=1.0)
    assert type(decode(Adam, {"lr": 1}).lr) is float
    assert type(decode(Random, {"n_features": 1}).n_features) is int
    assert type(decode(Random, {"n_features": 1.0}).n_features) is float


@record
class Titled:
    """A record whose name is a setting, and which takes a mapping and anything."""

    name: str
    values: Mapping[str, int]
    rest: Any = None
    level: Literal[1, 2] = 1


@record
class Nothing:
    """A named record without settings."""

    name: ClassVar[str] = "nothing"


def test_any_annotation_of_a_field_can_be_decoded_by_itself():
    assert decode(OptimizerConfig, "sgd") == Sgd()
    assert decode(OptimizerConfig, Sgd(lr=1.0)) == Sgd(lr=1.0)
    assert decode(OptimizerConfig | None, None) is None
    assert decode(int | float, 3) == 3
    assert type(decode(float | int, 3)) is int
    assert type(decode(float | int, 3.0)) is float
    assert decode(tuple[Adam, ...], [{"lr": 1}, "adam"]) == (Adam(lr=1.0), Adam())
    assert decode(Literal["a", "b"], "b") == "b"
    assert decode(Mapping[str, float], {"1": 2}) == {"1": 2.0}
    assert decode(Any, {"x": [1]}) == {"x": (1,)}
    assert message(OptimizerConfig, "adm", "optimizer") == (
        "optimizer is 'adm', which is not known; did you mean 'adam'?"
    )
    assert message(tuple[int, ...], [1, "x"], "seeds") == "seeds[1] must be an integer, got 'x'."


def test_a_name_may_be_a_setting():
    data = {"name": "mine", "values": {"a": 1}, "rest": [None, {"x": math.inf}], "level": 2}
    assert decode(Titled, data) == Titled(
        name="mine", values={"a": 1}, rest=(None, {"x": math.inf}), level=2
    )
    assert message(Titled, "mine") == "the file must be a mapping of settings, got 'mine'."


def test_a_record_that_is_made_directly_is_checked_alike():
    assert Random(clip=[0, 1]).clip == (0.0, 1.0)
    for make, said in (
        (lambda: Adam(lr="x"), "lr must be a number, got 'x'."),
        (lambda: Adam(lrr=1), "lrr is not a setting; did you mean 'lr'?"),
        (lambda: Titled(name="x"), "values is missing; give it a value."),
        (
            lambda: TrainingConfig(optimizer={"name": "adam", "lr": 0}),
            "optimizer.lr must be above 0, got 0.",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            make()
        assert str(caught.value) == said


def test_a_record_cannot_be_changed():
    with pytest.raises(AttributeError):
        Adam().lr = 1.0


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        # Keys.
        (Adam, {"lrr": 1.0}, ".lrr is not a setting; did you mean 'lr'?"),
        (Adam, {"zzz": 1.0}, ".zzz is not a setting; known: lr, weight_decay."),
        (Adam, {1: 1.0}, ".1 is not a setting; known: lr, weight_decay."),
        (
            Adam,
            {"\x1b[31mred\r\n": 1.0},
            r".\x1b[31mred\r\n is not a setting; known: lr, "
            "weight_decay.",
        ),
        (Adam, {"a" * 1000: 1}, f".{'a' * 79}… is not a setting; known: lr, weight_decay."),
        (Nothing, {"x": 1}, ".x is not a setting; known: none."),
        (
            TrainingConfig,
            {"name": "x"},
            ".name is not a setting; known: batch_size, "
            "checkpoint_every_s, epochs, eval_every, optimizer, precision, schedule, start_from.",
        ),
        (Titled, {"name": "a"}, ".values is missing; give it a value."),
        # Alternatives.
        (Adam, {"name": "sgd"}, ".name must be 'adam', got 'sgd'."),
        (Adam, "sgd", ".name must be 'adam', got 'sgd'."),
        (
            TrainingConfig,
            {"start_from": "scrach"},
            ".start_from is 'scrach', which is not known; did you mean 'scratch'?",
        ),
        (
            TrainingConfig,
            {"optimizer": {"name": "lbfgs"}},
            ".optimizer.name is 'lbfgs', which is not known; known: adam, adamw, sgd.",
        ),
        (
            TrainingConfig,
            {"optimizer": {"name": ["adam"]}},
            ".optimizer.name is ['adam'], which is not known; did you mean 'adam'?",
        ),
        (
            TrainingConfig,
            {"optimizer": {"lr": 1.0}},
            ".optimizer needs a 'name'; known: adam, adamw, sgd.",
        ),
        (
            TrainingConfig,
            {"optimizer": {"name": "adam", "momentum": 0.5}},
            ".optimizer.momentum is not a setting; known: lr, weight_decay.",
        ),
        (
            TrainingConfig,
            {"optimizer": {"name": "sgd", "momentum": 1}},
            ".optimizer.momentum must be below 1, got 1.",
        ),
        (TrainingConfig, {"optimizer": 3}, ".optimizer must be a mapping of settings, got 3."),
        (
            Titled,
            {"name": "a", "values": {}, "level": 3},
            ".level is 3, which is not known; known: 1, 2.",
        ),
        # Kinds.
        (Adam, [1], " must be a mapping of settings, got [1]."),
        (Adam, None, " must be a mapping of settings, got None."),
        (TrainingConfig, {"epochs": 1.0}, ".epochs must be an integer, got 1.0."),
        (TrainingConfig, {"epochs": True}, ".epochs must be an integer, got True."),
        (TrainingConfig, {"epochs": "3"}, ".epochs must be an integer, got '3'."),
        (TrainingConfig, {"epochs": None}, ".epochs must be an integer, got None."),
        (Adam, {"lr": True}, ".lr must be a number, got True."),
        (Adam, {"lr": math.nan}, ".lr must be a finite number, got nan."),
        (Adam, {"lr": -math.inf}, ".lr must be a finite number, got -inf."),
        (Vgg11, {"batch_norm": 1}, ".batch_norm must be true or false, got 1."),
        (Random, {"n_features": True}, ".n_features must be a number, got True."),
        (Random, {"n_features": 0}, ".n_features as a count must be at least 1, got 0."),
        (Random, {"n_features": 1.5}, ".n_features as a share must lie in (0, 1], got 1.5."),
        (Random, {"clip": "ab"}, ".clip must be a list, got 'ab'."),
        (Random, {"clip": [0, "x"]}, ".clip[1] must be a number, got 'x'."),
        (Random, {"clip": [0]}, ".clip[1] is missing; give it a value."),
        (
            Random,
            {"clip": [1, 0]},
            ".clip must be [low, high] with low below high, got [1.0, 0.0].",
        ),
        (
            Titled,
            {"name": False, "values": {}},
            ".name must be a text, got False; write it in quotes.",
        ),
        (Titled, {"name": "a", "values": [1]}, ".values must be a mapping, got [1]."),
        (Titled, {"name": "a", "values": {"b": "x"}}, ".values.b must be an integer, got 'x'."),
        (
            Titled,
            {"name": "a", "values": {1: 1, "1": 2}},
            "a key of t.values must be a text, got 1; write it in quotes.",
        ),
        # What came is shortened, and without control characters.
        (Adam, {"lr": "x" * 100_000}, f".lr must be a number, got '{'x' * 37}...{'x' * 38}'."),
        (
            Adam,
            {"lr": 10**5000},
            ".lr must be a number, got an integer of thousands of digits.",
        ),
        (Adam, {"lr": "\x1b[31m"}, r".lr must be a number, got '\x1b[31m'."),
        (Adam, {"lr": [[[[[[[1]]]]]]]}, ".lr must be a number, got [[[[[[[...]]]]]]]."),
        # Records whose parts must hold together.
        (
            Digits,
            {"train_size": 30},
            ".train_size must be left out beside train_per_class (set that to null), got 30.",
        ),
        (
            RandomErasing,
            {"min_area": 0.5},
            ".max_area must be at least min_area, which is 0.5, got 0.4.",
        ),
        (
            EvaluationConfig,
            {"occlusion": [0.5, 0.5]},
            ".occlusion must increase from share to share, got [0.5, 0.5].",
        ),
        (
            EvaluationConfig,
            {"occlusion": [1] * 101},
            ".occlusion must have fewer entries, 100 at most, got [1, 1, 1, 1, 1, 1, ...].",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_path(kind, data, said):
    expected = said if said.startswith("a key of") else f"t{said}"
    assert message(kind, data, "t") == expected


def test_without_a_path_the_message_starts_with_the_setting():
    assert message(Adam, {"lrr": 1.0}) == "lrr is not a setting; did you mean 'lr'?"
    assert message(TrainingConfig, {"epochs": 0}) == "epochs must be at least 1, got 0."
    assert message(TrialConfig, {}) == "dataset is missing; give it a value."


@pytest.mark.parametrize(
    ("kind", "british", "american"),
    [
        (TrainingConfig, {"optimiser": "adam"}, "optimizer"),
        (Digits, {"normalisation": "unit"}, "normalization"),
        (Digits, {"normalization": "standardise"}, "standardize"),
        (Vgg11, {"initialisation": "torch"}, "initialization"),
    ],
)
def test_british_spelling_is_refused_with_the_american_one(kind, british, american):
    assert message(kind, british).endswith(f"did you mean '{american}'?")
