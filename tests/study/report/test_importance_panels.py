"""The report on global sensitivity: panels, rows, tables and statements."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_spaces import Condition
from study.figures import ReportSource
from study.figures.importance_bars import global_metrics
from study.report import summarize, write_report
from study.report.formatting import format_percent
from study.report.panel import MissingPanel, ReportPanel
from study.report.panels import figure_panels
from study.sensitivity.importance import (
    fanova,
    given_data,
    partial_dependence,
    ped_anova,
)
from tests.support.search_designs import SOBOL, design_table
from tests.support.trial_tables import AXES, TableShape, make_trial_table, with_arm


def surface(x: np.ndarray) -> np.ndarray:
    return 0.3 + 0.04 * np.minimum(x[:, 0], 6)


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        for module in (fanova, ped_anova):
            patch.setattr(module, "DRAWS", 10)
            patch.setattr(module, "PERMUTATIONS", 19)
        for estimator in ("FIRST_ORDER", "DELTA"):
            patch.setattr(given_data, f"{estimator}_RESAMPLES", 5)
            patch.setattr(given_data, f"{estimator}_PERMUTATIONS", 39)
        patch.setattr(sys.modules[partial_dependence.__module__], "DRAWS", 10)
        yield


@pytest.fixture(scope="module")
def design():
    return design_table(surface, trials=100, design=SOBOL, noise=0.05)


def statements(table) -> tuple[str, ...]:
    return next(s.statements for s in summarize(table).sections if s.title == "Importance")


def source(table, *, allow_biased: bool = False) -> ReportSource:
    return ReportSource(table=table, folder=Path(), allow_biased=allow_biased)


def importances(found: ReportSource):
    return figure_panels("importance_bars", found)


def pair_interactions(found: ReportSource):
    return figure_panels("interaction_bars", found)


def partial_dependences(found: ReportSource):
    return figure_panels("dependence_curves", found)


def test_a_design_gets_panels_for_the_objective_and_the_filter_cosine(design):
    made = list(importances(source(design)))
    assert [panel.name for panel in made] == [
        "challenger-importance-val-accuracy",
        "challenger-importance-filter-cosine-mean",
    ]
    first = made[0]
    assert isinstance(first, ReportPanel)
    assert first.title == "Challenger: importance for validation accuracy"
    assert first.arms == ("challenger",)
    assert first.spec is not None
    assert len(first.spec["concat"]) == 4
    assert first.notes == ()


def test_its_rows_hold_every_share_with_interval_p_and_level(design):
    rows = next(importances(source(design))).to_frame().to_dict("records")
    assert len(rows) == 4 * len(AXES)
    top = rows[0]
    assert (top["estimator"], top["dimension"], top["n"]) == ("fanova", "top_k", 100)
    assert top["low"] <= top["share"] <= top["high"]
    assert top["share"] > top["chance_level"]
    assert (top["is_more_than_chance"], top["is_biased"]) == (True, False)
    assert 0 < top["noise_share"] < 1


def test_its_table_ends_with_the_level_of_chance(design):
    (table,) = next(importances(source(design))).tables
    assert [row[0] for row in table.rows] == ["K", "N", "α", "β", "split", "Chance level"]
    assert table.columns[1] == "fANOVA: Share of the variance [%]"
    assert "p = 0.05" in table.rows[0][1]
    assert table.note.startswith("From n = 100 search trials (sobol). Share [95% interval]")


def test_interactions_and_dependences_are_shown_too(design):
    pair, _ = pair_interactions(source(design))
    curve, _ = partial_dependences(source(design))
    assert (pair.name, len(pair.to_frame())) == ("challenger-interactions-val-accuracy", 10)
    assert pair.tables[0].rows[-1][0] == "Chance level"
    assert curve.name == "challenger-partial-dependence-val-accuracy"
    assert set(curve.to_frame()["dimension"]) == set(AXES)


def test_trials_that_tpe_proposed_get_no_panel_unless_biased_ones_are_allowed(design):
    tpe = with_arm(design, replace(design.arm("challenger"), sampler="tpe", design=None))
    assert list(importances(source(tpe))) == []
    first = next(importances(source(tpe, allow_biased=True)))
    assert first.to_frame()["is_biased"].all()
    assert first.notes[0].startswith("Biased: tpe chose the trials by earlier results")
    assert "Biased: tpe" in first.caption
    assert "They are biased" in first.tables[0].note


def test_too_few_trials_are_named_as_missing_once():
    found = source(design_table(surface, trials=20, design=SOBOL))
    (missing,) = importances(found)
    assert isinstance(missing, MissingPanel)
    assert missing.reason == (
        "arm 'challenger': a claim about its whole space needs at least 50 completed search "
        "trials, but has 20; raise 'search.trials' and resume the study."
    )
    assert not [*pair_interactions(found), *partial_dependences(found)]


def test_an_estimator_that_does_not_take_the_trials_is_named_in_the_notes(design):
    conditions = {"alpha": Condition(dimension="top_k", value=3)}
    conditional = with_arm(design, replace(design.arm("challenger"), conditions=conditions))
    first = next(importances(source(conditional)))
    assert list(first.to_frame()["estimator"]) == ["ped_anova"] * 5
    assert len(first.notes) == 3
    assert "fANOVA needs a value of every dimension in every trial" in first.notes[0]


def test_the_filter_cosine_is_asked_about_only_where_trials_report_it(design):
    arm = design.arm("challenger")
    assert global_metrics(design, arm) == ("val/accuracy", "filter_cosine/mean")
    rows = tuple(
        replace(
            row,
            reports=tuple(
                replace(r, metrics={"val/accuracy": r.metrics["val/accuracy"]})
                for r in row.reports
            ),
        )
        for row in design.rows
    )
    assert global_metrics(replace(design, rows=rows), arm) == ("val/accuracy",)


def test_the_summary_has_the_dimensions_above_chance(design):
    first, cosine = statements(design)
    assert first.startswith("Challenger, validation accuracy (100 trials by sobol, of whose var")
    (row,) = (
        row
        for row in next(importances(source(design))).to_frame().to_dict("records")
        if (row["estimator"], row["dimension"]) == ("fanova", "top_k")
    )
    value, low, high, level = (
        format_percent(row[k]) for k in ("share", "low", "high", "chance_level")
    )
    assert (
        f"K explains {value}% [{low}, {high}] of the variance (fANOVA), above chance (level "
        f"{level}%); no other dimension has an effect above chance."
    ) in first
    assert "(PED-ANOVA" in first
    assert "(First order, from given data), above chance" in first
    assert cosine.startswith("Challenger, filter cosine, mean over layers (100 trials by sobol")


def test_the_summary_has_no_effect_where_all_is_noise():
    noise = design_table(lambda x: np.full(len(x), 0.5), trials=60, design=SOBOL, noise=0.05)
    assert "No dimension has an effect above chance (fANOVA: level" in statements(noise)[0]


def test_without_a_design_the_summary_makes_no_claim():
    assert statements(make_trial_table()) == (
        "No claim is made about importance over the whole space: tpe chose the trials by earlier "
        "results. For such a claim, search an arm with 'sampler: random' or 'design: sobol' (or "
        "saltelli) and 'scheduler: none'.",
    )


def test_an_unusable_design_has_its_reason(design):
    rows = (replace(design.rows[0], state="PRUNED"), *design.rows[1:])
    first, _ = statements(replace(design, rows=rows))
    assert first.startswith("Challenger, validation accuracy: no claim is made; arm 'challenger'")


@pytest.mark.parametrize(
    ("value", "factor", "text"),
    [(0.414, 100.0, "41"), (-0.041, 100.0, "−4"), (-0.001, 100.0, "0"), (0.123, 1.0, "0.12")],
)
def test_shares_are_written_in_whole_per_cent(value, factor, text):
    assert format_percent(value, factor) == text


def test_biased_panels_that_cannot_be_made_are_named_as_missing(tmp_path):
    table = make_trial_table(TableShape(replicas=2, layers=1, sweep=(), search_trials=8))
    quiet = write_report(table, tmp_path, tmp_path / "quiet")
    biased = write_report(table, tmp_path, tmp_path / "biased", allow_biased=True)
    more = set(biased.missing) - set(quiet.missing)
    assert len(more) == 2  # once for each of two arms
    assert all("1 of 8 search trials were stopped early" in sentence for sentence in more)
