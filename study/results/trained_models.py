"""The trained networks of the chosen configurations: loaded, or exported as a program."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from study.config.run_options import RunOptions
from study.records.errors import ReportError
from study.records.trial_table import TrialRow, TrialTable
from study.results.build import load_study, load_trial_table
from trainables.errors import StorageError
from trainables.trained_models import TrainedModel, export_program, load_trained

ReplicaChoice: TypeAlias = int | Literal["best", "mean"]
"""A replica's index, the one with the best validation objective, or all of them on average."""

# More than the graph of a program and the frames of its archive take.
_PROGRAM_BYTES: Final = 16 << 20


def load_models(
    name: str, options: RunOptions, arm: str, replica: ReplicaChoice = "best"
) -> tuple[TrainedModel, ...]:
    """Load trained networks of an arm's chosen configuration: one, or all for ``mean``.

    The test split has no part in the choice of the best.

    Raises:
        SpecError: If there is no study of that name.
        ReportError: If the study has no such arm or replica, or the arm has no result yet.
        CheckpointError: If a file of weights is missing or damaged.
    """
    table = load_trial_table(name, options)
    return _load(table, _chosen(table, arm), options, replica)


def export_model(
    name: str, options: RunOptions, arm: str, path: Path, replica: ReplicaChoice = "best"
) -> None:
    """Write an arm's trained network, or the mean of all its replicas, as a program.

    See :func:`trainables.trained_models.export_program` for the file, and :func:`load_models` for
    further errors.

    Raises:
        StorageError: If there is no room for the file, or it cannot be written.
    """
    table = load_trial_table(name, options)
    row = _chosen(table, arm)
    members = _load(table, row, options, replica)
    about = {
        "study": name,
        "arm": arm,
        "dataset": table.arm(arm).dataset,
        "model": table.arm(arm).model,
        "method": table.arm(arm).method,
        "params": dict(row.params),
        "seeds": [member.seed for member in members],
        "replica": replica,
        "scale": members[0].scale,
        "environment": dict(table.environment),
    }
    _require_room(members, path)
    export_program(members, path, about)


def _require_room(members: Sequence[TrainedModel], path: Path) -> None:
    # Torch ends the process where its writer of archives finds no room.
    weights = sum(
        value.numel() * value.element_size()
        for member in members
        for value in member.network.state_dict().values()
    )
    needed, free = weights + _PROGRAM_BYTES, shutil.disk_usage(path.absolute().parent).free
    if free < needed:
        raise StorageError(
            f"{path.absolute().parent} must have {needed / 2**20:.0f} MiB free for the program, "
            f"but has {free / 2**20:.0f}; free some space there, or name another folder."
        )


def _chosen(table: TrialTable, arm: str) -> TrialRow:
    names = [row.name for row in table.arms]
    if arm not in names:
        raise ReportError(f"arm must be one of {', '.join(names)}, got {arm!r}.")
    row = table.chosen(arm)
    if row is None:
        raise ReportError(
            f"arm '{arm}' has no completed final trial of its chosen configuration yet; run the "
            "study."
        )
    return row


def _load(
    table: TrialTable, row: TrialRow, options: RunOptions, replica: ReplicaChoice
) -> tuple[TrainedModel, ...]:
    folder = options.storage.study(table.study)
    arm = load_study(folder).arm(row.arm)
    config = arm.trial_config(row.params, row.seeds, is_final=True)
    return tuple(
        load_trained(config, folder.path / row.folder, index)
        for index in _indices(table, row, replica)
    )


def _indices(table: TrialTable, row: TrialRow, replica: ReplicaChoice) -> Sequence[int]:
    count = len(row.seeds)
    if replica == "mean":
        return range(count)
    if replica == "best":
        values = row.last(table.objective) or (0.0,) * count
        best = max if table.direction == "maximize" else min
        return (best(range(count), key=values.__getitem__),)
    if not 0 <= replica < count:
        raise ReportError(f"replica must be best, mean or from 0 to {count - 1}, got {replica}.")
    return (replica,)
