from __future__ import annotations

import json

import pytest

from search_spaces import SPACES
from study.cli.list_command import KINDS
from study.reproduction import preset_names
from trainables.attribution import ATTRIBUTIONS
from trainables.datasets import DATASETS
from trainables.methods import METHODS
from trainables.metrics import METRICS
from trainables.models import MODELS

KNOWN = {
    "datasets": DATASETS,
    "models": MODELS,
    "methods": METHODS,
    "attributions": ATTRIBUTIONS,
    "metrics": [*(f"val/{name}" for name in METRICS), "filter_cosine/mean"],
    "spaces": SPACES,
    "presets": ["demo", *preset_names()],
    "studies": ["mine"],
}


@pytest.mark.usefixtures("begun")
def test_json_names_everything_there_is(call):
    ended = call("list", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert tuple(found) == KINDS
    assert {kind: sorted(names) for kind, names in found.items()} == {
        kind: sorted(names) for kind, names in KNOWN.items()
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "studies"])
def test_everything_that_can_be_chosen_says_what_it_is_in_one_line(call, kind):
    found = json.loads(call("list", kind, "--json").out)
    assert sorted(found) == sorted(KNOWN[kind])
    assert all(len(summary.splitlines()) == 1 for summary in found.values())


def test_spaces_are_listed_with_what_they_search(call):
    lines = call("list", "spaces").out.splitlines()
    assert "challenger           top_k, n_features, alpha, beta, split" in lines
    assert "random               n_features, alpha, beta, split" in lines
    assert [line.split()[0] for line in lines] == sorted(SPACES)


@pytest.mark.usefixtures("begun")
def test_without_a_kind_all_are_listed_under_their_headings(call):
    lines = call("list").out.splitlines()
    assert [line.removesuffix(":") for line in lines if not line.startswith("  ")] == list(KINDS)
    assert lines[-2:] == ["studies:", "  mine"]


def test_studies_are_those_of_the_storage_that_is_named(call, begun, monkeypatch, tmp_path):
    assert call("list", "studies").out == "mine\n"
    assert call("list", "studies", "--storage", "elsewhere").out == ""
    monkeypatch.setenv("CHALLENGER_STORAGE", str(begun.path.parent))
    monkeypatch.chdir("/")
    assert call("list", "studies").out == "mine\n"
    assert [path.name for path in tmp_path.iterdir()] == ["challenger-studies"]
