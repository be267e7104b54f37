"""Every number that a study file may set: its lowest and highest value, and what lies beyond."""

from __future__ import annotations

import itertools
import math
import typing
from collections.abc import Iterator

import annotated_types
import pytest

from study.config.schema import Replicas, Resources, SearchConfig
from trainables.attribution import ATTRIBUTIONS, EpsilonLrp
from trainables.config import EvaluationConfig, FromBase, TrainingConfig
from trainables.datasets import DATASETS, Cifar10, Mnist, Newsgroups20, PtbXl, Reuters
from trainables.decoding import decode
from trainables.errors import ConfigError
from trainables.fields import hints
from trainables.methods import METHODS, Challenger, Pgd, RandomErasing, RelDrop
from trainables.models import MODELS, FcnWang
from trainables.optimizers import OPTIMIZERS, SCHEDULES, OneCycle, Sgd

COUNT, SIZE, AMOUNT, SHARE = (1, 1_000_000), (1, 10_000_000), (0.0, 1e6), (0.0, 1.0)
TINY = 1e-300
BELOW_1 = 1 - 2**-53
SEED = (-(2**63), 2**63 - 1)
INNER, POSITIVE_SHARE, POSITIVE = (TINY, BELOW_1), (TINY, 1.0), (TINY, 1e6)

# Record and field to the lowest and the highest legal value.
RANGES = {
    (Sgd, "lr"): (TINY, 1000.0),
    (Sgd, "weight_decay"): (0.0, 1000.0),
    (Sgd, "momentum"): (0.0, BELOW_1),
    (OneCycle, "warm_up"): INNER,
    (OneCycle, "start_divisor"): (1.0, 1e9),
    (OneCycle, "end_divisor"): (1.0, 1e9),
    (TrainingConfig, "epochs"): COUNT,
    (TrainingConfig, "batch_size"): COUNT,
    (TrainingConfig, "eval_every"): COUNT,
    (TrainingConfig, "checkpoint_every_s"): (0.0, 1e9),
    (FromBase, "epochs"): COUNT,
    (EvaluationConfig, "bootstrap_resamples"): (0, 1_000_000),
    (Challenger, "top_k"): COUNT,
    (Challenger, "alpha"): AMOUNT,
    (Challenger, "beta"): AMOUNT,
    (Challenger, "split"): INNER,
    (Challenger, "a_fraction"): SHARE,
    (METHODS["random"], "alpha"): AMOUNT,
    (METHODS["random"], "split"): INNER,
    (METHODS["fgsm"], "budget"): AMOUNT,
    (METHODS["fgsm"], "split"): POSITIVE_SHARE,
    (Pgd, "budget"): AMOUNT,
    (Pgd, "split"): POSITIVE_SHARE,
    (Pgd, "steps"): (1, 1000),
    (Pgd, "step_size"): POSITIVE,
    (METHODS["mixup"], "concentration"): POSITIVE,
    (METHODS["cutmix"], "concentration"): POSITIVE,
    (METHODS["cutmix"], "probability"): SHARE,
    (RandomErasing, "probability"): SHARE,
    (RandomErasing, "ratio"): POSITIVE_SHARE,
    (RandomErasing, "fill"): (-1e6, 1e6),
    (RelDrop, "probability"): SHARE,
    (RelDrop, "mix"): SHARE,
    (RelDrop, "threshold"): SHARE,
    (RelDrop, "candidates"): COUNT,
    (METHODS["saliency_guided"], "masked_fraction"): POSITIVE_SHARE,
    (METHODS["saliency_guided"], "weight"): AMOUNT,
    (EpsilonLrp, "epsilon"): AMOUNT,
    (ATTRIBUTIONS["captum_lrp"], "epsilon"): POSITIVE,
    (ATTRIBUTIONS["integrated_gradients"], "n_steps"): (1, 10_000),
    (ATTRIBUTIONS["smooth_grad"], "n_samples"): (1, 10_000),
    (ATTRIBUTIONS["smooth_grad"], "noise"): AMOUNT,
    (ATTRIBUTIONS["gradient_shap"], "seed"): (0, 2**32 - 1),
    (FcnWang, "width"): (1 / 64, 16.0),
    (FcnWang, "dropout"): (0.0, BELOW_1),
    (MODELS["vgg11"], "width"): (1 / 64, 16.0),
    (MODELS["text_cnn"], "dropout"): (0.0, BELOW_1),
    (Mnist, "train_per_class"): SIZE,
    (Mnist, "train_size"): SIZE,
    (Mnist, "val_size"): SIZE,
    (Mnist, "test_size"): SIZE,
    (Mnist, "subset_seed"): SEED,
    (Cifar10, "train_batches"): (1, 5),
    (Newsgroups20, "vocabulary"): (1, 1_000_000),
    (Reuters, "length"): (1, 100_000),
    (PtbXl, "window"): (1, 1000),
    (PtbXl, "stride"): (1, 1000),
    (PtbXl, "train_size"): SIZE,
    (Replicas, "search"): (1, 1000),
    (Replicas, "final"): (2, 1000),
    (SearchConfig, "trials"): COUNT,
    (SearchConfig, "startup_trials"): COUNT,
    (Resources, "cpus"): (1, 1024),
    (Resources, "memory_gib"): (TINY, 1e5),
    (Resources, "priority"): (-1_000_000, 1_000_000),
    (Resources, "max_concurrent"): (1, 100_000),
    (Resources, "max_failures"): (0, 1000),
    (Resources, "timeout_s"): (TINY, 1e9),
}
RECORDS = {
    *itertools.chain(
        *(known.values() for known in (METHODS, ATTRIBUTIONS, MODELS, DATASETS, OPTIMIZERS)),
        SCHEDULES.values(),
        (TrainingConfig, FromBase, EvaluationConfig, Replicas, SearchConfig, Resources),
    )
}


