"""Designs in a study file: written in short or in full, checked against the arm's space."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from search_spaces import Saltelli, Sobol
from study.config.study_spec import parse
from tests.support.study_files import refusal, study, text

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "study-file.md"
SECOND = Saltelli(second_order=True)


def with_defaults(search: str) -> str:
    return f"defaults: {{dataset: digits, model: vgg11, search: {search}}}\n"


@pytest.mark.parametrize(
    ("search", "design"),
    [
        ("{trials: 64}", None),
        ("{trials: 64, design: null}", None),
        ("{trials: 64, design: sobol}", Sobol()),
        ("{trials: 64, design: {name: sobol}}", Sobol()),
        ("{trials: 112, design: saltelli}", Saltelli()),
        ("{trials: 112, design: {name: saltelli, second_order: false}}", Saltelli()),
        ("{trials: 96, design: {name: saltelli, second_order: true}}", SECOND),
    ],
)
def test_a_design_is_named_alone_or_with_its_settings(search, design):
    for spec in (
        study(f"{{method: challenger, search: {search}}}"),
        study("{method: challenger}", "", with_defaults(search)),
    ):
        assert spec.arms[0].search.design == design
        assert spec.notes == ()


def test_an_arm_refines_replaces_or_drops_the_design_of_the_defaults():
    spec = study(
        "{method: challenger}, "
        "{method: challenger, name: a, search: {design: {second_order: true}, trials: 96}}, "
        "{method: challenger, name: b, search: {design: sobol}}, "
        "{method: challenger, name: c, search: {design: null, sampler: random}}",
        "",
        with_defaults("{design: saltelli, trials: 448, sampler: tpe}"),
    )
    assert [arm.search.design for arm in spec.arms] == [Saltelli(), SECOND, Sobol(), None]
    proposers = [arm.search.sampler_name for arm in spec.arms]
    assert proposers == ["saltelli", "saltelli", "sobol", "random"]
    assert spec.notes == (
        "arm b: 448 points of design 'sobol' are less even than a power of two would be, such as "
        "256 or 512.",
    )


def test_the_design_of_the_defaults_passes_by_an_arm_that_searches_nothing():
    held = "{name: mixup, concentration: 1.0}"
    spec = study(
        f"{{method: base}}, {{method: {held}}}, {{method: challenger}}",
        "",
        with_defaults("{design: saltelli, trials: 56}"),
    )
    assert [arm.search_budget for arm in spec.arms] == [0, 0, 56]


def test_the_dimensions_that_are_searched_are_counted():
    arm = "{method: challenger, search: {design: saltelli, trials: 48, space: {beta: 1.0}}}"
    assert len(study(arm).arms[0].space.dimensions) == 4


def test_a_choice_that_is_held_closes_nothing_that_is_searched():
    arm = "{method: reldrop, search: {design: saltelli, trials: 80, space: {variant: pixel}}}"
    assert set(study(arm).arms[0].space.dimensions) == {"probability", "mix", "threshold"}


WRONG = [
    (
        "{method: challenger, search: {design: sobl}}",
        "arms[0].search.design is 'sobl', which is not known; did you mean 'sobol'?",
    ),
    (
        "{method: challenger, search: {design: {second_order: true}}}",
        "arms[0].search.design needs a 'name'; known: saltelli, sobol.",
    ),
    (
        "{method: challenger, search: {design: {name: sobol, second_order: true}}}",
        "arms[0].search.design.second_order is not a setting; known: none.",
    ),
    (
        "{method: challenger, search: {design: {name: saltelli, second_ordr: true}}}",
        "arms[0].search.design.second_ordr is not a setting; did you mean 'second_order'?",
    ),
    (
        "{method: challenger, search: {design: sobol, scheduler: asha}}",
        "arms[0].search.scheduler must be 'none' with design 'sobol', got 'asha': a design needs "
        "the full budget of every trial; write 'scheduler: none' beside it.",
    ),
    (
        "{method: challenger, search: {design: sobol, sampler: random}}",
        "arms[0].search.sampler is given, but arms[0].search.design is 'sobol' and proposes the "
        "trials; remove it, or write 'design: null' beside it.",
    ),
    (
        "{method: challenger, search: {design: saltelli, trials: 64}}",
        "arms[0].search.trials must be a power of two times 7 for design 'saltelli' (D + 2, "
        "where D = 5 is the number of searched dimensions), got 64; give 56 or 112.",
    ),
    (
        "{method: challenger, search: {design: {name: saltelli, second_order: true}, trials: 56}}",
        "arms[0].search.trials must be a power of two times 12 for design 'saltelli' (2·D + 2, "
        "where D = 5 is the number of searched dimensions), got 56; give 48 or 96.",
    ),
    (
        "{method: base, search: {design: saltelli}}",
        "arms[0].search.design 'saltelli' needs a dimension to fill, but none is searched; "
        "remove it.",
    ),
    (
        "{method: reldrop, search: {design: saltelli, space: {variant: [pixel, block]}}}",
        "arms[0].search.design 'saltelli' changes one dimension at a time, so that each must "
        "have a value in every trial, but mix and threshold have none without a certain variant; "
        "hold variant at one value, or take 'design: sobol'.",
    ),
]


@pytest.mark.parametrize(("arm", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_design_that_cannot_be_is_refused(arm, message):
    assert refusal(text(arm)) == message


@pytest.mark.parametrize(
    ("arm", "search", "message"),
    [
        (
            "{method: random}",
            "{design: saltelli, trials: 56}",
            "arms[0].search.trials must be a power of two times 6 for design 'saltelli' (D + 2, "
            "where D = 4 is the number of searched dimensions), got 56; give 48 or 96.",
        ),
        (
            "{method: random, search: {sampler: tpe}}",
            "{design: sobol, trials: 64}",
            "arms[0].search.sampler is given, but defaults.search.design is 'sobol' and proposes "
            "the trials; remove it, or write 'design: null' beside it.",
        ),
        (
            "{method: random, search: {design: sobol}}",
            "{scheduler: asha}",
            "arms[0].search.scheduler must be 'none' with design 'sobol', got 'asha': a design "
            "needs the full budget of every trial; write 'scheduler: none' beside it.",
        ),
        (
            "{method: random}",
            "{design: sobol, scheduler: asha}",
            "defaults.search.scheduler must be 'none' with design 'sobol', got 'asha': a design "
            "needs the full budget of every trial; write 'scheduler: none' beside it.",
        ),
    ],
)
def test_an_arm_and_its_defaults_must_agree(arm, search, message):
    assert refusal(text(arm, "", with_defaults(search))) == message


def test_sobol_takes_dimensions_that_a_choice_closes():
    arm = (
        "{method: reldrop, search: {design: sobol, trials: 64, space: {variant: [pixel, block]}}}"
    )
    assert set(study(arm).arms[0].space.conditions) == {"mix", "threshold"}


def test_an_arm_over_several_datasets_has_one_design():
    base = "{method: base}, {method: base, name: second, dataset: {name: digits, val_size: 9}}"
    group = (
        "{method: challenger, datasets: [digits, {dataset: {name: digits, val_size: 9}, name: b}],"
        " search: {design: saltelli, trials: %s}}"
    )
    spec = study(f"{base}, {group % 56}")
    assert [arm.search.sampler_name for arm in spec.arms[2:]] == ["saltelli"] * 2
    assert refusal(text(f"{base}, {group % 60}")).startswith(
        "arms[2].datasets[0].search.trials must be a power of two times 7"
    )


def test_the_arm_with_a_design_belongs_to_the_study_of_the_guide():
    blocks = re.findall(r"^```yaml\n(.*?)^```$", GUIDE.read_text("utf-8"), re.S | re.M)
    whole = next(block for block in blocks if "arms:" in block)
    (arm,) = [block for block in blocks if "design: sobol" in block]
    spec = parse(whole + arm, "study-file.md")
    designed = spec.arm("challenger-global")
    assert (designed.search.sampler_name, designed.search.trials) == ("sobol", 128)
    assert (designed.search.scheduler, spec.arm("challenger").search.scheduler) == ("none", "asha")
