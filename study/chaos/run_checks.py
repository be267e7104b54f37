"""Whether the driver did what it promises while blows were struck."""

from __future__ import annotations

from study.chaos.check import Check, no_difference, same
from study.chaos.evidence import Evidence


def finished(name: str, evidence: Evidence) -> Check:
    """Check that the study came to its end in the time that it was given."""
    ended = "yes" if evidence.chronicle.is_finished else "no"
    return same(name, "yes", ended)


def driver_ends(name: str, evidence: Evidence) -> Check:
    """Check that the driver never ended but at a blow, or when the study was finished."""
    unexplained = (
        f"exit code {end.code} at {end.at_s:.0f} s: {end.said}"
        for end in evidence.chronicle.ends
        if end.cause is None
    )
    return no_difference(name, "all", unexplained)


def promises(name: str, evidence: Evidence) -> Check:
    """Check what is seen at once: a second start is refused, SIGTERM ends a run in time."""
    broken = (
        f"{struck.blow.kind} at {struck.at_s:.0f} s: {struck.note}"
        for struck in evidence.chronicle.of("failed")
    )
    return no_difference(name, "all", broken)
