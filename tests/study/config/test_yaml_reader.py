from __future__ import annotations

import math
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
        ("", None),
        ("true", True),
        ("no", False),
        ("-7", -7),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("9223372036854775807", 2**63 - 1),
        ("1e999", math.inf),
        ("-.inf", -math.inf),
        # What YAML 1.1 takes for other than people mean is text.
        ("1:30", "1:30"),
        ("2026-11-21", "2026-11-21"),
        ("2001-99-99", "2001-99-99"),
        ("=", "="),
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


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {x: 1}\nb: {<<: *a, <<: *a}",
        "a: &a {x: 1}\nb: {<<: [*a, *a]}",
        "a: &a {x: 1}\nc: &c {<<: *a, x: 1}\nb: {<<: [*c, *a, *c]}",
        "a: 0\nb: &b {<<: *b, x: 1}",
    ],
)
def test_a_mapping_may_be_merged_twice_and_with_itself(text):
    assert read_yaml(text, "s.yaml")["b"] == {"x": 1}


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
        # What came is shortened, and without control characters.
        (
            "word " * 100,
            "s.yaml must hold a mapping of settings, such as 'name: …', but got '"
            + ("word " * 100)[:37]
            + "..."
            + ("word " * 100)[-39:-1]
            + "'.",
        ),
        (
            '"\\e]0;x\\a": 1\n"\\e]0;x\\a": 2',
            r"s.yaml is not valid YAML: line 2, column 1: key '\x1b]0;x\x07' is given twice.",
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


DEEP = "x: " + "[" * 5000
IN_PLACE = "a: &a [b,b,b,b,b,b,b,b,b]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]"
    for below, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: !!int abc", "line 1, column 7: must be an integer, got 'abc'."),
        ('seed: !!int ""', "line 1, column 7: must be an integer, got ''."),
        ("seed: 0b_", "line 1, column 7: must be an integer, got '0b'."),
        (f"seed: {'9' * 5000}", "line 1, column 7: an integer must lie within ±(2^63 - 1)."),
        (f"seed: 0x{'f' * 5000}", "line 1, column 7: an integer must lie within ±(2^63 - 1)."),
        (
            "seed: -9223372036854775808",
            "line 1, column 7: an integer must lie within ±(2^63 - 1).",
        ),
        (
            "trials: 010",
            "line 1, column 9: 010 is another number in YAML 1.1 than in YAML 1.2; write it "
            "without a leading zero.",
        ),
        ("x: !!bool perhaps", "line 1, column 4: must be true or false, got 'perhaps'."),
        ("x: !!float abc", "line 1, column 4: must be a number, got 'abc'."),
        ("x: !!map x", "line 1, column 4: must be a mapping."),
        ("x: !!seq x", "line 1, column 4: must be a list."),
        ("x: !!int [1]", "line 1, column 4: expected a scalar node, but found sequence."),
        ("x: !!null [1]", "line 1, column 4: expected a scalar node, but found sequence."),
        ("x: *y", "line 1, column 4: found undefined alias 'y'."),
        ("x: &x [*x]", "line 1, column 4: an alias must not stand for what it is a part of."),
        (DEEP, "line 1, column 35: more than 32 levels of nesting."),
        (IN_PLACE, "line 1, column 1: aliases make more than 10,000 values of it."),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_yaml_allows_and_no_study_file_needs_is_refused_with_its_place(text, message):
    assert refusal(text) == f"s.yaml is not valid YAML: {message}"


@pytest.mark.parametrize(
    "tag", ["!!timestamp 2001-99-99", "!!binary x", "!!set {a}", "!!omap [a: 1]", "!!pairs [a: 1]"]
)
def test_kinds_that_no_setting_has_are_refused(tag):
    assert "could not determine a constructor for the tag" in refusal(f"x: {tag}")


@pytest.mark.parametrize(
    "text", [f"x: [{'1,' * 10_001}]", "x: 1\n" + "#\n" * 10_001, "x: " + "y" * (1 << 20)]
)
def test_what_is_larger_than_any_study_file_is_refused_at_once(text):
    assert refusal(text) == (
        "s.yaml must be a study file, of at most 1 MiB and 10,000 lines or entries; write ranges "
        "instead of long lists."
    )
