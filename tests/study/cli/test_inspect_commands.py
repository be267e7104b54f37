"""``list``, ``show`` and ``status``."""

from __future__ import annotations

import json
import os
import socket

import pytest

from search_spaces import Space
from study.cli.inspect_commands import KINDS
from study.config.parameters import searched
from study.config.study_spec import load
from study.reproduction import preset_names
from study.results.state import StudyState, trial_identity
from study.storage.layout import StorageRoot
from study.storage.lease import lease
from study.storage.trial_store import SamplerSettings
from tests.support.direct_trial_store import DirectTrialStore
from tests.support.simulated import write_files
from trainables.attribution import ATTRIBUTIONS
from trainables.datasets import DATASETS, READERS
from trainables.decoding import encode
from trainables.methods import METHODS
from trainables.metrics import METRICS
from trainables.models import MODELS

KNOWN = {
    "datasets": DATASETS,
    "readers": READERS,
    "models": MODELS,
    "methods": METHODS,
    "attributions": ATTRIBUTIONS,
    "metrics": [*(f"val/{name}" for name in METRICS), "filter_cosine/mean"],
    "spaces": [name for name, method in METHODS.items() if searched(method)],
    "presets": ["demo", *preset_names()],
    "studies": ["mine"],
}


@pytest.mark.usefixtures("created_study")
def test_json_names_everything_there_is(run_cli):
    ended = run_cli("list", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert tuple(found) == KINDS
    assert {kind: sorted(names) for kind, names in found.items()} == {
        kind: sorted(names) for kind, names in KNOWN.items()
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "studies"])
def test_every_listed_name_has_a_summary_of_one_line(run_cli, kind):
    found = json.loads(run_cli("list", kind, "--json").out)
    assert sorted(found) == sorted(KNOWN[kind])
    assert all(len(summary.splitlines()) == 1 for summary in found.values())


def test_spaces_are_listed_with_their_dimensions(run_cli):
    lines = run_cli("list", "spaces").out.splitlines()
    assert "challenger           top_k, n_features, alpha, beta, split" in lines
    assert "random               n_features, alpha, beta, split" in lines
    assert [line.split()[0] for line in lines] == sorted(KNOWN["spaces"])


@pytest.mark.usefixtures("created_study")
def test_without_a_kind_all_are_listed_under_their_headings(run_cli):
    lines = run_cli("list").out.splitlines()
    assert [line.removesuffix(":") for line in lines if not line.startswith("  ")] == list(KINDS)
    assert lines[-2:] == ["studies:", "  mine"]


def test_studies_are_those_of_the_storage_that_is_named(
    run_cli, created_study, monkeypatch, tmp_path
):
    assert run_cli("list", "studies").out == "mine\n"
    assert run_cli("list", "studies", "--storage", "elsewhere").out == ""
    monkeypatch.setenv("CHALLENGER_STORAGE", str(created_study.path.parent))
    monkeypatch.chdir("/")
    assert run_cli("list", "studies").out == "mine\n"
    assert [path.name for path in tmp_path.iterdir()] == ["challenger-studies"]


@pytest.mark.usefixtures("created_study")
def test_a_study_is_shown_as_it_was_resolved(run_cli):
    ended = run_cli("show", "mine")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "study mine: maximize val/accuracy, seed 0",
        "arm base: base on digits (3 per class), vgg11, width 1, 100 epochs, 10 final replicas",
        "arm challenger: challenger on digits (3 per class), vgg11, width 1, 100 epochs, 10 final "
        "replicas",
        "  searches top_k: 1 to 5",
        "  searches n_features: 0.01 to 0.3",
        "  searches alpha: 0.3246 to 6.491",
        "  searches beta: 0.3246 to 6.491",
        "  searches split: 0.1 to 0.9",
        "  sweeps top_k over 1, 5",
        "  nothing chosen yet",
    ]


def test_json_holds_the_whole_study(run_cli, created_study):
    found = json.loads(run_cli("show", "mine", "--json").out)
    assert found["spec"] == encode(load(created_study.spec))
    assert found["chosen"] == {"base": {}, "challenger": None}


