"""A study from Python: built, run, continued and read, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import study
from study import Study, open_study
from study.records.errors import ReportError, SpecError
from study.results.build import load_trial_table
from study.sensitivity import compare, sweep_curve
from tests.support.simulated import study_file


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a study that ran inline, with a matched Random and a sweep over K."""
    keys = study_file(epochs=2, trials=2, sweep=[1, 2, 3])
    keys["arms"][1]["like"] = "challenger"
    made = Study(keys, storage=tmp_path_factory.mktemp("storage"))
    result = made.run(executor="inline", progress=False)
    assert result.is_finished
    assert result.report == made.folder / "report" / "report.html"
    return made


def test_mapping_file_and_keywords_are_one_study(tmp_path: Path) -> None:
    keys = study_file()
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(keys), encoding="utf-8")
    from_mapping, from_file = Study(keys, storage=tmp_path), Study(path, storage=tmp_path)
    from_keywords = Study(**keys, storage=tmp_path)
    other_name = Study(path, storage=tmp_path, name="other")
    assert yaml.safe_load(from_mapping.text) == yaml.safe_load(from_keywords.text) == keys
    assert from_file.text == path.read_text("utf-8")
    assert (other_name.name, yaml.safe_load(other_name.text)) == (
        "other",
        {**keys, "name": "other"},
    )
    assert not from_mapping.folder.exists()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"arms": [{"method": "bse"}]}, "study: arms[0].method is 'bse'"),
        ({"arms": []}, "study: arms must"),
        ({"objective": object()}, "study: its keys must hold texts, numbers"),
    ],
)
def test_a_wrong_key_is_refused_before_the_start(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        Study({**study_file(), **keys})


def test_a_study_that_was_not_started_has_no_trials(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no study 'tiny'"):
        Study(study_file(), storage=tmp_path).trials()
    with pytest.raises(SpecError, match="no study 'tiny'"):
        open_study("tiny", storage=tmp_path)


def test_trials_replicas_and_reports_are_the_export(finished: Study) -> None:
    trials, replicas, reports = finished.trials(), finished.replicas(), finished.reports()
    table = load_trial_table(finished.name, finished._options)
    assert list(trials["state"]) == ["COMPLETE"] * len(table.rows)
    assert len(replicas) == sum(len(row.seeds) for row in table.rows)
    assert len(reports) == sum(len(row.seeds) * len(row.reports) for row in table.rows)
    means = replicas.groupby(["arm", "phase", "trial_number"])["val/accuracy"].mean()
    listed = trials.set_index(["arm", "phase", "trial_number"])["val/accuracy"]
    assert (means - listed).abs().max() < 1e-12
    assert trials.attrs["study"] == "tiny"


def test_the_analyses_are_those_of_the_report(finished: Study) -> None:
    table = finished.table()
    assert finished.compare(against="random") == compare(table, against="random")
    curve = sweep_curve(table, "challenger", "top_k", "test/accuracy")
    assert finished.sweep("top_k") == finished.sweep("top_k", arm="challenger") == curve
    assert (
        finished.best()
        == finished.best("challenger")
        == dict(curve.fixed) | {"top_k": curve.chosen}
    )
    assert set(finished.good_set("top_k").best) <= {point.value for point in curve.points}
    assert finished.status().activity == "finished"
    # A notebook shows the table.
    assert "<table" in finished.compare()._repr_html_()


def test_every_figure_that_is_named_can_be_drawn(finished: Study, tmp_path: Path) -> None:
    named = finished.figures()
    assert {"forest_plot", "sweep_curve", "layers_over_dimension"} <= {name for name, _ in named}
    for name, title in named:
        chart = finished.figure(name, about=title)
        assert "vega-lite" in chart.to_dict()["$schema"]
    finished.figure("sweep_curve", arm="challenger").save(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_unclear_or_missing_is_named(finished: Study) -> None:
    for call, message in (
        (lambda: finished.figure("curve"), "figure must be one of"),
        (lambda: finished.figure("rank_diagram"), "the study has 0 of it"),
        (lambda: finished.sweep("alpha"), "not one alone sweeps alpha, but none"),
        (lambda: finished.best("base2"), "arm must be one of base"),
        (lambda: finished.importance(), "searches by a design, but none"),
    ):
        with pytest.raises(ReportError, match=re.escape(message)):
            call()
    with pytest.raises(SpecError, match="values belong to one dimension"):
        finished.add_sweep("alpha", "beta", values=[1.0])


def test_another_sweep_is_trained_by_the_next_run(finished: Study) -> None:
    again = open_study(finished.name, storage=finished.folder.parent)
    before = len(again.trials())
    again.add_sweep("alpha", values=[0.5, 1.0])
    again.run(executor="inline", progress=False)
    assert len(again.trials()) == before + 2
    assert {0.5, 1.0} <= {point.value for point in again.sweep("alpha").points}


def test_the_report_of_a_finished_study_is_written_again(finished: Study) -> None:
    page = finished.report(page_format="md")
    assert page.suffix == ".md"
    assert page.read_text("utf-8").startswith("# ")


def test_the_package_offers_it_and_nothing_else() -> None:
    assert study.Study is Study
    with pytest.raises(AttributeError, match="no attribute 'Trial'"):
        _ = study.Trial