@pytest.mark.parametrize(
    ("record", "field"), RANGES, ids=[f"{record.__name__}.{field}" for record, field in RANGES]
)
def test_both_ends_are_legal_and_what_lies_beyond_is_refused(record, field):
    lowest, highest = RANGES[record, field]
    for value in (lowest, highest):
        assert getattr(decode(record, {field: value}), field) == value
    step = 1 if isinstance(highest, int) else 0
    below, above = lowest - step, highest + step
    if not step:
        below = 0.0 if lowest == TINY else math.nextafter(lowest, -math.inf)
        above = math.nextafter(highest, math.inf)
    for value, rule in (
        (below, "must be (above|at least) "),
        (above, "must be (below|at most) "),
    ):
        with pytest.raises(ConfigError, match=f"^{field} {rule}.*, got "):
            decode(record, {field: value})


def test_no_number_of_a_study_file_is_without_an_upper_bound():
    unbounded = []
    for record in RECORDS:
        for name, hint in hints(record).items():
            numbers = [one for one in _parts(hint) if _base(one) in (int, float)]
            for one in numbers:
                bounds = [
                    m
                    for m in _metadata(one)
                    if isinstance(m, annotated_types.Le | annotated_types.Lt)
                ]
                if not bounds:
                    unbounded.append(f"{record.__name__}.{name}")
    # Their own checks have upper bounds: a share of a GPU, N.
    assert sorted(set(unbounded)) == [
        "Challenger.clip",
        "Challenger.n_features",
        "Fgsm.clip",
        "Pgd.clip",
        "Random.clip",
        "Random.n_features",
        "Resources.gpus",
    ]


def _base(hint: object) -> object:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _metadata(hint: object) -> list[object]:
    fields = getattr(hint, "__metadata__", ())
    return [m for field in fields for m in getattr(field, "metadata", ())]


def _parts(hint: object) -> Iterator[object]:
    """Return an annotation with those inside of it."""
    yield hint
    base = _base(hint)
    inner = typing.get_args(base)
    for one in inner:
        yield from _parts(one)
