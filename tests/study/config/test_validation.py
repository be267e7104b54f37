"""All problems of a study file at once, and settings of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from study.cli import main
from study.config.study_spec import parse
from study.config.validation import problems, with_settings
from study.records.errors import SpecError
from tests.support.simulated import study_text
from tests.support.study_files import text

BAD = """
name: x
seed: low
defaults: {dataset: digits, model: {name: vgg11, widht: 1}, training: {epochs: 0}}
arms:
  - {method: base}
  - {method: chalenger}
  - {method: challenger, search: {space: {tpo_k: 3, alpha: {low: -1, high: 2}}}}
objective: {metric: val/acc}
"""
FOUND = [
    "seed must be an integer",
    "objective.metric is 'val/acc', which is not known",
    "defaults.model.widht is not a setting; did you mean 'width'?",
    "defaults.training.epochs must be at least 1, got 0.",
    "arms[1].method is 'chalenger', which is not known; did you mean 'challenger'?",
    # Under its number in the file, though the arm before it was left out.
    "arms[2].search.space.tpo_k is not a dimension of method challenger",
    "arms[2].search.space.alpha.low must be at least 0, got -1.",
]


def test_every_problem_is_reported_with_its_path_in_the_file(tmp_path, capsys):
    found = problems(BAD, "s.yaml")
    assert len(found) == len(FOUND)
    for said, expected in zip(found, FOUND, strict=True):
        assert said.startswith(f"s.yaml: {expected}")
    (tmp_path / "s.yaml").write_text(BAD, encoding="utf-8")
    assert main.run(["validate", str(tmp_path / "s.yaml")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == len(FOUND)


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (text("{method: base}"), 0),
        ("a: [", 1),
        ("[]", 1),
        ("name: t", 1),
        ("name: t\narms: 3", 1),
        (text("{method: x}, {method: y}"), 2),
        (text("{method: base, nope: 1}, {method: base, name: b, nope: 1}"), 2),
        (text("{method: base}", "", "defaults: {dataset: nope, model: nope}\n"), 2),
        # One arm that another follows: what follows from its absence is not said.
        (text("{method: random, like: challenger, alpha: 1}, {method: challenger}"), 1),
    ],
)
def test_what_cannot_be_left_out_ends_the_search_for_problems(content, count):
    assert len(problems(content, "s.yaml")) == count


def test_settings_of_the_command_line_replace_keys_by_their_paths():
    settings = ["defaults.training.epochs=7", "arms.0.name=first", "seed=3", "a.b={c: [1]}"]
    data = yaml.safe_load(with_settings(text("{method: base}"), "s.yaml", settings))
    assert data["defaults"]["training"] == {"epochs": 7}
    assert data["defaults"]["dataset"] == "digits"
    assert (data["arms"][0]["name"], data["seed"], data["a"]) == ("first", 3, {"b": {"c": [1]}})
    assert with_settings("# as it is", "s.yaml", ()) == "# as it is"


@pytest.mark.parametrize("setting", ["epochs", "=3", "arms.5.name=x", "name.x=1", "arms.9=1"])
def test_a_setting_that_leads_nowhere_is_refused(setting):
    with pytest.raises(SpecError, match="--set"):
        with_settings(text("{method: base}"), "s.yaml", [setting])


def test_a_dry_run_checks_all_says_what_it_would_train_and_writes_nothing(
    tmp_path: Path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHALLENGER_DATA", raising=False)
    Path("s.yaml").write_text(study_text(), encoding="utf-8")
    assert main.run(["run", "s.yaml", "--dry-run", "--set", "defaults.search.trials=9"]) == 0
    said = capsys.readouterr().out
    assert "challenger: 9 search trials of 2 replicas, " in said
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]
    wrong = ["--set", "arms.0.dataset=mnist"]
    assert main.run(["run", "s.yaml", "--dry-run", *wrong]) == 2
    assert "arm " in capsys.readouterr().err
    assert parse(study_text(), "s.yaml").name == "tiny"
