from __future__ import annotations

import json

import pytest

from study.spec import load
from trainables.decoding import encode


@pytest.mark.usefixtures("begun")
def test_a_study_is_shown_as_it_was_resolved(call):
    ended = call("show", "mine")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "study mine: maximise val/accuracy, seed 0",
        "arm base: base on digits (3 per class), vgg11, width 1, 100 epochs, 10 final replicas",
        "arm challenger: challenger on digits (3 per class), vgg11, width 1, 100 epochs, 10 final "
        "replicas",
        "  searches top_k: 1 to 5",
        "  searches n_features: 0.01 to 0.3",
        "  searches alpha: 0.1 to 2.0",
        "  searches beta: 0.1 to 2.0",
        "  searches split: 0.1 to 0.9",
        "  sweeps top_k over 1, 5",
        "  nothing chosen yet",
    ]


def test_json_holds_the_whole_study(call, begun):
    found = json.loads(call("show", "mine", "--json").out)
    assert found["spec"] == encode(load(begun.spec))
    assert found["chosen"] == {"base": {}, "challenger": None}
