"""Panels of occlusion, test samples and the majority class."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from study.figures import ReportSource
from study.records.trial_table import TrialTable
from study.report import summarize, write_report
from study.report.panel import ReportPanel
from study.report.panels import build_panels, figure_panels
from study.report.sections import SECTIONS
from study.report.tables import (
    Table,
    comparison_table,
    occlusion_difference_table,
    occlusion_table,
    sample_interval_table,
)
from study.sensitivity import (
    Robustness,
    compare,
    majority_class,
    robustness,
    sample_intervals,
    workloads,
)
from tests.support.trial_tables import (
    TableShape,
    constant_table,
    make_trial_table,
    occluded,
    with_arm,
    with_final_metrics,
    with_row,
)

TITLE = "Robustness to hidden inputs"
PLAIN = constant_table(
    {
        "base": {0: (0.40, 0.42, 0.41)},
        "random": {0: (0.40, 0.41, 0.42)},
        "challenger": {5: (0.70, 0.73, 0.70)},
    }
)
TABLE = occluded(PLAIN, (0.5,))


def record_of(table: TrialTable = TABLE) -> Robustness:
    return robustness(table, workloads(table)[0])


def sampled(table: TrialTable = PLAIN) -> TrialTable:
    metrics = {
        "test/auc": (0.9, 0.8, 0.85),
        "test/auc_classes": (9.0, 9.0, 9.0),
        "test_bootstrap/accuracy/low": (0.60, 0.61, 0.62),
        "test_bootstrap/accuracy/high": (0.80, 0.81, 0.82),
        "test_bootstrap/auc/low": (0.7, 0.7, 0.7),
        "test_bootstrap/auc/high": (0.95, 0.95, 0.95),
        "test_bootstrap/resamples": (1000.0, 1000.0, 997.0),
    }
    return with_final_metrics(table, "challenger", metrics)


def of_texts(values: tuple[float, ...]) -> TrialTable:
    table = with_final_metrics(PLAIN, "base", {"test/majority_accuracy": values})
    for arm in table.arms:
        table = with_arm(table, replace(arm, domain="text"))
    return table


def panels_of(table: TrialTable, kind: str, folder: Path) -> list[ReportPanel]:
    source = ReportSource(table=table, folder=folder)
    panels = build_panels(source)
    made = [next(panels)] if kind == "comparison" else list(figure_panels(kind, source))
    assert all(isinstance(one, ReportPanel) for one in made)
    return made  # type: ignore[return-value]


def test_the_table_of_an_order_has_a_column_per_share_and_the_area():
    table = occlusion_table(record_of(), "random")
    assert table.title == (
        "Test accuracy with positions hidden at random, on mnist (3 per class), vgg11, width 0.25"
    )
    assert table.columns == ("Arm, Test accuracy [%]", "0%", "50%", "Area", "n")
    assert [row[0] for row in table.rows] == ["Base", "Random", "Challenger"]
    assert table.rows[0] == (
        "Base",
        "41.0 [38.5, 43.5]",
        "26.8 [25.0, 28.5]",
        "33.9 [31.8, 36.0]",
        "3",
    )
    assert table.note.startswith("Mean over n replicas [95% Student's t interval of the mean].")


def test_the_table_of_differences_leaves_out_base_and_the_whole_samples():
    table = occlusion_difference_table(record_of(), "most_relevant")
    assert table.title == (
        "Paired difference to Base with positions hidden most relevant first, on mnist (3 per "
        "class), vgg11, width 0.25"
    )
    nbsp = "\N{NO-BREAK SPACE}"
    assert table.columns == (f"Arm, Test accuracy{nbsp}↑ [percentage points]", "50%", "Area")
    assert [row[0] for row in table.rows] == ["Random", "Challenger"]
    assert table.rows[1] == (
        "Challenger",
        "+12.0 [+11.0, +13.0], p < 0.001",
        "+21.0 [+19.3, +22.7], p < 0.001",
    )
    assert "Holm-corrected over all arms and shares of the table" in table.note


def test_a_share_that_an_arm_was_not_tested_with_is_a_dash():
    table = occluded(PLAIN, (0.5,))
    more = {f"occlusion/{o}/0.9": (0.1, 0.2, 0.3) for o in ("random", "most_relevant")}
    record = record_of(with_final_metrics(table, "challenger", more))
    assert [row[3] for row in occlusion_table(record, "random").rows][:2] == ["–", "–"]
    assert [row[2] for row in occlusion_difference_table(record, "random").rows] == ["–", "–"]
    areas = [row[-1] for row in occlusion_difference_table(record, "random").rows]
    assert areas[0] != "–"
    assert areas[1] == "–"


def test_without_base_there_is_no_table_of_differences(tmp_path: Path):
    table = occluded(constant_table({"challenger": {5: (0.7, 0.8)}}))
    assert occlusion_difference_table(record_of(table), "random").rows == ()
    (report_panel,) = panels_of(table, "occlusion_lines", tmp_path)
    assert [shown.columns[-1] for shown in report_panel.tables] == ["n", "n"]
    assert report_panel.notes == (
        "The study has no base arm on mnist (3 per class) with vgg11, width 0.25.",
    )


def test_csv_of_robustness_has_every_digit_of_points_and_areas():
    rows = record_of().to_frame().to_dict("records")
    assert len(rows) == 2 * 3 * (2 + 1)
    ours = [row for row in rows if row["arm"] == "challenger" and row["order"] == "random"]
    assert [(row["share"], row["is_area"]) for row in ours] == [
        (0.0, False),
        (0.5, False),
        (0.5, True),
    ]
    curve = record_of().curves_for("random")[2]
    assert ours[1]["mean"] == curve.points[1].interval.mean
    assert curve.area.to_base is not None
    assert ours[2]["p_holm"] == curve.area.to_base.p_holm
    assert ours[2]["seed_102"] == curve.area.replicas[2]
    assert np.isnan(ours[0]["p_holm"])
    assert ours[0]["metric"] == "test/accuracy"


def test_the_section_states_levels_and_areas_against_base_and_cautions():
    section = SECTIONS["robustness"](TABLE)
    assert section.title == TITLE
    base, random, _, _, _, ours, caution = section.statements
    assert base == (
        "Base on mnist (3 per class), hidden at random: the mean test accuracy changes from 41.0% "
        "to 26.8% with 50% hidden; over all shares it is 33.9% (95% interval 31.8 to 36.0, 3 "
        "replicas)."
    )
    assert "; no difference to Base was shown: " in random
    assert ours.startswith("Challenger on mnist (3 per class), hidden most relevant first: ")
    assert ours.endswith(
        "; better than Base under occlusion: +21.0 percentage points (95% interval +19.3 to "
        "+22.7; p < 0.001, Holm-corrected over 2 comparisons)."
    )
    assert caution.startswith("The area includes the level of the whole samples")


def test_a_worse_arm_is_stated_as_worse():
    table = constant_table(
        {"base": {0: (0.70, 0.73, 0.70)}, "challenger": {5: (0.40, 0.42, 0.41)}}
    )
    text = SECTIONS["robustness"](occluded(table, (0.5,))).statements[1]
    assert "; worse than Base under occlusion: −" in text


def test_the_relevance_inside_the_object_is_stated_against_base_if_it_was_measured():
    assert SECTIONS["object"](PLAIN).statements == ()
    table = PLAIN
    for arm, values in {
        "base": (0.50, 0.52, 0.51),
        "random": (0.51, 0.50, 0.52),
        "challenger": (0.60, 0.63, 0.61),
    }.items():
        table = with_final_metrics(table, arm, {"test/object_relevance": values})
    base, random, ours, note = SECTIONS["object"](table).statements
    assert base == (
        "Base on mnist (3 per class): 51.0% (95% interval 48.5 to 53.5, 3 replicas) of the "
        "positive relevance."
    )
    assert "; no difference to Base was shown: " in random
    assert "; more than Base: +10.3 percentage points (95% interval " in ours
    assert note.startswith("The relevance is ε-LRP's")


def test_a_section_without_a_result_states_the_reason():
    chosen = TABLE.select("base", "final")[0]
    metrics = {k: v for k, v in chosen.reports[0].metrics.items() if k != "occlusion/none"}
    table = with_row(
        TABLE, replace(chosen, reports=(replace(chosen.reports[0], metrics=metrics),))
    )
    text = SECTIONS["robustness"](table).statements[0]
    assert text == (
        "No result on mnist (3 per class) yet: final trial 0 of arm 'base' must report "
        "occlusion/none, but has none at any epoch; name another metric or resume the study."
    )


def test_the_panel_has_all_arms_of_the_workload(tmp_path: Path):
    (report_panel,) = panels_of(TABLE, "occlusion_lines", tmp_path)
    assert report_panel.name == "robustness-mnist-3-per-class-vgg11-width-0-25"
    assert report_panel.title == TITLE
    assert report_panel.arms == ("base", "random", "challenger")
    assert len(report_panel.tables) == 4
    assert report_panel.spec is not None
    assert len(report_panel.spec["concat"]) == 2


def test_a_report_has_the_figure_its_numbers_and_the_paragraph(tmp_path: Path):
    table = sampled(occluded(make_trial_table(TableShape(replicas=3, layers=1, sweep=()))))
    files = write_report(table, tmp_path, tmp_path / "out")
    stem = "robustness-mnist-3-per-class-vgg11-width-0-25"
    for arm in ("base", "random", "challenger"):
        names = {path.name for path in (*files.figures[arm], *files.tables[arm])}
        assert names >= {f"{stem}.png", f"{stem}.svg", f"{stem}.csv"}
    page = files.html.read_text()
    assert page.count(f">{TITLE}</h3>") == 1
    assert "<summary>Intervals over test samples on" in page
    assert f"## {TITLE}" in files.summary.read_text()
    with (tmp_path / "out/comparison.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["interval_over"]]
    assert [row["metric"] for row in rows] == ["test/accuracy", "test/auc"]


@pytest.mark.parametrize(
    "table", [PLAIN, make_trial_table(TableShape(replicas=2, layers=1, sweep=()))]
)
def test_nothing_appears_where_final_trials_were_not_tested_further(table, tmp_path: Path):
    assert panels_of(table, "occlusion_lines", tmp_path) == []
    assert TITLE not in [section.title for section in summarize(table).sections]
    (comparison,) = panels_of(table, "comparison", tmp_path)
    titles = [shown.title for shown in comparison.tables]
    assert not any("Intervals over test samples" in title for title in titles)
    assert "interval_over" not in comparison.to_frame()


def test_the_table_of_intervals_over_test_samples_has_resamples_and_left_out_classes():
    table = sampled()
    workload = workloads(table)[0]
    found = sample_interval_table(sample_intervals(table, workload), workload)
    assert found == Table(
        title="Intervals over test samples on mnist (3 per class), vgg11, width 0.25",
        columns=(
            "Arm",
            "Test accuracy [%]",
            "Test AUC [%]",
            "n",
            "Resamples",
            "Classes left out of the AUC",
        ),
        rows=(("Challenger", "71.0 [61.0, 81.0]", "85.0 [70.0, 95.0]", "3", "997", "1 of 10"),),
        note=found.note,
    )


def test_csv_of_intervals_over_test_samples_has_one_row_per_arm_and_metric():
    table = sampled()
    rows = list(sample_intervals(table, workloads(table)[0])[0].frame_rows())
    assert [(row["arm"], row["metric"], row["resamples"]) for row in rows] == [
        ("challenger", "test/accuracy", 997),
        ("challenger", "test/auc", 997),
    ]
    assert rows[0]["low"] == pytest.approx(0.61)
    assert rows[0]["interval_over"] == "test samples"


@pytest.mark.parametrize(
    ("values", "shown"),
    [((0.36, 0.36, 0.36), "36.0"), ((0.35, 0.36, 0.37), "36.0 [33.5, 38.5]")],
)
def test_texts_have_the_majority_class_as_the_last_row_of_their_comparison(values, shown):
    table = of_texts(values)
    workload = workloads(table)[0]
    found = comparison_table(compare(table), workload, majority_class(table, workload))
    assert found.rows[-1] == ("Majority class", shown, *["–"] * 7)
    assert len(found.rows[-1]) == len(found.columns)
    assert "Majority class: the most frequent class of the training split" in found.note


def test_the_majority_class_is_in_the_reports_comparison_of_texts_alone(tmp_path: Path):
    images = with_final_metrics(PLAIN, "base", {"test/majority_accuracy": (0.1, 0.1, 0.1)})
    for table, expected in ((of_texts((0.36,) * 3), True), (images, False)):
        (comparison,) = panels_of(table, "comparison", tmp_path)
        assert (comparison.tables[0].rows[-1][0] == "Majority class") == expected
        assert ("Majority class" in comparison.tables[0].note) == expected
