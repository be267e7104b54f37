"""What MLflow is told of a study beside its trials."""

from __future__ import annotations

import getpass
from collections.abc import Collection, Iterable

from study.environment import git_commit
from study.rows import flat_settings
from study.spec import StudySpec
from study.tracking.projection import Review
from study.trial_table import TrialRow
from trainables.metrics import METRICS


def review_of(spec: StudySpec) -> Review:
    """Describe a study to MLflow."""

    def config_hash(row: TrialRow) -> str:
        arm = spec.arm(row.arm)
        is_final = row.phase == "final"
        return arm.trial_config(row.params, row.seeds, is_final=is_final).hash()

    return Review(
        study=spec.name,
        objective=spec.metric,
        higher_is_better={
            f"{split}/{name}": metric.higher_is_better
            for name, metric in METRICS.items()
            for split in ("val", "test")
        },
        settings={arm.name: flat_settings(arm) for arm in spec.arms},
        dimensions=_in_order(arm.space.dimensions for arm in spec.arms),
        swept=_in_order(arm.sweeps() for arm in spec.arms),
        config_hash=config_hash,
        git_commit=git_commit(),
        user=getpass.getuser(),
    )


def _in_order(names: Iterable[Collection[str]]) -> tuple[str, ...]:
    """Give all names once; those of the arm with the most come first, in its order."""
    return tuple(dict.fromkeys(name for of in sorted(names, key=len, reverse=True) for name in of))
