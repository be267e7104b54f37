"""Run a preset and keep what it says of the paper beside the study's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from rich.console import Console

from study.files import write_whole
from study.options import Options
from study.report.csv_rows import to_csv
from study.report.tables import Table
from study.reproduction.preset import Preset
from study.reproduction.record import Printed, reproduce
from study.reproduction.scaling import differences
from study.reproduction.tables import reproduction_csv, reproduction_tables
from study.review import deliver, start_delivery
from study.runner import RunResult, run
from study.spec import parse
from study.tracking.entries import LogArtifact
from study.tracking.outbox import Outbox
from study.tracking.projection import arm_key
from study.trial_table import TrialTable


def run_reproduction(
    preset: Preset, study: Mapping[str, Any], scale: str, options: Options, console: Console
) -> tuple[RunResult, tuple[Table, ...]]:
    """Run the study of a preset at a scale, or go on with it.

    Returns:
        How it ended, and its tables; none if it was interrupted or has no result.
    """
    text = _dumped(study)
    result = run(text, f"{preset.name}.yaml at scale {scale}", options, console)
    if result.report is None:
        return result, ()
    record = reproduce(result.table, _printed(preset, study, scale))
    tables = reproduction_tables(record)
    folder = options.storage.study(str(study["name"]))
    files = (
        write_whole(folder.report / "reproduction.md", "\n\n".join(map(_markdown, tables)) + "\n"),
        write_whole(folder.report / "reproduction.csv", to_csv(reproduction_csv(record))),
    )
    outbox = Outbox(path=folder.outbox)
    outbox.put(
        LogArtifact(run_key=arm_key(name), path=str(file.absolute()), artifact_folder="report")
        for name in _arms_with_trials(result.table)
        for file in files
    )
    courier = start_delivery(folder, options)
    try:
        deliver(courier, console)
    finally:
        courier.stop()
    return result, tables


def _printed(preset: Preset, study: Mapping[str, Any], scale: str) -> Printed:
    ours = parse(_dumped(study), preset.name)
    full = parse(_dumped(preset.study), preset.name)
    return Printed(
        preset=preset.name,
        scale=scale,
        unknown=preset.unknown,
        rows=preset.paper,
        differs={arm.name: differences(full, ours, arm.name) for arm in ours.arms},
    )


def _dumped(study: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(study), sort_keys=False, allow_unicode=True)


def _arms_with_trials(table: TrialTable) -> list[str]:
    return [arm.name for arm in table.arms if any(row.arm == arm.name for row in table.rows)]


def _markdown(table: Table) -> str:
    lines = [
        f"## {table.title}",
        "",
        _line(table.columns),
        _line(["---"] * len(table.columns)),
        *(_line(row) for row in table.rows),
        "",
        table.note,
    ]
    return "\n".join(lines)


def _line(cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"  # type: ignore[attr-defined]
