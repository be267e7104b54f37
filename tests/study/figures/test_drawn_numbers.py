"""The data in a chart are those of its record, in the units that are shown."""

from __future__ import annotations

import base64
import io
import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from study.figures import FIGURES
from study.figures.amounts import power_of_ten
from study.figures.marks import DAGGER
from study.figures.relevance_maps import NEGATIVE, POSITIVE, colored
from study.figures.rendering import specification
from study.sensitivity import search_history, sweep_curve, transfer
from tests.study.figures.charts import TABLE, maps, record_of, rows_of, spec_of
from tests.support.transfer_tables import INFEASIBLE_REASON, transfer_table_of
from tests.support.trial_tables import constant_table, with_row


def told(name: str, start: str) -> list[dict]:
    return [row for row in rows_of(spec_of(name)) if str(row.get("told", "")).startswith(start)]


def texts(spec) -> set[str]:
    return {row["text"] for row in rows_of(spec) if "text" in row}


def test_the_curve_draws_means_intervals_replicas_and_controls_in_per_cent():
    curve = record_of("sweep_curve")[0]
    rows = rows_of(spec_of("sweep_curve"))
    for point in curve.points:
        mean, low, high = (
            value * 100 for value in (point.interval.mean, point.interval.low, point.interval.high)
        )
        assert any(
            (row.get("x"), row.get("y"), row.get("low"), row.get("high"))
            == pytest.approx((point.value, mean, low, high))
            for row in rows
            if row.get("x") == point.value and "low" in row
        )
        for value in point.replicas:
            assert {"arm": "Challenger", "x": point.value, "y": value * 100} in rows
    levels = {row["arm"]: row["y"] for row in rows if "dash" in row and "x" not in row}
    assert set(levels) == {"Base", "Random"}
    heads = texts(spec_of("sweep_curve"))
    assert heads >= {"Test accuracy [%]", "Test AUC [%]", "minus Base, percentage points"}
    averaged = curve.averaged.interval
    mean, low, high = (f"{v * 100:+.1f}" for v in (averaged.mean, averaged.low, averaged.high))
    assert f"Averaged: {mean} [{low}, {high}], p < .001".replace("-", "−") in heads
    assert "averaged over the 10 values, minus Base: " in FIGURES["sweep_curve"].caption([curve])


def test_what_is_not_to_be_trusted_has_a_dagger_and_its_seeds_in_the_caption():
    curves = record_of("sweep_curve")
    points = tuple(
        replace(point, at_chance=(100, 102) if point.value == 3 else ())
        for point in curves[0].points
    )
    stuck = [replace(curves[0], points=points)]
    spec = specification(FIGURES["sweep_curve"].chart(stuck))
    marked = {row["x"] for row in rows_of(spec) if row.get("words") == DAGGER}
    assert marked == {3}
    note = f"{DAGGER}: replicas ended at chance, so that the interval is not to be trusted: "
    assert f"{note}K = 3 (seeds 100, 102)." in FIGURES["sweep_curve"].caption(stuck)
    assert DAGGER not in FIGURES["sweep_curve"].caption(curves)
    record = record_of("forest_plot")
    rows = tuple(replace(row, at_chance=(100,) * (row.arm == "challenger")) for row in record.rows)
    found = replace(record, rows=rows)
    drawn = rows_of(specification(FIGURES["forest_plot"].chart(found)))
    assert {row["y"] for row in drawn if "words" in row} == {"Random", f"Challenger {DAGGER}"}
    assert f"{note}Challenger {DAGGER} (seeds 100)." in FIGURES["forest_plot"].caption(found)


def test_below_the_curve_stands_the_paired_difference_filled_where_it_is_significant():
    curve = record_of("sweep_curve")[0]
    rows = [row for row in told("sweep_curve", "Challenger − Base") if "x" in row]
    for point in curve.points:
        assert point.to_base is not None
        mean = point.to_base.difference.interval.mean * 100
        (row, *_) = [row for row in rows if row["x"] == point.value and row["y"] == mean]
        assert row["is_filled"] == point.to_base.is_significant


def test_the_curves_caption_names_interval_params_and_what_is_missing():
    table = constant_table({"challenger": {2: (0.1, 0.2), 1: (0.3, 0.4)}})
    curve = sweep_curve(table, "challenger", "top_k", "test/accuracy")
    figure = FIGURES["sweep_curve"]
    assert figure.caption([curve]) == (
        "Challenger over K: mean of n = 2 replicas on fresh seeds (dots), band: 95% Student's t "
        "interval of the mean. Ring: the value that the search chose (2). The study has no base "
        "arm on mnist (3 per class) with vgg11, width 0.25. The study has no random arm on mnist "
        "(3 per class) with vgg11, width 0.25."
    )
    assert "minus Base" not in str(texts(specification(figure.chart([curve]))))


