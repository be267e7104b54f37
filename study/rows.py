"""From the study's own records to the trial table that analyses read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from search_spaces import ParamValue
from study.books import Books, trial_seeds
from study.environment import environment
from study.spec import Arm, StudySpec
from study.store.folder import StudyFolder
from study.store.ledger import Entry
from study.store.provenance import Provenance, read_provenance, with_provenance
from study.trial_table import ArmRow, StoredReport, TrialRow, TrialTable
from trainables.decoding import encode


def trial_table(spec: StudySpec, folder: StudyFolder, books: Books) -> TrialTable:
    """Make the table of a study as it stands."""
    entries = sorted(books.entries(), key=lambda e: _order(spec, e))
    held = read_provenance(folder.provenance)
    chosen = {arm.name: books.best(arm) for arm in spec.arms}
    return TrialTable(
        study=spec.name,
        objective=spec.metric,
        direction=spec.direction,
        sampler=_samplers(spec.arms),
        arms=tuple(
            replace(
                arm_row(arm, held),
                best_params=chosen[arm.name],
                refusals=_refusals(spec, arm, chosen),
            )
            for arm in spec.arms
        ),
        rows=tuple(trial_row(spec, folder, e, books.reports_of(e.key)) for e in entries),
        environment=environment(),
    )


def trial_row(
    spec: StudySpec, folder: StudyFolder, entry: Entry, reports: Sequence[StoredReport]
) -> TrialRow:
    """Make the row of one trial."""
    key = entry.key
    return TrialRow(
        arm=key.arm,
        phase=key.phase,
        number=key.number,
        state=entry.state,
        params=entry.params,
        seeds=trial_seeds(spec, spec.arm(key.arm), entry),
        reports=tuple(reports),
        value=entry.value,
        reason=entry.reason,
        folder=str(folder.trial(key).relative_to(folder.path)),
        started_ms=entry.started_ms,
        finished_ms=entry.finished_ms,
    )


def arm_row(arm: Arm, held: Provenance) -> ArmRow:
    """Make the row of one arm as it is before its search has chosen.

    Args:
        arm: The arm.
        held: What the data root held when the study began.
    """
    info = arm.dataset.info
    return ArmRow(
        name=arm.name,
        dataset=with_provenance(arm.dataset.description, held.get(arm.dataset.name)),
        model=f"{arm.model.name}, width {arm.model.width:g}",
        method=arm.method.name,
        n_classes=info.n_classes,
        n_features=info.n_features,
        domain=info.domain,
        is_multi_label=info.is_multi_label,
        epochs=arm.training.epochs,
        dimensions=arm.space.dimensions,
        conditions=arm.space.conditions,
        sampler=arm.search.proposer,
        design=arm.search.design,
        sweeps=arm.sweeps(),
        best_params=None,
        group=arm.group,
        transfer=arm.transfer,
    )


def _refusals(
    spec: StudySpec, arm: Arm, chosen: Mapping[str, Mapping[str, ParamValue] | None]
) -> dict[str, str]:
    """Say of each arm whose choice is tried on this one why it cannot be, if it is illegal."""
    found = {}
    for other in spec.transfer_sources(arm):
        params = chosen[other.name]
        reason = None if params is None else arm.objection(params)
        if reason is not None:
            found[other.name] = reason
    return found


def flat_settings(arm: Arm) -> dict[str, str]:
    """Give an arm's fixed settings as flat text, without what its trials vary."""
    data = encode(arm)
    parts = {key: data[key] for key in ("dataset", "model", "training", "method", "evaluation")}
    varied = set(arm.space.dimensions)
    flat = dict(_flat(parts))
    return {k: v for k, v in flat.items() if k.removeprefix("method/") not in varied}


def _flat(data: Mapping[str, object], path: str = "") -> Iterable[tuple[str, str]]:
    for key, value in data.items():
        where = f"{path}/{key}" if path else key
        if isinstance(value, Mapping):
            yield from _flat(value, where)
        else:
            yield where, str(value)


def _samplers(arms: Iterable[Arm]) -> str:
    names = dict.fromkeys(arm.search.proposer for arm in arms if arm.space.dimensions)
    return ", ".join(names) or "none"


def _order(spec: StudySpec, entry: Entry) -> tuple[int, int, int]:
    arms = [arm.name for arm in spec.arms]
    key = entry.key
    return arms.index(key.arm), ("search", "final").index(key.phase), key.number
