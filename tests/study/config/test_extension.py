"""What one file adds is found everywhere: in lists, study files, schema, spaces and labels."""

from __future__ import annotations

import json
from typing import Annotated, ClassVar

import pytest
import torch
from torch import nn

from search_spaces import FloatDimension, IntDimension
from study.cli.main import run
from study.config.reference import schema
from study.sensitivity import arm_label, dimension_axis, dimension_symbol, metric_label
from tests.support.study_files import refusal, study, text
from trainables.attribution import ATTRIBUTIONS, Attribution
from trainables.batch import Batch
from trainables.datasets import DATASETS, DataFolders, Dataset, DatasetInfo, Splits
from trainables.datasets.tensor_samples import TensorSamples
from trainables.decoding import record
from trainables.evaluation import evaluate
from trainables.fields import Count, Positive, SearchRange, Share, Symbol
from trainables.methods import METHODS, Method
from trainables.metrics import METRICS, PER_CENT, Score
from trainables.models import MODELS, Model
from trainables.replica_rng import ReplicaRNG


@record
class Jitter(Method):
    """Add noise to every batch.

    Attributes:
        noise: Standard deviation of the noise.
        rounds: How often it is added.
        keep: Share of the samples that stay.
    """

    name: ClassVar[str] = "jitter"
    label: ClassVar[str] = "Jitter"
    noise: Annotated[Positive, SearchRange(0.1, 1.0, log=True), Symbol("σ", "Noise, σ")] = 0.5
    rounds: Annotated[Count, SearchRange(1, "n_classes")] = 1
    keep: Share = 0.5

    def perturb(self, model: nn.Module, batch: Batch, draws: ReplicaRNG) -> Batch:
        """Give the batch back unchanged."""
        del model, draws
        return batch


@record
class Zeros(Attribution):
    """No relevance at all."""

    name: ClassVar[str] = "zeros"

    def __call__(self, model: nn.Module, inputs: torch.Tensor, target: object) -> torch.Tensor:
        """Return zeros."""
        del model, target
        return torch.zeros_like(inputs)


@record
class Stripes(Dataset):
    """Images of stripes.

    Attributes:
        count: Number of images.
    """

    name: ClassVar[str] = "stripes"
    count: Count = 8

    @property
    def info(self) -> DatasetInfo:
        """Three classes of 8 × 8 images."""
        return DatasetInfo(n_classes=3, input_shape=(1, 8, 8), domain="image", spread=2.0)

    def check(self, folders: DataFolders) -> None:
        """Accept any folder."""

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Make the images."""
        del folders, replica_seed
        inputs, targets = torch.zeros(self.count, 1, 8, 8), torch.arange(self.count) % 3
        samples = TensorSamples(inputs=inputs, targets=targets)
        return Splits(train=samples, val=samples, test=samples)


@record
class Linear(Model):
    """One linear layer."""

    name: ClassVar[str] = "linear"
    bias: bool = True

    def build(self, info: DatasetInfo, generator: torch.Generator) -> nn.Module:
        """Make the layer."""
        del generator
        return nn.Sequential(
            nn.Flatten(), nn.Linear(info.n_features, info.n_classes, bias=self.bias)
        )


def top_two(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Share of samples whose class is among the two highest."""
    return (logits.topk(2).indices == targets[:, None]).any(1).double().mean()


@pytest.fixture(autouse=True)
def added(monkeypatch):
    """Add one of each to the tables, and nothing else."""
    for table, kind in (
        (METHODS, Jitter),
        (ATTRIBUTIONS, Zeros),
        (DATASETS, Stripes),
        (MODELS, Linear),
    ):
        monkeypatch.setitem(table, kind.name, kind)
    score = Score(label="top-two accuracy", unit=PER_CENT, direction="maximize", compute=top_two)
    monkeypatch.setitem(METRICS, "top_two", score)


FILE = {
    "arms": "{method: jitter}, {method: challenger, search: {space: {attribution: {}}}}",
    "more": "objective: {metric: val/top_two}",
    "defaults": "defaults: {dataset: stripes, model: linear}\n",
}


@pytest.mark.parametrize(
    ("kind", "name", "summary"),
    [
        ("methods", "jitter", "Add noise to every batch."),
        ("attributions", "zeros", "No relevance at all."),
        ("datasets", "stripes", "Images of stripes."),
        ("models", "linear", "One linear layer."),
        ("metrics", "val/top_two", "Share of samples whose class is among the two highest."),
        ("spaces", "jitter", "noise, rounds"),
    ],
)
def test_each_is_listed_with_what_it_is(kind, name, summary, capsys):
    assert run(["list", kind, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[name] == summary


def test_a_study_file_may_name_each_and_its_fields_are_the_search_space():
    spec = study(**FILE)
    jitter, challenger = spec.arms
    assert (jitter.method, jitter.dataset, jitter.model) == (Jitter(), Stripes(), Linear())
    assert dict(jitter.space.dimensions) == {
        "noise": FloatDimension(low=0.1, high=1.0, log=True),
        "rounds": IntDimension(low=1, high=3),
    }
    assert "zeros" in challenger.space.dimensions["attribution"].choices
    assert challenger.space.dimensions["alpha"] == FloatDimension(low=0.2, high=4.0)
    assert (spec.metric, spec.direction) == ("val/top_two", "maximize")
    config = jitter.trial_config({"noise": 0.25, "rounds": 2}, (0,), is_final=False)
    assert config.method == Jitter(noise=0.25, rounds=2)
    config.check_model()


def test_what_is_wrong_with_it_is_said_as_of_what_is_built_in():
    assert refusal(text("{method: {name: jitter, nosie: 1}}")) == (
        "arms[0].method.nosie is not a setting; did you mean 'noise'?"
    )
    assert refusal(text("{method: jiter}")) == (
        "arms[0].method is 'jiter', which is not known; did you mean 'jitter'?"
    )
    assert refusal(
        text("{method: jitter, search: {space: {rounds: {high: 4}}}}", "", FILE["defaults"])
    ) == (
        "arms[0].search.space.rounds.high is 4, but stripes has 3 classes; lower it to 3 or less."
    )


def test_the_schema_has_each_with_what_its_docstring_says():
    whole = json.dumps(schema())
    for name in ("jitter", "zeros", "stripes", "linear"):
        assert json.dumps({"const": name}) in whole
    assert '"val/top_two"' in whole
    for said in ("Standard deviation of the noise.", "Number of images."):
        assert said in whole


def test_each_has_its_label_in_reports_and_figures():
    assert arm_label("jitter", "jitter") == "Jitter"
    assert (dimension_symbol("noise"), dimension_axis("noise")) == ("σ", "Noise, σ")
    assert metric_label("test/top_two").axis == "Test top-two accuracy [%]"


def test_the_metric_is_computed_at_every_evaluation(tmp_path):
    data = Stripes().load(DataFolders(root=None, cache=tmp_path), 0)
    model = Linear(bias=False).build(Stripes().info, torch.Generator())
    assert evaluate(model, data.val, "val")["val/top_two"] == pytest.approx(0.75)
