"""The networks of chosen configurations: kept, loaded, exported, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from study import Study
from study.cli.main import cli
from study.config.study_spec import parse
from study.records.errors import ReportError
from study.results.trained_models import load_models
from tests.support.disk import Disk
from tests.support.simulated import study_file
from trainables.datasets import DataFolders, PixelSamples
from trainables.errors import CheckpointError, StorageError
from trainables.evaluation import evaluate
from trainables.trained_models import Ensemble, weights_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = Study(study_file(epochs=2, sweep=[1, 2, 3]), storage=tmp_path_factory.mktemp("storage"))
    assert made.run(executor="inline", progress=False).is_finished
    return made


def test_samples(study: Study, seed: int) -> PixelSamples:
    """Return the test split of a replica."""
    folders = DataFolders(root=None, cache=study.folder.parent / "cache")
    samples = parse(study.text, "study").arms[0].dataset.load(folders, seed).test
    assert isinstance(samples, PixelSamples)
    return samples


test_samples.__test__ = False  # type: ignore[attr-defined]


def test_only_the_chosen_configurations_are_kept(finished: Study) -> None:
    table = finished.table()
    kept = {path.parent for path in finished.folder.rglob("weights-*.npz")}
    chosen = [table.chosen(arm.name) for arm in table.arms]
    assert kept == {finished.folder / row.folder for row in chosen if row is not None}
    # The sweep has other final trials, which keep nothing.
    assert sum(row.phase == "final" for row in table.rows) > len(kept) == 3


@pytest.mark.parametrize("replica", [0, 1])
def test_a_loaded_network_has_the_metrics_that_were_reported(
    finished: Study, replica: int
) -> None:
    row = finished.table().chosen("challenger")
    assert row is not None
    found = evaluate(
        finished.model("challenger", replica), test_samples(finished, row.seeds[replica]), "test"
    )
    for metric in ("test/accuracy", "test/nll", "test/auc"):
        reported = row.last(metric)
        assert reported is not None
        assert found[metric] == pytest.approx(reported[replica], abs=1e-6)


def test_an_exported_mean_runs_without_this_package(finished: Study, tmp_path: Path) -> None:
    samples = test_samples(finished, 0)
    np.save(tmp_path / "pixels.npy", samples.pixels.numpy())
    done = CliRunner().invoke(
        cli,
        [
            *("export-model", finished.name, "--arm", "challenger", "--replica", "mean"),
            *("-o", str(tmp_path / "mean.pt2"), "--storage", str(finished.folder.parent)),
        ],
    )
    assert (done.exit_code, done.output) == (0, f"model: {tmp_path / 'mean.pt2'}\n")
    script = (
        "import json, sys, numpy, torch\n"
        "about = {'about.json': ''}\n"
        "program = torch.export.load('mean.pt2', extra_files=about).module()\n"
        "pixels = torch.from_numpy(numpy.load('pixels.npy'))\n"
        "numpy.save('logits.npy', program(pixels).detach().numpy())\n"
        "assert program(pixels[:1]).shape == (1, 10)\n"
        "assert not {'study', 'trainables'} & set(sys.modules)\n"
        "print(json.loads(about['about.json'])['arm'])\n"
    )
    printed = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout == "challenger\n"
    members = load_models(finished.name, finished._options, "challenger", "mean")
    inputs = samples.scale(samples.pixels)
    with torch.no_grad():
        mean = sum(member.network(inputs).softmax(-1) for member in members) / len(members)
    exported = torch.from_numpy(np.load(tmp_path / "logits.npy"))
    assert len(members) == 2
    assert torch.allclose(exported.exp(), torch.as_tensor(mean), atol=1e-5)


def test_the_best_replica_is_best_on_validation_samples(finished: Study) -> None:
    row = finished.table().chosen("challenger")
    assert row is not None
    values = row.last("val/accuracy")
    assert values is not None
    (best,) = load_models(finished.name, finished._options, "challenger", "best")
    assert values[row.seeds.index(best.seed)] == max(values)


def test_several_labels_are_averaged_as_probabilities_per_class(finished: Study) -> None:
    members = load_models(finished.name, finished._options, "base", "mean")
    members = tuple(replace(member, is_multi_label=True) for member in members)
    pixels = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    inputs = test_samples(finished, 0).scale(pixels)
    with torch.no_grad():
        mean = sum(member.network(inputs).sigmoid() for member in members) / len(members)
        assert torch.allclose(
            Ensemble(members)(pixels).sigmoid(), torch.as_tensor(mean), atol=1e-5
        )


def test_a_disk_without_room_is_named_and_left_as_it_is(finished: Study, disk: Disk) -> None:
    arguments = ["--arm", "challenger", "--storage", str(finished.folder.parent)]
    path = disk.path / "model.pt2"
    done = CliRunner().invoke(cli, ["export-model", finished.name, *arguments, "-o", str(path)])
    assert isinstance(done.exception, StorageError)
    assert str(done.exception).startswith(f"{disk.path} must have 16 MiB free for the program")
    assert list(disk.path.iterdir()) == []


def test_what_cannot_be_exported_is_named(finished: Study, tmp_path: Path) -> None:
    options = ["--storage", str(finished.folder.parent), "-o", str(tmp_path / "x.pt2")]
    for arguments, message in (
        (["--arm", "chalenger"], "arm must be one of base, random, challenger"),
        (["--arm", "base", "--replica", "7"], "replica must be best, mean or from 0 to 1, got 7"),
        (["--arm", "base", "--replica", "last"], "--replica must be best, mean or an index"),
    ):
        done = CliRunner().invoke(cli, ["export-model", finished.name, *arguments, *options])
        assert message in str(done.exception) + done.output
        assert not (tmp_path / "x.pt2").exists()


@pytest.mark.parametrize("damage", ["cut", "removed", "foreign"])
def test_a_damaged_file_of_weights_is_named(finished: Study, damage: str) -> None:
    row = finished.table().chosen("base")
    assert row is not None
    path = weights_path(finished.folder / row.folder, 0)
    whole = path.read_bytes()
    try:
        if damage == "removed":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(whole[: len(whole) // 2])
        else:
            np.savez(path, **{"about.json": np.array(json.dumps({"seed": 0, "scale": None}))})
        with pytest.raises(CheckpointError, match=r"weights-0\.npz (must hold|is damaged)"):
            finished.model("base", 0)
    finally:
        path.write_bytes(whole)


def test_a_trial_whose_folder_is_removed_is_trained_again_with_its_weights(
    finished: Study, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    shutil.copytree(finished.folder.parent, storage)
    row = finished.table().chosen("base")
    assert row is not None
    whole = weights_path(finished.folder / row.folder, 0).read_bytes()
    shutil.rmtree(storage / finished.name / row.folder)
    for command in (["repair"], ["resume", "--executor", "inline"]):
        name, *options = command
        done = CliRunner().invoke(cli, [name, finished.name, *options, "--storage", str(storage)])
        assert done.exit_code == 0, done.output
    assert weights_path(storage / finished.name / row.folder, 0).read_bytes() == whole


def test_a_study_that_keeps_none_has_none(tmp_path: Path) -> None:
    keys = study_file(epochs=1, sweep=[]) | {"resources": {"keep_models": "none"}}
    keys["arms"] = [{"method": "base"}]
    made = Study(keys, storage=tmp_path)
    made.run(executor="inline", progress=False)
    assert not list(made.folder.rglob("weights-*"))
    with pytest.raises(CheckpointError, match="keep_models: none"):
        made.model("base")
    with pytest.raises(ReportError, match="arm must be named"):
        made.model()