def test_values_that_are_texts_are_named_on_the_axis_and_not_joined():
    spec = spec_of("sweep_curve of choices")
    upper = spec["concat"][0]["vconcat"][0]["layer"]
    assert "line" not in [layer["mark"]["type"] for layer in upper]
    (names,) = {
        tuple(layer["encoding"]["x"]["scale"]["domain"])
        for layer in upper
        if "scale" in layer["encoding"].get("x", {})
    }
    assert names[0] == "epsilon lrp"


def test_the_forest_has_every_difference_with_its_p_value_and_unit():
    record, rows = record_of("forest_plot"), rows_of(spec_of("forest_plot"))
    found = record.row("challenger").get("test/accuracy").to_control
    mean = found.difference.interval.mean * 100
    (row,) = [r for r in rows if r.get("x") == pytest.approx(mean) and r.get("y") == "Challenger"]
    assert row["low"] == pytest.approx(found.difference.interval.low * 100)
    assert row["is_filled"] == found.is_significant
    assert row["words"].startswith("Challenger\n+")
    assert "p " in row["words"]


def test_small_differences_are_in_a_unit_that_shows_them():
    assert power_of_ten([-0.00034, 0.0001]) == (10_000.0, "0.0001")
    assert power_of_ten([0.3]) == (1.0, "")
    assert power_of_ten([]) == (1.0, "")
    table = constant_table({"challenger": {1: (0.1, 0.2), 2: (0.3, 0.4)}})
    assert table.arms


def test_each_layers_difference_to_base_is_drawn_over_dimension_epochs_and_at_the_end():
    curves = record_of("layers_over_dimension").curves
    factor, unit = power_of_ten(
        p.to_base.difference.interval.mean for c in curves for p in c.points
    )
    drawn = {round(row["y"], 6) for row in told("layers_over_dimension", "Challenger − Base at")}
    wanted = {
        round(p.to_base.difference.interval.mean * factor, 6) for c in curves for p in c.points
    }
    assert drawn == wanted
    layers = {"conv1", "conv2", "conv3", "Mean over layers"}
    paired = f"minus Base, in {unit}".removesuffix(", in ")
    assert texts(spec_of("layers_over_dimension")) == {*layers, paired}
    assert texts(spec_of("levels_over_dimension")) == {*layers, "level"}
    assert texts(spec_of("levels_over_epochs")) >= {*layers, "level"}
    last = record_of("layers_over_epochs").layers[0].curves[-1].points[-1]
    assert any(
        row["is_filled"] == last.to_base.is_significant
        for row in told("layers_over_epochs", "Challenger − Base, epoch 100")
    )
    arm = record_of("layer_differences").arms[-1]
    rows = told("layer_differences", "Challenger − Base, conv1")
    assert {row["is_filled"] for row in rows} == {arm.layers[0].to_base.is_significant}


def test_learning_curves_have_every_replica_and_a_logarithmic_loss():
    record = record_of("learning_lines")
    rows = rows_of(spec_of("learning_lines"))
    curve = record.of("val/accuracy")[0]
    for seed, value in zip(curve.seeds, curve.points[2].replicas, strict=True):
        assert any(
            row.get("seed") == f"Base {seed}" and row["y"] == pytest.approx(value * 100)
            for row in rows
        )
    assert texts(spec_of("learning_lines")) == {
        "Training loss [nats], log scale",
        "Validation accuracy [%]",
    }
    # The loss's mean is that of the logarithms, whose band is above 0.
    losses = record.of("train/loss")[0].points[2].replicas
    middle = math.exp(statistics.fmean(map(math.log, losses)))
    drawn = [row for row in rows if row.get("y") == pytest.approx(middle)]
    assert any(0 < row["low"] < row["y"] < row["high"] for row in drawn if "low" in row)
    frame = record.to_frame()
    assert set(frame["metric"]) == {"train/loss", "val/accuracy"}
    assert len(frame) == sum(len(one.points) for one in record.curves)


def test_shares_are_rows_with_interval_level_and_fill():
    (record,) = record_of("importance_bars").records
    rows = {row["y"]: row for row in rows_of(spec_of("importance_bars")) if "y" in row}
    for share, name in zip(record.shares, rows, strict=False):
        assert rows[name]["x"] in {s.value * record.estimator.factor for s in record.shares}
        assert share.low <= share.value
    assert {row["at"] for row in rows_of(spec_of("importance_bars")) if "at" in row} == {
        0.0,
        record.level * record.estimator.factor,
    }
    pairs = record_of("interaction_bars").shares
    shown = {
        row["y"]: row["is_filled"] for row in rows_of(spec_of("interaction_bars")) if "y" in row
    }
    assert sorted(shown.values()) == sorted(pair.is_significant for pair in pairs)


