"""Attribution maps of several arms for the same test images, read from the trials' files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import ArmRow, TrialTable
from study.sensitivity.workloads import (
    CONTROLS,
    Workload,
    read_arms,
    require_arm,
    require_chosen,
)

FILE_NAME = "attribution_maps.npz"
"""File of the maps in a trial's folder."""

_ARRAYS = ("inputs", "relevance", "target", "predicted")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmMaps:
    """The maps of one arm's chosen configuration.

    Attributes:
        relevance: Signed relevance for the true class; positive is evidence for it.
        predicted: Predicted class.
    """

    arm: str
    method: str
    relevance: Float[np.ndarray, "sample channel height width"]
    predicted: Int[np.ndarray, " sample"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttributionMaps(Tabular):
    """Maps of several arms for the same test images.

    Attributes:
        inputs: The images, normalized as in training.
        target: True class of each image.
        notes: Controls without maps, in sentences.
    """

    study: str
    dataset: str
    inputs: Float[np.ndarray, "sample channel height width"]
    target: Int[np.ndarray, " sample"]
    arms: tuple[ArmMaps, ...]
    notes: tuple[str, ...] = ()

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per image and pixel, with each arm's relevance summed over channels."""
        inputs = self.inputs.mean(axis=1)
        maps = {arm.arm: arm.relevance.sum(axis=1) for arm in self.arms}
        for place in np.ndindex(*inputs.shape):
            sample, row, column = place
            yield {
                "sample": sample,
                "target": int(self.target[sample]),
                "row": row,
                "column": column,
                "input": float(inputs[place]),
                **{f"relevance/{arm}": float(values[place]) for arm, values in maps.items()},
                **{f"predicted/{arm.arm}": int(arm.predicted[sample]) for arm in self.arms},
            }


_Arrays = dict[str, np.ndarray]


def read_attribution_maps(
    table: TrialTable, folder: Path, arms: Sequence[str], *, at_most: int = 8
) -> AttributionMaps:
    """Read the maps of several arms' chosen configurations.

    Args:
        table: Trials of the study.
        folder: Folder of the study, to which the trials' folders are relative.
        arms: Names of the arms, at least one.
        at_most: Number of images to keep, from the first.

    Raises:
        ReportError: If an arm has no completed final trial, its file is missing or malformed, or
            the arms have different images.
    """
    rows = [require_arm(table, name) for name in arms]
    read = [(row, *_read(table, folder, row)) for row in rows]
    first, first_path, reference = read[0]
    for _, path, arrays in read[1:]:
        same = all(np.array_equal(arrays[key], reference[key]) for key in ("inputs", "target"))
        if not same:
            raise ReportError(
                f"{path} must show the same test images as {first_path}, but does not; "
                f"train both arms again with one version of the code."
            )
    return AttributionMaps(
        study=table.study,
        dataset=first.dataset,
        inputs=reference["inputs"][:at_most],
        target=reference["target"][:at_most],
        arms=tuple(
            ArmMaps(
                arm=row.name,
                method=row.method,
                relevance=arrays["relevance"][:at_most],
                predicted=arrays["predicted"][:at_most],
            )
            for row, _, arrays in read
        ),
    )


def maps_with_controls(
    table: TrialTable, folder: Path, workload: Workload, arm: ArmRow
) -> AttributionMaps:
    """Read the maps of an arm and its controls; a control without maps becomes a note.

    Raises:
        ReportError: As :func:`read_attribution_maps`, for the arm itself.
    """
    controls = [one for one in workload.arms if one.method in CONTROLS and one != arm]
    found, notes = read_arms(
        controls, lambda control: read_attribution_maps(table, folder, [control.name])
    )
    record = read_attribution_maps(table, folder, [*found, arm.name])
    return replace(record, notes=notes)


def _read(table: TrialTable, folder: Path, arm: ArmRow) -> tuple[Path, _Arrays]:
    path = folder / require_chosen(table, arm).folder / FILE_NAME
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in _ARRAYS if key in stored}
    except FileNotFoundError:
        raise ReportError(
            f"{path} must hold the attribution maps of arm '{arm.name}', but is not there; "
            f"train the arm's chosen configuration again."
        ) from None
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ReportError(
            f"{path} must be a readable npz file, but is not ({error}); "
            f"delete it and train the arm's chosen configuration again."
        ) from error
    if missing := [key for key in _ARRAYS if key not in arrays]:
        raise ReportError(
            f"{path} must hold the arrays {', '.join(_ARRAYS)}, but lacks {', '.join(missing)}; "
            f"delete it and train the arm's chosen configuration again."
        )
    shapes = {key: arrays[key].shape for key in _ARRAYS}
    samples = shapes["inputs"][:1]
    is_right = (
        len(shapes["inputs"]) == 4
        and shapes["relevance"] == shapes["inputs"]
        and shapes["target"] == samples == shapes["predicted"]
    )
    if not is_right:
        raise ReportError(
            f"{path} must hold inputs and relevance (n, channel, height, width) and target and "
            f"predicted (n,), but holds {shapes}; attribution maps are drawn for images only."
        )
    return path, arrays
