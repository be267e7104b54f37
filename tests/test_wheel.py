"""The wheel as a user installs it, used from a folder that has a ``study`` of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.service

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(site: Path, folder: Path, *arguments: str) -> str:
    program = "from study.cli.main import run; import study, sys; print(study.__file__); "
    program += f"sys.exit(run({list(arguments)!r}))"
    return subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_wheel_holds_what_runs_and_no_tests(installed: Path):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert "study/presets/demo.yaml" in files
    assert "study/report/page.html.j2" in files
    packages = {name.split("/")[0] for name in files}
    assert packages - {"challenger_study-0.1.0.dist-info"} == {
        "cluster",
        "search_spaces",
        "study",
        "trainables",
    }


@pytest.mark.extended
def test_the_wheel_runs_a_study_from_another_folder(installed: Path, tmp_path: Path):
    for name in ("study", "cluster"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong package')\n")
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\n"
        "defaults:\n"
        "  dataset: {name: digits, train_per_class: 1, val_size: 20, test_size: 20}\n"
        "  model: {name: vgg11, width: 0.0625}\n"
        "  training: {epochs: 1}\n"
        "  replicas: {final: 2}\n"
        "arms: [{method: base}]\n"
    )
    printed = run(installed, tmp_path, "run", "tiny.yaml", "--executor", "inline")
    first, *_, report, tracking = printed.strip().splitlines()
    assert first == str(installed / "study" / "__init__.py")
    assert report == "report: challenger-studies/tiny/report/report.html"
    assert (tmp_path / report.removeprefix("report: ")).is_file()
    assert tracking.startswith("mlflow: ")
