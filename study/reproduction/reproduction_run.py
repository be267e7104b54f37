"""Run a preset, and write its comparison with the paper to the study's report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import yaml
from rich.console import Console

from study.config.run_options import RunOptions
from study.config.study_spec import parse
from study.engine.publishing import start_sync, wait_for_sync
from study.engine.run import RunResult, run_study
from study.planning.cost_estimate import estimate_cost
from study.planning.study_plan import presets_table
from study.records.frames import to_csv
from study.records.trial_table import TrialTable
from study.report.markdown import table_markdown
from study.report.tables import Table
from study.reproduction.paper_comparison import (
    PaperReference,
    reproduce,
    reproduction_tables,
)
from study.reproduction.paper_preset import Preset, at_scale, differences, load_preset
from study.reproduction.stored_results import DIGEST_LENGTH, settings_digest, stored_results
from study.storage.atomic_write import write_atomic
from study.tracking.mlflow_records import arm_key
from study.tracking.outbox import Outbox
from study.tracking.record_types import LogArtifact
from trainables.code_digest import code_digest


def run_reproduction(
    preset: Preset, study: Mapping[str, Any], scale: str, options: RunOptions, console: Console
) -> tuple[RunResult, tuple[Table, ...]]:
    """Run or resume the study of a preset at a scale.

    Returns:
        The result of the run, and the tables; none if it was interrupted or has no result.
    """
    text = _to_yaml(study)
    result = run_study(text, f"{preset.name}.yaml at scale {scale}", options, console)
    if result.report is None:
        return result, ()
    record = reproduce(result.table, _paper_reference(preset, study, scale))
    tables = reproduction_tables(record)
    parts = [part for table in tables for part in table_markdown(table)]
    folder = options.storage.study(str(study["name"]))
    files = (
        write_atomic(folder.report / "reproduction.md", "\n\n".join(parts) + "\n"),
        write_atomic(folder.report / "reproduction.csv", to_csv(record.to_frame())),
    )
    outbox = Outbox(path=folder.outbox)
    outbox.put(
        LogArtifact(run_key=arm_key(name), path=str(file.absolute()), artifact_folder="report")
        for name in _arms_with_trials(result.table)
        for file in files
    )
    sync = start_sync(folder, options)
    try:
        wait_for_sync(sync, console)
    finally:
        sync.stop()
    return result, tables


def plan_presets(names: Iterable[str], scale: str) -> Table:
    """Build the table of what presets train at a scale, and of their hours; trains nothing.

    Raises:
        SpecError: If there is no preset of a name, or no such scale.
    """
    studies = (at_scale(load_preset(name), scale) for name in names)
    specs = (parse(_to_yaml(study), str(study["name"])) for study in studies)
    table = presets_table({spec.name: estimate_cost(spec) for spec in specs})
    stored = {f"{one.preset}-{one.scale}": one.verdict for one in stored_results()}
    found = [stored[row[0]] for row in table.rows if row[0] in stored]
    note = f" Stored results: {'; '.join(found)}." if found else ""
    return replace(table, note=table.note + note)


def _paper_reference(preset: Preset, study: Mapping[str, Any], scale: str) -> PaperReference:
    ours = parse(_to_yaml(study), preset.name)
    full = parse(_to_yaml(preset.study), preset.name)
    return PaperReference(
        preset=preset.name,
        scale=scale,
        unknown=preset.unknown,
        rows=preset.paper,
        settings=settings_digest(study),
        code=code_digest()[:DIGEST_LENGTH],
        deviations={arm.name: differences(full, ours, arm.name) for arm in ours.arms},
    )


def _to_yaml(study: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(study), sort_keys=False, allow_unicode=True)


def _arms_with_trials(table: TrialTable) -> list[str]:
    return [arm.name for arm in table.arms if any(row.arm == arm.name for row in table.rows)]
