"""The status of a study whose trials were entered by hand."""

from __future__ import annotations

import json
import os
import socket

import pytest

from search_spaces import Space
from study.spec import load
from study.store.folder import Storage
from study.store.lease import lease
from study.store.ledger import Ledger, SamplerSettings
from tests.study.by_hand import HandLedger


@pytest.fixture
def half_done(begun):
    """Enter two search trials that ended, one that failed and one that runs, and one final."""
    space = load(begun.spec).arm("challenger").space
    storage = Storage(root=begun.path.parent)
    ledger = HandLedger(storage.database_url, "mine", maximise=True)
    settings = SamplerSettings(name="random", seed=0, startup_trials=1)
    keys = [ledger.ask_next("challenger", space, settings).key for _ in range(4)]
    ledger.complete(keys[0], 0.25)
    ledger.complete(keys[1], 0.5)
    ledger.fail(keys[2], "the loss is not finite at epoch 4 for seed 1")
    ledger.complete(ledger.enter("base", {}, Space(dimensions={}, fixed={})).key, 0.75)
    return begun


def lane(arm: str, phase: str, **counts: object) -> dict[str, object]:
    empty = {"asked": 0, "running": 0, "complete": 0, "pruned": 0, "failed": 0, "best": None}
    return {"arm": arm, "phase": phase, **empty, **counts}


@pytest.mark.usefixtures("half_done")
def test_json_counts_trials_by_arm_phase_and_state(call):
    ended = call("status", "mine", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert found.pop("trials_per_hour") > 0
    assert found == {
        "study": "mine",
        "activity": "stopped",
        "runner": None,
        "metric": "val/accuracy",
        "lanes": [
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


def test_a_study_that_a_process_holds_is_running_and_has_time_left(call, half_done):
    url = Storage(root=half_done.path.parent).database_url
    with lease(half_done, url, print):
        found = json.loads(call("status", "mine", "--json").out)
    assert found["activity"] == "running"
    assert found["runner"].startswith(f"process {os.getpid()} on {socket.gethostname()} since 2")
    assert found["seconds_left"] > 0


@pytest.mark.usefixtures("begun")
def test_a_study_without_trials_has_no_rate(call):
    found = json.loads(call("status", "mine", "--json").out)
    assert (found["activity"], found["trials_per_hour"]) == ("stopped", None)
    assert [one["asked"] for one in found["lanes"]] == [0, 0, 0]


@pytest.mark.usefixtures("half_done")
def test_the_table_shows_lanes_and_failures_with_their_reasons(call):
    ended = call("status", "mine")
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


@pytest.mark.usefixtures("half_done")
def test_the_database_may_be_elsewhere(call, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/other.db"
    Ledger(url, "mine", maximise=True)
    found = json.loads(call("status", "mine", "--json", "--database", url).out)
    assert [one["asked"] for one in found["lanes"]] == [0, 0, 0]
    monkeypatch.setenv("CHALLENGER_DATABASE", url)
    assert json.loads(call("status", "mine", "--json").out) == found