@pytest.fixture
def half_done(created_study):
    """Enter two search trials that ended, one that failed and one that runs, and one final."""
    space = load(created_study.spec).arm("challenger").space
    storage = StorageRoot(root=created_study.path.parent)
    store = DirectTrialStore(storage.database_url, "mine", maximize=True)
    settings = SamplerSettings(name="random", seed=0, startup_trials=1)
    keys = [store.ask_next("challenger", space, settings).key for _ in range(4)]
    store.complete(keys[0], 0.25)
    store.complete(keys[1], 0.5)
    store.fail(keys[2], "the loss is not finite at epoch 4 for seed 1")
    store.complete(store.enqueue_next("base", {}, Space(dimensions={}, fixed={})).key, 0.75)
    spec = load(created_study.spec)
    for record in StudyState(spec, created_study, store).records():
        write_files(created_study, trial_identity(spec, record), record)
    return created_study


def lane(arm: str, phase: str, **counts: object) -> dict[str, object]:
    empty = {"asked": 0, "running": 0, "complete": 0, "pruned": 0, "failed": 0, "best": None}
    return {"arm": arm, "phase": phase, **empty, **counts}


@pytest.mark.usefixtures("half_done")
def test_json_counts_trials_by_arm_phase_and_state(run_cli):
    ended = run_cli("status", "mine", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert found.pop("trials_per_hour") > 0
    assert found == {
        "study": "mine",
        "activity": "stopped",
        "runner": None,
        "metric": "val/accuracy",
        "phases": [
            lane(
                "challenger",
                "search",
                total=4,
                asked=4,
                running=1,
                complete=2,
                failed=1,
                best=0.5,
            ),
            lane("base", "final", total=1, asked=1, complete=1, best=0.75),
            lane("challenger", "final", total=2),
        ],
        "failures": ["challenger/search/2: the loss is not finite at epoch 4 for seed 1"],
        "seconds_left": None,
        "waiting_entries": 0,
        "waiting_points": 0,
        "tracking_error": None,
    }


def test_a_study_that_a_process_holds_is_running_and_has_time_left(run_cli, half_done):
    url = StorageRoot(root=half_done.path.parent).database_url
    with lease(half_done, url, print):
        found = json.loads(run_cli("status", "mine", "--json").out)
    assert found["activity"] == "running"
    assert found["runner"].startswith(f"process {os.getpid()} on {socket.gethostname()} since 2")
    assert found["seconds_left"] > 0


@pytest.mark.usefixtures("created_study")
def test_a_study_without_trials_has_no_rate(run_cli):
    found = json.loads(run_cli("status", "mine", "--json").out)
    assert (found["activity"], found["trials_per_hour"]) == ("stopped", None)
    assert [one["asked"] for one in found["phases"]] == [0, 0, 0]


@pytest.mark.usefixtures("half_done")
def test_the_table_shows_lanes_and_failures_with_their_reasons(run_cli):
    ended = run_cli("status", "mine")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "study mine: stopped"
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert rows == [
        ["challenger", "search", "4/4", "1", "2", "0", "1", "0.5000"],
        ["base", "final", "1/1", "0", "1", "0", "0", "0.7500"],
        ["challenger", "final", "0/2", "0", "0", "0", "0", "–"],
    ]
    assert "failed: challenger/search/2: the loss is not finite at epoch 4 for seed 1" in lines


def test_the_database_may_be_elsewhere(run_cli, created_study, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/other.db"
    space = load(created_study.spec).arm("challenger").space
    settings = SamplerSettings(name="random", seed=0, startup_trials=1)
    DirectTrialStore(url, "mine", maximize=True).ask_next("challenger", space, settings)
    found = json.loads(run_cli("status", "mine", "--json", "--database", url).out)
    assert [one["asked"] for one in found["phases"]] == [1, 0, 0]
    monkeypatch.setenv("CHALLENGER_DATABASE", url)
    assert json.loads(run_cli("status", "mine", "--json").out) == found
