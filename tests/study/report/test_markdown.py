"""The written summary and the report as Markdown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from study.report import ReportFiles, summarize, to_markdown, write_report
from study.report.formatting import (
    format_difference,
    format_metric,
    format_p_value,
    format_params,
    format_with_unit,
    join_words,
)
from study.report.markdown import (
    escape_markdown,
    report_markdown,
    table_markdown,
)
from study.report.tables import Table
from tests.support.trial_tables import (
    TableShape,
    constant_table,
    make_trial_table,
    with_resource_usage,
    write_maps,
)

CONTROLS = {"base": {0: (0.40, 0.42, 0.41)}, "random": {0: (0.50, 0.54, 0.49)}}


def statements(table, title: str) -> tuple[str, ...]:
    return next(s.statements for s in summarize(table).sections if s.title == title)


def test_a_better_arm_is_stated_as_better_with_difference_interval_and_p():
    first, base, _ = statements(
        constant_table({**CONTROLS, "challenger": {5: (0.70, 0.73, 0.70)}}), "Result"
    )
    assert first == (
        "Challenger on mnist (3 per class) reached a test accuracy of 71.0% (95% interval 66.7 "
        "to 75.3, 3 replicas). It is 30.0 percentage points above Base (95% interval +27.5 to "
        "+32.5; p < 0.001, Holm-corrected over 2 comparisons): better than Base. It is 20.0 "
        "percentage points above Random (95% interval +17.5 to +22.5; p < 0.001): better "
        "than Random."
    )
    assert base == (
        "Base on mnist (3 per class) reached a test accuracy of 41.0% (95% interval 38.5 to "
        "43.5, 3 replicas)."
    )


def test_an_interval_that_holds_0_shows_no_difference():
    table = constant_table({"base": CONTROLS["base"], "challenger": {5: (0.41, 0.40, 0.45)}})
    assert (
        "No difference to Base was shown: +1.0 percentage points (95% interval"
        in (statements(table, "Result")[0])
    )


def test_a_worse_arm_is_stated_as_worse():
    table = constant_table({"base": CONTROLS["base"], "challenger": {5: (0.30, 0.33, 0.31)}})
    first = statements(table, "Result")[0]
    assert "9.7 percentage points below Base" in first
    assert "worse than Base." in first


def test_an_effect_that_does_not_survive_the_correction_is_not_claimed():
    base, gain = (0.40, 0.42, 0.41, 0.43), (0.01, 0.05, 0.02, 0.035)
    ours = tuple(a + b for a, b in zip(base, gain, strict=True))
    random = tuple(a + b for a, b in zip(base, gain[::-1], strict=True))
    alone = statements(constant_table({"base": {0: base}, "challenger": {5: ours}}), "Result")[0]
    both = constant_table({"base": {0: base}, "random": {0: random}, "challenger": {5: ours}})
    crowded = statements(both, "Result")[0]
    assert ": better than Base" in alone
    assert "to Base was shown after correction for several comparisons" in crowded


STRONG = {1: (0.1, 0.11, 0.12, 0.1), 2: (0.7, 0.71, 0.69, 0.7), 3: (0.4, 0.41, 0.42, 0.4)}
WEAK = {1: (0.4, 0.6, 0.5, 0.3), 2: (0.45, 0.6, 0.48, 0.3), 3: (0.42, 0.58, 0.52, 0.31)}


@pytest.mark.parametrize(
    ("curve", "verdict"),
    [
        (
            STRONG,
            "K has an effect: its value explains 100% of the variance within a seed, where 25% is "
            "expected by chance (p = 0.005 by permutation within seeds).",
        ),
        (WEAK, "No effect of K was shown: its value explains 6% of the variance"),
    ],
)
def test_the_effect_of_k_is_judged_by_a_test_within_seeds(curve, verdict):
    (statement,) = statements(
        constant_table({"challenger": curve}), "Sensitivity to the dimensions"
    )
    assert verdict in statement
    assert "no effect can be shown" not in statement


def test_a_sweep_with_too_few_replicas_for_an_effect_is_noted():
    (statement,) = statements(
        constant_table({"challenger": {1: (0.1, 0.11), 2: (0.7, 0.71)}}),
        "Sensitivity to the dimensions",
    )
    assert "With 2 values and 2 replicas p is at least 0.5, so that no effect can be" in statement


def test_the_effects_of_several_sweeps_are_corrected_together():
    table = constant_table({"challenger": STRONG})
    arm, rows = table.arms[0], table.rows
    twin = replace(arm, name="twin")
    table = replace(
        table, arms=(arm, twin), rows=(*rows, *(replace(row, arm="twin") for row in rows))
    )
    for statement in statements(table, "Sensitivity to the dimensions"):
        assert "(p = 0.009 by permutation within seeds, Holm-corrected over 2 sweeps)" in statement


def test_the_values_of_k_are_counted_against_base():
    table = constant_table(
        {"base": CONTROLS["base"], "challenger": {1: (0.70, 0.73, 0.70), 2: (0.41, 0.40, 0.43)}}
    )
    (statement,) = statements(table, "Sensitivity to the dimensions")
    assert (
        "Of 2 values, 1 is better than Base and for 1 no difference to Base was shown" in statement
    )
    assert "would select on the test set" in statement


def test_the_search_section_has_sampler_trials_replicas_and_the_choice():
    found = statements(make_trial_table(), "Search")
    assert found[0].startswith("Sampler: TPE; objective: val/accuracy (maximize)")
    assert found[3] == (
        "Challenger (mnist (3 per class); vgg11, width 0.25; 100 epochs) searched K, N, α, β and "
        "split. 24 trials of 3 replicas each: 18 completed, 5 stopped early and 1 failed. "
        "Chosen: K = 5, N = 0.12, α = 0.8, β = 1.1, split = 0.5. 10 final trials of 5 replicas."
    )


def test_the_search_section_says_that_a_choice_was_confirmed():
    table = make_trial_table(TableShape(search_trials=2))
    search = [row for row in table.rows if (row.arm, row.phase) == ("challenger", "search")]
    raced = [
        replace(row, phase="confirm", number=2 * i + j, seeds=seeds, params={"top_k": i + 1})
        for i, row in enumerate(search)
        for j, seeds in enumerate([(11, 12), (13,)])
    ]
    found = statements(replace(table, rows=(*table.rows, *raced)), "Search")
    assert (
        "The choice was confirmed: its 2 best trials raced on up to 3 fresh validation seeds, in "
        "4 trials. Chosen: "
    ) in found[3]
    assert not any("confirmed" in text for text in statements(table, "Search"))


def test_filters_are_compared_with_base():
    found = statements(make_trial_table(), "Diversity of filters")
    assert "more diverse filters than Base: −" in found[2]


def test_limits_name_few_replicas_failures_and_unequal_budgets():
    table = make_trial_table(TableShape(replicas=3))
    rows = tuple(
        row for row in table.rows if (row.arm, row.phase) != ("random", "search") or row.number < 9
    )
    found = "\n".join(statements(replace(table, rows=rows), "Limitations"))
    assert "Final trials have as few as 3 replicas" in found
    assert "unequal search budgets in trials (random 9, challenger 24)" in found
    assert "2 of 45 trials failed and are excluded from every mean" in found
    assert "mnist (3 per class), vgg11, width 0.25, 100 epochs, 784 input features" in found


def test_the_markdown_begins_with_the_verdict_and_the_missing_parts():
    summary = summarize(make_trial_table(), ["No maps."])
    finding = escape_markdown(summary.verdict.finding)
    assert to_markdown(summary).startswith(
        f"# tiny-mnist-top-k\n\n**{finding}**\n\n## Missing\n\n- No maps.\n\n## Result\n"
    )


def test_numbers_are_written_with_units_and_signs():
    assert format_metric(-0.0312, "test/accuracy", is_signed=True) == "−3.1"
    assert format_with_unit(3.13, "test/nll") == "3.130 nats"
    assert format_difference(0.02, "test/auc", is_signed=True) == "+2.0 percentage points"
    assert [format_p_value(p) for p in (0.0002, 0.012, 0.0996, 1.0)] == [
        "p < 0.001",
        "p = 0.012",
        "p = 0.10",
        "p = 1.00",
    ]
    assert format_params({"top_k": 5, "alpha": 0.81234}) == "K = 5, α = 0.812"
    assert format_params({}) == "none"
    assert [join_words(["a"]), join_words(["a", "b", "c"])] == ["a", "a, b and c"]


def test_the_search_section_has_the_cost_and_its_share_of_lost_trials():
    table = make_trial_table()
    found = statements(with_resource_usage(table, trained_s=900.0, cpu_s=1800.0), "Search")[-1]
    # 46 search trials with a report, 10 of them stopped early, and 12 final ones with two.
    assert found == (
        "Training took 35.00 CPU hours; 5.00 of the CPU hours were used by trials that were "
        "stopped early or failed."
    )
    assert not any("CPU" in one for one in statements(table, "Search"))


TABLE = make_trial_table(TableShape(replicas=3, layers=1, sweep=(1, 5), search_trials=4))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    folder = tmp_path_factory.mktemp("study")
    write_maps(TABLE, folder)
    return write_report(TABLE, folder, folder / "report", page_format="md")


def test_the_markdown_is_in_the_folder_of_the_page(files: ReportFiles):
    assert files.page.name == "report.md"
    assert files.html.name == "report.html"
    assert files.page.parent == files.html.parent
    assert files.html.exists()


def test_the_markdown_is_written_on_request_only(tmp_path: Path):
    files = write_report(constant_table({"base": {0: (0.4, 0.5)}}), tmp_path, tmp_path / "out")
    assert files.page == files.html
    assert not list((tmp_path / "out").glob("report.md"))


def test_every_figure_is_a_link_to_its_file(files: ReportFiles):
    links = re.findall(r"!\[.*?\]\(([^)]*)\)", files.page.read_text())
    drawn = {path.name for paths in files.figures.values() for path in paths}
    assert set(links) == {name for name in drawn if name.endswith(".png")}
    assert len(links) == len(set(links))
    assert all((files.page.parent / link).exists() for link in links)


def test_it_is_arranged_as_the_page_and_short_until_something_is_unfolded(files: ReportFiles):
    text = files.page.read_text()
    heads = re.findall(r"^##? .*$", text, re.MULTILINE)
    assert heads == [
        "# tiny-mnist-top-k",
        "## Result",
        "## Sensitivity",
        "## Filters",
        "## Searches",
        "## Method and limits",
    ]
    finding = escape_markdown(summarize(TABLE, files.missing).verdict.finding)
    assert text.index("n = 3 replicas") < text.index(f"**{finding}**") < text.index("minus-base")
    assert text.index("minus-base") < text.index("(challenger-over-top-k.png)")
    assert text.index("(challenger-over-top-k.png)") < text.index("## Result")
    assert text.count("<details>") == text.count("</details>")
    folded = re.compile(r"<details>(?:(?!<details>|</details>).)*</details>", re.DOTALL)
    while folded.search(text):
        text = folded.sub("", text)
    assert len(text.split()) <= 1200


def test_every_row_has_as_many_cells_as_its_table(files: ReportFiles):
    tables = re.findall(r"(?:^\|.*\|\n)+", files.page.read_text(), re.MULTILINE)
    assert len(tables) > 3
    for table in tables:
        head, rule, *rows = table.splitlines()
        cells = [len(re.split(r"(?<!\\)\|", row)) for row in (head, rule, *rows)]
        assert len(set(cells)) == 1
        assert set(rule) == {"|", " ", "-"}


def test_a_table_has_title_rows_and_note():
    table = Table(
        title="A_title", columns=("Arm", "[%]"), rows=(("a|b", "1"), ("c", "two\nlines")), note="n"
    )
    assert list(table_markdown(table)) == [
        "### A\\_title",
        "| Arm | [%] |\n| --- | --- |\n| a\\|b | 1 |\n| c | two lines |",
        "_n_",
    ]


def test_markdown_characters_are_escaped():
    assert escape_markdown("a*b_c `d` <e> [f](g) #h \\i") == (r"a\*b\_c \`d\` \<e> [f\](g) #h \\i")


def test_failures_and_environment_are_named():
    table = replace(TABLE, environment={"torch": "2.0", "hardware": "a_b"})
    text = report_markdown(table, summarize(table), [])
    assert "| hardware | a\\_b |\n| torch | 2.0 |\n" in text.partition("### Environment")[2]
    assert "### Failed trials" not in text
    failed = make_trial_table(TableShape(replicas=2, layers=1, sweep=(), search_trials=8))
    text = report_markdown(failed, summarize(failed), [])
    assert "loss is not finite at epoch 4 for seed 1" in text.partition("### Failed trials")[2]
