"""Arms that take what another arm chose: the paper's control of section 4.1.2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.config.continuation import check_continuation
from study.config.study_spec import parse
from study.engine.protocol import TrialAssignment
from study.records.errors import SpecError
from study.report.sections.result_statements import outcome_section
from study.report.sections.search_statements import search_section
from study.results.build import build_trial_table
from study.sensitivity import compare
from tests.study.engine.test_coordinator import CrashPoint, Killed
from tests.support.simulated import StudyFixture, complete, simulate, simulated_reports, study_file
from tests.support.study_files import refusal
from tests.support.trial_tables import make_trial_table
from trainables.methods import METHODS, Challenger, Random

MATCHED = "random-like-challenger"
LIKE = {"method": "random", "like": "challenger"}


def file(*arms: Any, **changes: Any) -> str:  # noqa: ANN401 (YAML)
    """Write a study of Base, the given arms, and Challenger with a sweep over K."""
    whole = study_file(**changes)
    whole["arms"] = [whole["arms"][0], *arms, whole["arms"][2]]
    return yaml.safe_dump(whole, sort_keys=False)


def test_it_has_the_shared_dimensions_and_no_search() -> None:
    spec = parse(file({"method": "random"}, LIKE), "s.yaml")
    arm, source = spec.arm(MATCHED), spec.arm("challenger")
    assert list(arm.space.dimensions) == ["n_features", "alpha", "beta", "split"]
    assert (arm.search_budget, arm.is_searched, arm.final_budget) == (0, False, 1)
    assert arm.replicas.final == source.replicas.final
    assert spec.arm("random").is_searched


def test_settings_that_the_other_arm_holds_are_taken_too() -> None:
    source = {
        "method": {"name": "challenger", "alpha": 1.5, "a_fraction": 0.25},
        "name": "held",
        "search": {"space": {"split": 0.75}},
    }
    arm = parse(file(source, {"method": "random", "like": "held"}), "s.yaml").arm(
        "random-like-held"
    )
    config = arm.trial_config({"n_features": 0.2, "beta": 1.0}, (0,), is_final=True)
    assert config.method == Random(
        n_features=0.2, alpha=1.5, beta=1.0, split=0.75, a_fraction=0.25
    )


def test_the_same_method_can_be_tried_with_another_setting_of_its_own() -> None:
    own = {"method": {"name": "challenger", "class_mode": "target"}, "like": "challenger"}
    arm = parse(file(own), "s.yaml").arm("challenger-like-challenger")
    assert isinstance(arm.method, Challenger)
    assert arm.method.class_mode == "target"
    assert "top_k" in arm.space.dimensions


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"like": "chalenger"}, "arms[1].like must be an arm, got 'chalenger'; did you mean"),
        ({"like": "me", "name": "me"}, "arms[1].like must be another arm than the arm itself"),
        ({"like": "base"}, "arms[1].like is 'base', but method base has no dimension"),
        ({"method": "base", "like": "challenger"}, "has no dimension that base has too"),
        ({"search": {"trials": 3}}, "arms[1].search is given, but 'like' takes what 'challenger'"),
        ({"transfer": True}, "arms[1].transfer is given, but 'like' takes what"),
        ({"method": {"name": "random", "alpha": 1.0}}, "arms[1].method.alpha is set, and 'like'"),
        ({"model": {"width": 0.125}}, "arms[1].like is 'challenger', whose model is another one"),
        ({"training": {"epochs": 9}}, "arms[1].like is 'challenger', whose training is another"),
        ({"like": 5}, "arms[1].like must be"),
        ({"sensitivity": [{"over": "top_k"}]}, "arms[1].sensitivity[0].over must be a dimension"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_the_reason(
    arm: dict[str, Any], message: str
) -> None:
    assert message in refusal(file({**LIKE, **arm}))


def test_a_chain_is_refused_with_the_arm_at_its_end() -> None:
    chain = {"method": "random", "like": MATCHED, "name": "second"}
    assert f"is {MATCHED!r}, which is itself like 'challenger'; name that one." in refusal(
        file(LIKE, chain)
    )


def test_several_datasets_and_defaults_are_refused() -> None:
    several = {**LIKE, "datasets": ["digits", "mnist"]}
    assert "like is given, and 'datasets' too; write one arm" in refusal(file(several))
    whole = study_file()
    whole["defaults"]["like"] = "challenger"
    assert "defaults.like is not a setting" in refusal(yaml.safe_dump(whole))


def test_its_finals_follow_the_other_arms_choice_on_the_same_seeds(tmp_path: Path) -> None:
    arm = {**LIKE, "sensitivity": [{"over": "alpha", "values": [0.5, 1.0]}]}
    place = StudyFixture.of(tmp_path, file(arm, trials=3))
    coordinator = place.coordinator()
    order = []
    while isinstance(step := coordinator.ask(), TrialAssignment):
        order.append(str(step.key))
        complete(coordinator, step)
    assert order[:3] == [f"challenger/search/{i}" for i in range(3)]
    table = build_trial_table(place.spec, place.folder, place.state())
    best = table.arm("challenger").best_params
    assert best is not None
    shared = {name: value for name, value in best.items() if name != "top_k"}
    assert table.arm(MATCHED).best_params == shared
    own, theirs = table.chosen(MATCHED), table.chosen("challenger")
    assert own is not None
    assert theirs is not None
    assert own.seeds == theirs.seeds
    swept = [row.params for row in table.select(MATCHED, "final")]
    assert swept == [shared, {**shared, "alpha": 0.5}, {**shared, "alpha": 1.0}]
    assert table.select(MATCHED, "search") == ()


def test_more_trials_of_the_other_arm_are_followed(tmp_path: Path) -> None:
    for trials in (2, 12):
        place = StudyFixture.of(tmp_path, file(LIKE, trials=trials))
        simulate(place.coordinator(), place.context)
    state = place.state()
    best = state.best(place.spec.arm("challenger"))
    assert best is not None
    chosen = {name: value for name, value in best.items() if name != "top_k"}
    assert chosen in [record.params for record in place.store().records(MATCHED, "final")]
    assert not place.coordinator().has_work()


def test_a_driver_killed_at_any_write_ends_with_the_same_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        death = CrashPoint(patch, None)
        whole = StudyFixture.of(tmp_path / "whole", file(LIKE, epochs=1))
        simulate(whole.coordinator(), whole.context)
    expected = [record.params for record in whole.store().records(MATCHED, "final")]
    assert expected
    for at in range(1, death.writes + 1, max(1, death.writes // 10)):
        place = StudyFixture.of(tmp_path / str(at), file(LIKE, epochs=1))
        with monkeypatch.context() as patch:
            CrashPoint(patch, at)
            with pytest.raises(Killed):
                simulate(place.coordinator(), place.context)
        simulate(place.coordinator(), place.context)
        assert [r.params for r in place.store().records(MATCHED, "final")] == expected


def test_another_source_contradicts_a_study_that_was_begun() -> None:
    begun = parse(file(LIKE), "s.yaml")
    own_search = parse(file({"method": "random", "name": MATCHED}), "s.yaml")
    with pytest.raises(SpecError, match=f"arms.{MATCHED}.like"):
        check_continuation(begun, own_search, "s.yaml")


def test_the_report_tells_the_two_controls_apart(tmp_path: Path) -> None:
    place = StudyFixture.of(tmp_path, file({"method": "random"}, LIKE, trials=2))
    simulate(place.coordinator(), place.context)
    table = build_trial_table(place.spec, place.folder, place.state())
    said = " ".join(search_section(table).statements)
    assert "Random, matched to challenger (" in said
    assert "has no search of its own: it is trained with challenger's choice, N = " in said


def test_a_comparison_takes_the_control_with_the_arms_own_choice() -> None:
    table = make_trial_table()
    own = compare(table, against="random").row("challenger")
    arms = [replace(a, like="challenger") if a.name == "random" else a for a in table.arms]
    matched = replace(table, arms=tuple(arms))
    row = compare(matched, against="random").row("challenger")
    assert (own.control, row.control) == ("Random", "matched Random")
    assert row.measurements == own.measurements
    twin = replace(table.arm("random"), name="twin", like="challenger")
    both = compare(replace(table, arms=(*table.arms, twin)), against="random")
    assert both.row("twin").control == "Random with its own search"
    assert both.row("challenger").control == "matched Random"
    assert "matched Random" in " ".join(outcome_section(matched).statements)


PASSES = {"method": "base", "passes_like": "challenger"}
LONGER = "base-passes-like-challenger"


def test_base_gets_as_many_passes_as_the_chosen_challenger(tmp_path: Path) -> None:
    place = StudyFixture.of(tmp_path, file(PASSES, trials=3, epochs=10))
    simulate(place.coordinator(), place.context)
    best = place.state().best(place.spec.arm("challenger"))
    assert best is not None
    epochs = round(10 * (1 + float(best["split"])))
    table = build_trial_table(place.spec, place.folder, place.state())
    (row,) = table.select(LONGER, "final")
    assert (row.state, row.params) == ("COMPLETE", {"training.epochs": epochs})
    assert row.reports[-1].epoch == epochs > 10
    assert (table.arm(LONGER).epochs, table.arm("base").epochs) == (epochs, 10)
    assert table.chosen(LONGER) == row
    assert not place.coordinator().has_work()


def test_a_longer_base_continues_after_an_interruption(tmp_path: Path) -> None:
    place = StudyFixture.of(tmp_path, file(PASSES, trials=2, epochs=4))
    coordinator = place.coordinator()
    while isinstance(step := coordinator.ask(), TrialAssignment):
        for report in simulated_reports(step.config):
            coordinator.report(step.key, report)
        if step.key.arm == LONGER:
            break
        coordinator.tell(step.key)
    # Its last report is stored, and its end is not.
    assert {r.state for r in place.store().records(LONGER, "final")} == {"RUNNING"}
    simulate(place.coordinator(), place.context)
    assert {r.state for r in place.store().records(LONGER, "final")} == {"COMPLETE"}


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"passes_like": "chalenger"}, "arms[1].passes_like must be an arm, got 'chalenger'; did"),
        ({"passes_like": "me", "name": "me"}, "passes_like must be another arm than the arm itse"),
        ({"training": {"epochs": 9}}, "arms[1].passes_like is 'challenger', whose training is"),
        ({"method": "random"}, "does not hold its settings at one value; only its epochs may"),
        ({"method": "random", "like": "challenger"}, "does not hold its settings at one value"),
    ],
)
def test_passes_that_cannot_be_matched_are_refused(arm: dict[str, Any], message: str) -> None:
    assert message in refusal(file({**PASSES, **arm}))


def test_a_method_says_how_many_passes_its_step_takes() -> None:
    passes = {name: method().passes for name, method in METHODS.items()}
    assert passes == {
        **dict.fromkeys(METHODS, 1.0),
        "challenger": 1.5,
        "fgsm": 1.5,
        "pgd": 4.5,
        "reldrop": 2.0,
        "saliency_guided": 3.0,
    }
