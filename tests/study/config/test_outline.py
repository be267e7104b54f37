"""The first look at a study file: without torch, in little time and memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from study.config.arm_decoder import ArmFile
from study.config.outline import ARM_KEYS, read_outline
from tests.support.study_files import DEFAULTS, text
from trainables.fields import hints

WRONG = {
    "no YAML": "name: [",
    "a date as an integer": "name: !!int 2001-01-01",
    "a seed of many digits": text("{method: base}", f"seed: 0x{'f' * 5000}"),
    "an unknown key": "armz: 1\n" + text("{method: base}"),
    "an escape sequence": text('{method: base, "\\e]0;owned\\a\\e[31m": 1}'),
    "an unknown key of an arm": text("{method: base, trainng: {}}"),
    "an unknown key of the defaults": text("{method: base}", "", "defaults: {epochs: 3}\n"),
    "a reserved name": f"name: cache\n{DEFAULTS}arms: [{{method: base}}]",
    "a name of another kind": text("{method: {name: [challenger]}}"),
    "a dataset of another kind": text("{method: base, dataset: {name: {a: 1}}}"),
    "too many replicas": text("{method: base, replicas: {final: 100000000}}"),
    "too many trials": text("{method: base, search: {trials: 10000000000}}"),
    "one resource twice": text("{method: base}", 'resources: {custom: {1: 1, "1": 2}}'),
    "no dataset": "name: t\narms: [{method: base}]",
    "a sweep of one value": text("{method: base, sensitivity: [{over: x, values: [1]}]}"),
}


def test_every_key_of_an_arm_is_known() -> None:
    assert sorted(ARM_KEYS) == sorted(hints(ArmFile))


def test_what_a_first_look_refuses_is_refused_without_torch() -> None:
    script = """
import json, sys
from study.config.outline import check_complete, read_outline
from study.records.errors import SpecError
for name, content in json.load(sys.stdin).items():
    try:
        check_complete(read_outline(content, "s.yaml"), "s.yaml")
    except SpecError as error:
        assert "\\x1b" not in str(error) and len(str(error)) < 400, error
    else:
        raise AssertionError(name)
assert not {"torch", "numpy", "scipy", "optuna", "ray"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], input=json.dumps(WRONG), text=True, check=True)


@pytest.mark.service
@pytest.mark.parametrize("name", ["a seed of many digits", "too many replicas", "no dataset"])
def test_a_wrong_file_ends_in_two_seconds_and_300_mb(tmp_path, name) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(WRONG[name], encoding="utf-8")
    command = [sys.executable, "-m", "study", "run", str(path)]
    script = (
        "import resource, subprocess, sys; "
        "code = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode; "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(code, used.ru_maxrss, used.ru_utime + used.ru_stime)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=True
    )
    code, kilobytes, seconds = map(float, ended.stdout.split())
    assert code == 2
    assert kilobytes < 300_000
    assert seconds < 2


def test_a_right_file_is_returned_as_it_is_written() -> None:
    found = read_outline(text("{method: base}, {method: challenger, datasets: [a, b]}"), "s.yaml")
    assert [arm["method"] for arm in found["arms"]] == ["base", "challenger"]
