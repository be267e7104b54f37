"""A study with plug-ins: run, asked, resumed and carried elsewhere, and refused if they differ."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.cli import main
from study.remote.jobs import submit
from study.storage.layout import StudyFolder
from tests.support.plug_ins import write_examples, write_measurements
from trainables.plugins import load_plugins, saved_plugins, unload_all
from trainables.ray_trainable import ChallengerTrainable

pytestmark = pytest.mark.service

TEXT = """
name: own
plugins: [my_parts.py]
defaults:
  dataset: measurements
  model: {name: perceptron, hidden: 4}
  training: {epochs: 1, eval_every: 1}
  replicas: {search: 1, final: 2}
  search: {trials: 1}
arms:
  - {method: base}
  - {method: jitter}
  - method: {name: challenger, attribution: absolute_gradient, n_features: 0.5}
objective: {metric: val/top_two}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStudy:
    """A study file beside its plug-in, and the storage of the study."""

    file: Path
    storage: Path

    @property
    def folder(self) -> StudyFolder:
        return StudyFolder(path=self.storage / "own")

    def run(self, *words: str) -> int:
        unload_all()
        command, *rest = words
        trains = ["--executor", "inline", "--data-root", str(self.file.parent)]
        more = trains if command in ("run", "resume") else []
        return main.run([command, *rest, *more, "--storage", str(self.storage)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnStudy]:
    """Run a study of the examples of the docs, once."""
    root = tmp_path_factory.mktemp("own")
    write_examples(root)
    write_measurements(root)
    (root / "own.yaml").write_text(TEXT, encoding="utf-8")
    one = OwnStudy(file=root / "own.yaml", storage=root / "storage")
    assert one.run("run", str(one.file)) == 0
    yield one
    unload_all()


@pytest.fixture
def copied(finished: OwnStudy, tmp_path: Path) -> OwnStudy:
    """Return a copy of the finished study whose files may be changed."""
    shutil.copytree(finished.file.parent, tmp_path / "own")
    return OwnStudy(file=tmp_path / "own" / "own.yaml", storage=tmp_path / "own" / "storage")


def test_every_command_knows_the_parts_from_the_studys_copy(
    finished, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    for command in ("status", "show", "report", "export"):
        assert finished.run(command, "own") == 0, command
    assert "σ" in (finished.folder.report / "summary.md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert finished.run("show", "own", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["spec"]["plugins"].keys() == {"my_parts"}
    assert shown["chosen"]["jitter"].keys() == {"noise"}


def test_a_study_goes_on_from_its_copy_without_the_file(copied):
    (copied.file.parent / "my_parts.py").unlink()
    assert copied.run("resume", "own") == 0


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (
            lambda own: (own.file.parent / "my_parts.py").unlink(),
            ("run", "own.yaml"),
            "plugins[0]: 'my_parts.py' must be a file, but there is no ",
        ),
        (
            lambda own: _append(own.file.parent / "my_parts.py"),
            ("run", "own.yaml"),
            "study 'own' was begun with plug-in 'my_parts', which has changed since; put back",
        ),
        (
            lambda own: _append(own.folder.plugins / "my_parts.py"),
            ("resume", "own"),
            "must be the plug-in that the study was started with, but its content has changed",
        ),
        (
            lambda own: (own.folder.plugins / "my_parts.py").unlink(),
            ("show", "own"),
            "must hold the plug-in 'my_parts', but does not; put it there.",
        ),
        (
            lambda own: (own.folder.plugins / "challenger-plugins.json").write_text("[1]"),
            ("show", "own"),
            "must hold a digest for each plug-in, got [1]; restore it.",
        ),
        (
            lambda own: own.file.write_text(TEXT.replace("plugins: [my_parts.py]\n", "")),
            ("run", "own.yaml"),
            "'val/top_two', which is not known",
        ),
    ],
    ids=["missing", "changed", "copy changed", "copy missing", "list damaged", "not named"],
)
def test_a_missing_or_changed_plug_in_is_refused(
    change, words, message, copied, capsys, monkeypatch
):
    change(copied)
    monkeypatch.chdir(copied.file.parent)
    assert copied.run(*words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def _append(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")


def test_a_part_that_does_not_conform_is_refused_before_anything_is_trained(
    copied, capsys, monkeypatch
):
    parts = copied.file.parent / "my_parts.py"
    text = parts.read_text(encoding="utf-8")
    parts.write_text(text.replace("rng.rand(*batch", "__import__('torch').rand(*batch"))
    copied.file.write_text(TEXT.replace("name: own", "name: other"), encoding="utf-8")
    monkeypatch.chdir(copied.file.parent)
    assert copied.run("run", "own.yaml") == 2
    said = capsys.readouterr().err
    assert "arm jitter: my_parts.py:" in said
    assert "perturb must draw from the given ReplicaRNG alone" in said
    assert not (copied.storage / "other").exists()


def test_a_worker_imports_the_studys_copy(finished):
    (finished.storage / "worker").mkdir()
    unload_all()
    trainable = ChallengerTrainable.__new__(ChallengerTrainable)
    trial = {
        "dataset": {"name": "measurements"},
        "model": {"name": "perceptron"},
        "method": {"name": "jitter"},
        "training": {"epochs": 1, "eval_every": 1},
        "seeds": [1],
    }
    trainable.setup(
        {
            "trial": trial,
            "folder": str(finished.storage / "worker"),
            "plugins": str(finished.folder.plugins),
            "data_root": str(finished.file.parent),
            "cache": str(finished.storage / "cache"),
            "cpus": 1,
            "gpus": 0.0,
            "objective": "val/top_two",
            "stop_file": None,
            "timeout_s": None,
            "replica_mode": "loop",
            "keep_weights": False,
        }
    )
    result = {}
    while not result.get("done"):
        result = trainable.step()
    assert "val/top_two" in json.loads(result["metrics"])


def test_submit_carries_them(finished):
    (loaded,) = load_plugins(saved_plugins(finished.folder.plugins))
    seen = {}

    class Jobs:
        def list_jobs(self) -> tuple[()]:
            return ()

        def submit(self, plan) -> str:
            unload_all()
            seen.update({one.module: one.digest for one in saved_plugins(plan.folder)})
            return plan.name

    submit(Jobs(), "own", TEXT, (), {"my_parts": loaded.plugin.digest})
    assert seen == {"my_parts": loaded.plugin.digest}
