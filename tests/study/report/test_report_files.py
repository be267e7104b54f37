"""The files of a report: complete, self-contained, with missing parts named."""

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from study.records.errors import StoreError
from study.records.frames import to_csv
from study.records.trial_table import OpenTrials, TrialTable
from study.report import ReportFiles, write_report
from study.report.tables import difference_table
from study.sensitivity import compare, sweep_curve, workloads
from study.storage.atomic_write import write_atomic
from tests.support.trial_tables import (
    TableShape,
    constant_table,
    make_trial_table,
    with_arm,
    with_resource_usage,
    with_row,
    write_maps,
)

TABLE = with_resource_usage(
    make_trial_table(TableShape(replicas=3, layers=2, sweep=(1, 2, 3, 5))),
    trained_s=36.0,
    cpu_s=40.0,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    folder = tmp_path_factory.mktemp("study")
    write_maps(TABLE, folder)
    return write_report(TABLE, folder, folder / "report")


class Page(HTMLParser):
    """Collects what a page would load, its images and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.images: list[str] = []
        self.scripts: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [found[key] or "" for key in ("src", "srcset", "data") if key in found]
        if tag == "link":
            self.loads.append(found.get("href") or "")
        if tag == "img":
            self.images.append(found.get("alt") or "")
        if tag == "script":
            self.scripts.append(found.get("type"))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.text += data


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text())
    return page


def test_a_complete_study_has_every_figure_and_table_and_misses_nothing(files: ReportFiles):
    names = {arm: [path.name for path in paths] for arm, paths in files.figures.items()}
    where = "mnist-3-per-class-vgg11-width-0-25"
    shared = [
        f"minus-base-{where}",
        f"filter-cosine-{where}",
        f"filter-cosine-over-epochs-{where}",
        f"filter-cosine-levels-{where}",
        f"filter-cosine-levels-over-epochs-{where}",
        f"filter-cosine-and-accuracy-{where}",
        "challenger-attribution-maps",
    ]
    assert files.missing == ()
    assert names["base"] == [f"{name}.{kind}" for name in shared for kind in ("png", "svg")]
    assert {name for name in names["challenger"] if name.endswith(".png")} == {
        "challenger-over-top-k.png",
        "challenger-filter-cosine-over-top-k.png",
        "challenger-filter-cosine-levels-over-top-k.png",
        "challenger-search-history.png",
        "challenger-search-slices.png",
        "challenger-search-coordinates.png",
        *(f"{name}.png" for name in shared),
    }
    for paths in (*files.figures.values(), *files.tables.values()):
        assert all(path.stat().st_size > 0 for path in paths)


def test_every_figure_has_its_numbers(files: ReportFiles):
    for arm, paths in files.figures.items():
        tables = {path.stem for path in files.tables[arm]}
        assert {path.stem for path in paths} <= tables


def test_the_page_loads_nothing_runs_one_script_and_is_small(files: ReportFiles):
    page = read(files.html)
    charts = len(page.images)
    assert all(address.startswith("data:") for address in page.loads)
    assert page.scripts == ["application/json"] * (charts + 1) + ["text/plain", None]
    assert not re.search(r"@import|url\(", files.html.read_text())
    assert charts >= 5
    assert all(page.images)
    assert files.html.stat().st_size < 6_000_000


def test_the_page_follows_dark_mode_phones_and_print(files: ReportFiles):
    text = files.html.read_text()
    for needle in ("prefers-color-scheme: dark", 'name="viewport"', "@media print"):
        assert needle in text


def test_the_paper_is_a_reference_with_its_scale_and_without_figures_3_and_4(files: ReportFiles):
    text = read(files.html).text
    assert "VGG11 of full width on MNIST with 3 samples per class" in text
    assert "may be compared, not the levels" in text


def test_another_dataset_shows_no_numbers_of_the_paper(tmp_path: Path):
    table = constant_table({"base": {0: (0.4, 0.5)}})
    table = with_arm(table, replace(table.arms[0], dataset="reuters"))
    assert "tinyMNIST" not in write_report(table, tmp_path, tmp_path / "out").html.read_text()


def test_names_are_escaped(tmp_path: Path):
    table = replace(constant_table({"base": {0: (0.4, 0.5)}}), study="<script>alert(1)</script>")
    assert read(write_report(table, tmp_path, tmp_path / "out").html).scripts == []


def test_missing_maps_are_named_on_the_page_and_in_the_summary(tmp_path: Path):
    files = write_report(TABLE, tmp_path, tmp_path / "out")
    reason = "must hold the attribution maps of arm 'challenger', but is not there"
    assert any(reason in sentence for sentence in files.missing)
    assert "part is missing from this report" in read(files.html).text
    assert "## Missing" in files.summary.read_text()
    assert reason in files.summary.read_text()


def test_a_control_without_maps_does_not_take_the_figure_along(tmp_path: Path):
    write_maps(TABLE, tmp_path)
    (tmp_path / "random/final-0/attribution_maps.npz").unlink()
    files = write_report(TABLE, tmp_path, tmp_path / "out")
    assert "challenger-attribution-maps.png" in {path.name for path in files.figures["base"]}
    assert len(files.missing) == 1
    assert "attribution maps of arm 'random'" in files.missing[0]


def unfinished() -> TrialTable:
    table = with_arm(TABLE, replace(TABLE.arm("challenger"), best_params=None))
    return replace(
        table,
        open=(OpenTrials(arm="challenger", phase="search", ended=7, total=9),),
        rows=tuple(
            replace(row, state="RUNNING", value=None) if row.number == 0 else row
            for row in table.rows
            if row.phase == "search"
        ),
    )


def test_an_unfinished_study_is_reported_with_its_missing_parts(tmp_path: Path):
    files = write_report(unfinished(), tmp_path, tmp_path / "out")
    text = "\n".join(files.missing)
    assert files.missing[0] == (
        "Still to end of the search trials: 2 of 9 of Challenger; the numbers will change."
    )
    assert "Comparison with the controls: study 'tiny-mnist-top-k': a comparison needs" in text
    assert "Challenger: sensitivity to K: arm 'challenger' must have finished" in text
    assert {path.name for path in files.figures["random"]} == {
        f"random-search-{name}.{kind}"
        for name in ("history", "slices", "coordinates")
        for kind in ("png", "svg")
    }


def test_a_study_without_any_trial_still_has_a_page(tmp_path: Path):
    arms = tuple(replace(arm, best_params=None) for arm in TABLE.arms)
    table = replace(TABLE, arms=arms, rows=(), environment={})
    files = write_report(table, tmp_path, tmp_path / "out")
    assert "No test result yet" in read(files.html).text
    assert files.figures == {"base": (), "random": (), "challenger": ()}


def test_a_failed_arm_is_named_and_the_others_are_compared(tmp_path: Path):
    chosen = TABLE.chosen("random")
    assert chosen is not None
    table = with_row(TABLE, replace(chosen, state="FAIL", reason="out of memory"))
    write_maps(table, tmp_path)
    files = write_report(table, tmp_path, tmp_path / "out")
    assert any("failed (out of memory)" in sentence for sentence in files.missing)
    assert "comparison.csv" in {path.name for path in files.tables["challenger"]}
    differences = difference_table(compare(table, against="random"), workloads(table)[0])
    assert [row[:2] for row in differences.rows] == [("Challenger", "–")]
    assert "out of memory" in read(files.html).text


def test_writing_again_replaces_the_files_and_leaves_nothing_else(tmp_path: Path):
    write_maps(TABLE, tmp_path)
    first = write_report(TABLE, tmp_path, tmp_path / "out").html.read_bytes()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    again = write_report(TABLE, tmp_path, tmp_path / "out").html.read_bytes()
    assert again == first
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert not [name for name in names if name.startswith(".")]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch):
    path = write_atomic(tmp_path / "a.txt", "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StoreError) as caught:
        write_atomic(path, "new")
    assert str(caught.value) == (
        f"{path} must be writable, but is not (No space left on device); "
        "free it or name another folder."
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("")
    with pytest.raises(StoreError, match="must be writable, but is not"):
        write_report(constant_table({"base": {0: (0.4, 0.5)}}), tmp_path, tmp_path / "out")


def test_csv_holds_every_digit_of_a_curve_and_its_controls():
    curve = sweep_curve(TABLE, "challenger", "top_k", "test/accuracy")
    rows = list(csv.DictReader(io.StringIO(to_csv(curve.to_frame()))))
    assert [row["value"] for row in rows] == ["1", "2", "3", "5", "", "", ""]
    assert [row["arm"] for row in rows[4:]] == ["base", "random", "challenger"]
    assert [row["is_averaged"] for row in rows] == [*[""] * 6, "True"]
    for row, point in zip(rows[:4], curve.points, strict=True):
        assert float(row["low"]) == point.interval.low
        assert float(row["seed_100"]) == point.replicas[0]
        assert point.to_base is not None
        assert float(row["p_holm"]) == point.to_base.p_holm


def test_csv_of_a_comparison_has_one_row_per_control_arm_and_metric():
    frame = compare(TABLE).to_frame()
    assert len(frame) == 3 * 8
    assert frame["params/top_k"].iloc[-1] == 5


def test_the_trial_table_is_read_without_heavy_libraries():
    code = (
        "import sys, study.records.trial_table; "
        "print(sorted({'altair', 'pandas', 'scipy', 'jinja2'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
