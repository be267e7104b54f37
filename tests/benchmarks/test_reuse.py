"""What is measured as saved is what a study does not do again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.config.study_spec import parse
from study.tracking.outbox import Outbox
from tests.benchmarks.reuse import measure_reuse, reuse_variants, stated_study
from tests.benchmarks.tracking import measure_tracking_share
from trainables import base_models, loop
from trainables.datasets import Digits, digits


def small_study() -> str:
    """Give the stated study with one epoch for twenty, and three points for five trials."""
    study: dict[str, Any] = yaml.safe_load(stated_study())
    defaults = study["defaults"]
    defaults["model"]["width"] = 0.0625
    defaults["dataset"]["train_per_class"] = 2
    defaults["training"] |= {"epochs": 2, "eval_every": 2}
    defaults["training"]["start_from"]["epochs"] = 1
    defaults["search"]["trials"] = 5
    defaults["search"]["space"] |= {"top_k": {"low": 1, "high": 3}, "attribution": "saliency"}
    return yaml.safe_dump(study)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is really done."""
    counts: Counter[str] = Counter()

    def count(owner: object, name: str) -> None:
        original: Callable[..., object] = getattr(owner, name)

        def counted(*arguments: object, **named: object) -> object:
            counts[name] += 1
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)

    count(base_models, "_train")
    count(Digits, "load")
    count(digits, "_decode")
    count(loop, "evaluate")
    return counts


@pytest.mark.extended
def test_each_way_does_again_what_it_is_named_for_and_nothing_else(
    tmp_path: Path, done: Counter[str]
) -> None:
    (arm,) = parse(small_study(), "reuse.yaml").arms
    config = arm.trial_config({"top_k": 1}, (0, 1), is_final=False)
    by_way = {}
    for name, train in reuse_variants(tmp_path / "trials", config):
        train()
        done.clear()
        train()
        by_way[name] = dict(done)
    # Replicas of a fixed subset share what is loaded, and each is evaluated.
    assert by_way == {
        "as it is": {"evaluate": 2},
        "base_models": {"evaluate": 2, "_train": 2},
        "loaded_data": {"evaluate": 2, "load": 1},
        "decoded_data": {"evaluate": 2, "load": 1, "_decode": 1},
        "evaluations": {"evaluate": 4},
    }


@pytest.mark.extended
@pytest.mark.service
def test_a_trial_counts_as_trained_or_as_one_that_repeats_another(tmp_path: Path) -> None:
    found = measure_reuse(tmp_path, rounds=1, text=small_study())
    times = {name: saving.times for name, saving in found.savings.items()}
    assert found.trials == 5
    trained = 5 - times["twins"]
    assert 1 <= trained <= 3
    assert times == {
        "base_models": trained - 1,
        "loaded_data": trained - 1,
        "decoded_data": trained - 1,
        "evaluations": trained,
        "twins": 5 - trained,
    }
    data = found.as_data()
    assert json.loads(json.dumps(data)) == data
    saved = data["saved_cpu_seconds"]
    assert data["without_cpu_seconds"] == pytest.approx(
        data["study_cpu_seconds"] + sum(saved.values()) - saved["loaded_data"]
    )


@pytest.mark.extended
@pytest.mark.service
def test_a_study_s_share_of_tracking_is_that_of_one_that_mlflow_has_whole(tmp_path: Path) -> None:
    found = measure_tracking_share(tmp_path, lambda _: None, small_study())
    assert found.trials == 5 + 1
    assert 0 < found.waited < 1
    assert found.delivery_cpu_seconds > 0
    assert Outbox(path=tmp_path / "studies" / "reuse" / "outbox.db").pending().records == 0
