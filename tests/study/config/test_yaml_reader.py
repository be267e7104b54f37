from __future__ import annotations

import os

import pytest
import yaml

from study.config.yaml_reader import read_yaml
from study.records.errors import SpecError


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        read_yaml(text, "s.yaml")
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("-2e3", -2e3),
        (".5e1", 5.0),
        ("1.e2", 100.0),
        ("+1.5e+2", 150.0),
        ("1.0e-3", 1e-3),
        ("3", 3),
        ("0.5", 0.5),
        ("1e-3x", "1e-3x"),
        ("3e5-tiny", "3e5-tiny"),
        ("e5", "e5"),
        ("'1e-3'", "1e-3"),
        ("1e", "1e"),
        ("null", None),
        ("true", True),
    ],
)
def test_numbers_are_read_as_people_write_them_and_words_stay_words(written, value):
    found = read_yaml(f"x: {written}", "s.yaml")["x"]
    assert (type(found), found) == (type(value), value)


def test_a_key_may_come_again_in_another_mapping():
    assert read_yaml("a: {x: 1}\nb: {x: 2}\nc: [{x: 1}, {x: 1}]", "s.yaml") == {
        "a": {"x": 1},
        "b": {"x": 2},
        "c": [{"x": 1}, {"x": 1}],
    }


def test_what_is_merged_in_may_be_overridden():
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {y: 4, <<: *a}"
    assert read_yaml(text, "s.yaml") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 4},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "s.yaml is not valid YAML: line 2, column 1: key 'a' is given twice."),
        (
            "a:\n  - {x: 1, y: 2, x: 3}",
            "s.yaml is not valid YAML: line 2, column 18: key 'x' is given twice.",
        ),
        (
            "a: [1, 2",
            "s.yaml is not valid YAML: line 1, column 9: expected ',' or ']', but got '<stream "
            "end>'.",
        ),
        ("? [a, b]\n: 1", "s.yaml is not valid YAML: line 1, column 3: a key must be a text."),
        ("? {a: 1}\n: 1", "s.yaml is not valid YAML: line 1, column 3: a key must be a text."),
        (
            "a: \x00",
            "s.yaml is not valid YAML: unacceptable character #x0000: special characters are not "
            'allowed in "<unicode string>", position 3.',
        ),
        (
            "",
            "s.yaml must hold a mapping of settings, such as 'name: …', but it is empty.",
        ),
        (
            "- a",
            "s.yaml must hold a mapping of settings, such as 'name: …', but got ['a'].",
        ),
        (
            "hello",
            "s.yaml must hold a mapping of settings, such as 'name: …', but got 'hello'.",
        ),
        (
            "word " * 100,
            "s.yaml must hold a mapping of settings, such as 'name: …', but got '"
            f"{('word ' * 100)[:59]}….",
        ),
    ],
)
def test_what_is_no_mapping_is_refused_with_its_place(text, message):
    assert refusal(text) == message


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir ['{}']",
        "!!python/object/new:os.mkdir ['{}']",
        "!!python/name:os.mkdir",
        "!!python/module:os",
        "!mine 3",
    ],
)
def test_tags_that_would_run_code_are_refused_and_run_none(tag, tmp_path):
    trace = tmp_path / "trace"
    text = f"a: {tag.format(trace)}"
    said = refusal(text)
    assert said.startswith(
        "s.yaml is not valid YAML: line 1, column 4: could not determine a constructor for the tag"
    )
    assert not trace.exists()


def test_the_tag_would_have_run_code_under_an_unsafe_loader(tmp_path):
    trace = tmp_path / "trace"
    yaml.load(f"a: !!python/object/apply:os.mkdir ['{trace}']", Loader=yaml.UnsafeLoader)
    assert os.path.isdir(trace)
