"""The trial table of a study, built from its trial store and its report logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from search_spaces import ParamValue, wider_ends
from study.config.arm import Arm
from study.config.run_options import RunOptions
from study.config.study_spec import StudySpec, parse
from study.config.sweeps import with_sweeps
from study.records.environment import environment
from study.records.errors import StoreError
from study.records.trial_table import PHASES, ArmRow, StoredReport, TrialRow, TrialTable
from study.results.state import StudyState, require_same_seeds, trial_seeds
from study.results.stored_trials import require_undamaged
from study.storage.json_record import checksum
from study.storage.layout import StudyFolder, read_manifest
from study.storage.provenance import Provenance, read_provenance, with_provenance
from study.storage.trial_store import TrialRecord, open_for_reading
from trainables.decoding import encode


def build_trial_table(spec: StudySpec, folder: StudyFolder, state: StudyState) -> TrialTable:
    """Build the table of a study in its present state."""
    records = sorted(state.records(), key=lambda record: _order(spec, record))
    provenance = read_provenance(folder.provenance)
    chosen = {arm.name: state.best(arm) for arm in spec.arms}
    return TrialTable(
        study=spec.name,
        objective=spec.metric,
        direction=spec.direction,
        sampler=_sampler_names(spec.arms),
        arms=tuple(
            replace(
                arm_row(arm, provenance),
                best_params=chosen[arm.name],
                epochs=_epochs(arm, chosen[arm.name]),
                refusals=_rejections(spec, arm, chosen),
            )
            for arm in spec.arms
        ),
        rows=tuple(trial_row(spec, folder, r, state.reports_of(r.key)) for r in records),
        environment=environment(),
        open=tuple(state.open_trials()),
    )


def trial_row(
    spec: StudySpec, folder: StudyFolder, record: TrialRecord, reports: Sequence[StoredReport]
) -> TrialRow:
    """Build the row of one trial."""
    key = record.key
    return TrialRow(
        arm=key.arm,
        phase=key.phase,
        number=key.number,
        state=record.state,
        params=record.params,
        seeds=trial_seeds(spec, spec.arm(key.arm), record),
        reports=tuple(reports),
        value=record.value,
        reason=record.reason,
        folder=str(folder.trial(key).relative_to(folder.path)),
        started_ms=record.started_ms,
        finished_ms=record.finished_ms,
    )


def arm_row(arm: Arm, provenance: Provenance) -> ArmRow:
    """Build the row of one arm, without a chosen configuration."""
    info = arm.dataset.info
    return ArmRow(
        name=arm.name,
        dataset=with_provenance(arm.dataset.description, provenance.get(arm.dataset.source_name)),
        model=arm.model.description,
        method=arm.method.name,
        n_classes=info.n_classes,
        n_features=info.n_features,
        domain=info.domain,
        is_multi_label=info.is_multi_label,
        draws_subset=getattr(arm.dataset, "subset", "fixed") == "per_replica",
        wider=wider_ends(arm.rules, arm.space.dimensions),
        epochs=arm.training.epochs,
        dimensions=arm.space.dimensions if arm.is_searched else {},
        conditions=arm.space.conditions if arm.is_searched else {},
        sampler=arm.search.sampler_name,
        design=arm.search.design,
        sweeps=arm.sweeps(),
        best_params=None,
        group=arm.group,
        transfer=arm.transfer,
        like=arm.like,
        passes_like=arm.passes_like,
    )


def _epochs(arm: Arm, params: Mapping[str, ParamValue] | None) -> int:
    return int((params or {}).get("training.epochs", arm.training.epochs))


def _rejections(
    spec: StudySpec, arm: Arm, chosen: Mapping[str, Mapping[str, ParamValue] | None]
) -> dict[str, str]:
    """Return why chosen configurations of other arms are illegal on this one, by arm."""
    found = {}
    for other in spec.transfer_sources(arm):
        params = chosen[other.name]
        reason = None if params is None else arm.rejection_reason(params)
        if reason is not None:
            found[other.name] = reason
    return found


def flat_settings(arm: Arm) -> dict[str, str]:
    """Return an arm's fixed settings as flat text, without its dimensions."""
    data = encode(arm)
    parts = {key: data[key] for key in ("dataset", "model", "training", "method", "evaluation")}
    varied = set(arm.space.dimensions)
    flat = dict(_flatten(parts))
    return {
        k: v for k, v in flat.items() if k.removeprefix("method/").replace("/", ".") not in varied
    }


def _flatten(data: Mapping[str, object], path: str = "") -> Iterable[tuple[str, str]]:
    for key, value in data.items():
        where = f"{path}/{key}" if path else key
        if isinstance(value, Mapping):
            yield from _flatten(value, where)
        else:
            yield where, str(value)


def _sampler_names(arms: Iterable[Arm]) -> str:
    names = dict.fromkeys(arm.search.sampler_name for arm in arms if arm.is_searched)
    return ", ".join(names) or "none"


def _order(spec: StudySpec, record: TrialRecord) -> tuple[int, int, int]:
    arms = [arm.name for arm in spec.arms]
    key = record.key
    return arms.index(key.arm), PHASES.index(key.phase), key.number


def read_study_text(folder: StudyFolder) -> str:
    """Read the study file of a study.

    Raises:
        SpecError: If there is no study of that name.
        StoreError: If the file is not as the study was last run with it.
    """
    manifest = read_manifest(folder.manifest)
    text = folder.read_spec()
    if checksum(text.encode()) != manifest.study:
        raise StoreError(
            f"{folder.spec} must be the file that study {folder.path.name!r} was last run with, "
            "but was altered; put it back, or 'run' your own study file again."
        )
    return text


def load_study(folder: StudyFolder) -> StudySpec:
    """Read a study with the sweeps of the command line; SpecError if there is none."""
    return with_sweeps(parse(read_study_text(folder), str(folder.spec), folder.plugins), folder)


def load_trial_table(name: str, options: RunOptions) -> TrialTable:
    """Read all trials of a study; SpecError if there is none of that name."""
    folder = options.storage.study(name)
    spec = load_study(folder)
    maximize = spec.direction == "maximize"
    must_exist = options.database is not None or bool(folder.keys())
    store = open_for_reading(
        options.database_url, spec.name, maximize=maximize, must_exist=must_exist
    )
    state = StudyState(spec, folder, store)
    require_undamaged(folder, state.trials)
    require_same_seeds(state)
    return build_trial_table(spec, folder, state)