def test_dependences_share_one_scale_in_the_units_of_the_metric():
    record = record_of("dependence_curves")
    domains = {
        tuple(layer["encoding"]["y"]["scale"]["domain"])
        for one in spec_of("dependence_curves")["concat"]
        for layer in one["layer"]
        if "scale" in layer["encoding"]["y"]
    }
    ((low, high),) = domains
    values = [value * 100 for curve in record.curves for value in (*curve.lows, *curve.highs)]
    assert low < min(values) < max(values) < high


def test_states_of_trials_have_their_own_looks():
    spec = spec_of("trial_history")
    arms = {row["arm"] for row in rows_of(spec) if "arm" in row}
    assert arms == {"completed", "stopped early", "failed (no value)", "best so far"}
    record = search_history(TABLE, "challenger")
    failed = [row for row in rows_of(spec) if row.get("arm") == "failed (no value)"]
    assert [row["x"] for row in failed] == [p.number for p in record.points if p.state == "FAIL"]
    assert "loss is not finite" in failed[0]["told"]


def test_every_axis_of_parallel_coordinates_has_its_own_numbers():
    rows = rows_of(spec_of("parallel_coordinates"))
    heads = [row["words"] for row in rows if "is_high" in row]
    assert sorted(heads) == sorted(["K", "N", "α", "β", "split", "accuracy"])
    ticks = {
        x: [row["words"] for row in rows if row.get("x") == x and "words" in row and "y" in row]
        for x in range(6)
    }
    assert ticks[0][0] == "1"
    assert ticks[0][-1] == "10"
    assert ticks[1][-1] == "0.3"
    trials = {row["trial"] for row in rows if "trial" in row}
    record = record_of("parallel_coordinates")
    assert trials == {p.number for p in record.points if p.state == "COMPLETE"}
    assert {row["trial"] for row in rows if row.get("is_best")} == {record.best}


def test_of_many_trials_a_density_is_drawn_and_the_best_lines():
    rows = rows_of(spec_of("parallel_coordinates of many"))
    counts = [row for row in rows if "count" in row]
    first = [row for row in counts if row["x"] == 0]
    assert sum(row["count"] for row in first) == 512
    assert len({row["trial"] for row in rows if "trial" in row}) == 20
    assert len(counts) < 2000


def test_every_setting_found_elsewhere_has_a_point_or_a_word():
    table = transfer_table_of()
    record = transfer(table, "challenger")
    rows = rows_of(spec_of("transfer_dots"))
    for target in record.targets:
        for one in target.rows:
            for value in one.values:
                mean = value.interval.mean * 100
                assert any(row.get("x") == pytest.approx(mean) for row in rows)
    assert {row["words"] for row in rows if "words" in row} == {"outside this space"}
    caption = FIGURES["transfer_dots"].caption(record)
    assert caption.endswith(
        f"digits on both-words: outside this search space: {INFEASIBLE_REASON}"
    )
    trial = table.select("digits", "final")[1]
    failed = with_row(table, replace(trial, state="FAIL", reason="diverged"))
    record = transfer(failed, "challenger")
    spec = specification(FIGURES["transfer_dots"].chart(record))
    assert "no result" in {row.get("words") for row in rows_of(spec)}
    assert "no result: its trial failed (diverged)." in FIGURES["transfer_dots"].caption(record)


def test_occlusion_has_both_orders_on_one_scale_with_differences_below():
    spec, record = spec_of("occlusion_lines"), record_of("occlusion_lines")
    assert {"Hidden at random", "Hidden most relevant first"} <= texts(spec)
    uppers = [one["vconcat"][0]["layer"] for one in spec["concat"]]
    domains = {
        tuple(layer["encoding"]["y"]["scale"]["domain"])
        for upper in uppers
        for layer in upper
        if "scale" in layer["encoding"]["y"]
    }
    assert len(domains) == 1
    curve = record.curves_for("random")[2]
    means = {
        row["y"] for row in rows_of(spec) if str(row.get("told", "")).startswith("Challenger,")
    }
    assert {point.interval.mean * 100 for point in curve.points} <= means


def test_red_is_positive_blue_negative_and_the_scale_symmetric():
    shown = colored(np.array([[[2.0, -2.0], [0.0, 1.0]]]))
    assert tuple(shown[0, 0]) == POSITIVE
    assert tuple(shown[0, 1]) == NEGATIVE
    assert tuple(shown[1, 0]) == (255, 255, 255)
    assert shown[1, 1, 0] > shown[1, 1, 2]


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_images_with_true_and_predicted_classes(tmp_path, channels):
    record = maps(tmp_path, channels)
    rows = rows_of(specification(FIGURES["relevance_maps"].chart(record)))
    images = [row["url"] for row in rows if "url" in row]
    assert len(images) == 5 * 4
    head, _, content = images[0].partition(",")
    assert head == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (112, 112)
    signs = [row for row in rows if row.get("sign")]
    arm = record.arms[-1]
    right = {str(i) for i in range(5) if arm.predicted[i] == record.target[i]}
    assert {r["x"] for r in signs if r["y"] == "Challenger" and r["sign"] == "✓"} == right
