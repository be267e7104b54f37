"""A trial that costs nothing writes what a real one writes."""

from __future__ import annotations

from pathlib import Path

import torch

from study.config import parse
from tests.benchmarks.idle_trainable import idle_reports
from tests.benchmarks.measured_study import bench_text
from trainables import checkpoint
from trainables.datasets import DataFolders
from trainables.runtime.attempts import read_attempts
from trainables.trial import TrialContext


def test_a_trial_that_costs_nothing_reports_four_times_and_leaves_whole_checkpoints(
    tmp_path: Path,
) -> None:
    (arm,) = parse(bench_text(), "study.yaml").arms
    point = {"top_k": 3, "n_features": 0.1, "alpha": 0.6, "beta": 1.2, "split": 0.5}
    config = arm.trial_config(point, (0,), is_final=False)
    context = TrialContext(
        folder=tmp_path,
        data=DataFolders(root=None, cache=tmp_path),
        device=torch.device("cpu"),
    )
    reports = list(idle_reports(config, context))
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert reports[-1].metrics["val/accuracy"] == (0.9,)
    assert all("cpu_s" in report.usage for report in reports)
    assert len(read_attempts(tmp_path)) == 1
    payload = checkpoint.load_latest(tmp_path)
    assert payload is not None
    assert checkpoint.latest_epoch(tmp_path) == 3
    assert payload["config_hash"] == config.hash()
    assert [epoch for epoch, _ in payload["reports"]] == [1, 2, 3]
