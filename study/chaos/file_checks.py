"""Whether a study that has ended left files behind that should be gone, or said a secret."""

from __future__ import annotations

from study.chaos.check import Check, no_difference
from study.chaos.evidence import Evidence


def checkpoints(name: str, evidence: Evidence) -> Check:
    """Check that no checkpoint is left: they are as large as their models."""
    left = (
        f"{path}{'' if is_whole else ' (damaged)'}"
        for path, is_whole in evidence.litter.checkpoints.items()
    )
    return no_difference(name, "none", left)


def temporary(name: str, evidence: Evidence) -> Check:
    """Check that no file is left that a process was writing when it was killed."""
    return no_difference(name, "none", evidence.litter.temporary)


def leaks(name: str, evidence: Evidence) -> Check:
    """Check that passwords and tokens stand in no file of the study, its logs or its cluster."""
    return no_difference(name, "none", evidence.leaks)
