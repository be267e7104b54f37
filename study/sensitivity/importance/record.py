"""What estimators find: importances of dimensions, with interval and the level of chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from study.sensitivity.importance.basis import GlobalBasis
from study.sensitivity.intervals import CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The importance of one dimension.

    Attributes:
        dimension: Name of the dimension.
        value: The importance; what it is a share of, the estimator says.
        low: Lower end of its interval.
        high: Upper end.
        p_value: How often chance alone makes any dimension at least as important, or None
            where chance has no level.
    """

    dimension: str
    value: float
    low: float
    high: float
    p_value: float | None

    @property
    def is_shown(self) -> bool:
        """Whether it is more than chance, over all dimensions together."""
        return self.p_value is not None and self.p_value <= 1 - CONFIDENCE + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an estimator makes of a basis.

    Attributes:
        shares: One per dimension, in the arm's order.
        level: What the largest importance of any dimension stays below in 95 % of studies in
            which chance alone is at work, or None.
        interval: How the intervals were made, for people.
        chance: How the level was made, for people; empty without one.
        notes: Reservations, in sentences.
    """

    shares: tuple[Share, ...]
    level: float | None
    interval: str
    chance: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """A way to measure importances.

    Attributes:
        title: For people: ``fANOVA``.
        question: What it answers, as the end of a sentence: ``what explains the variance``.
        explains: What a share is of: ``of the variance``.
        axis: What an axis of shares is called, with its unit.
        factor: Shown number over stored number; 100 for per cent.
        designs: Samplers of which it takes trials, or empty for all.
        least: Number of trials that it needs of a basis.
        why: Why it needs that many.
        takes_conditions: Whether a dimension may have no value in some trials.
        measure: The estimator itself.
    """

    title: str
    question: str
    explains: str
    axis: str
    factor: float
    designs: tuple[str, ...]
    least: Callable[[GlobalBasis], int]
    why: str
    takes_conditions: bool
    measure: Callable[[GlobalBasis], Measured]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """The importances of an arm's dimensions by one estimator.

    Attributes:
        basis: The trials it stands on.
        name: Name of the estimator in IMPORTANCES.
        estimator: The estimator.
        shares: One per dimension, the most important first.
        level: Level of chance over all dimensions, or None.
        interval: How the intervals were made, for people.
        chance: How the level was made, for people; empty without one.
        notes: Reservations of basis and estimator, in sentences.
    """

    basis: GlobalBasis
    name: str
    estimator: Estimator
    shares: tuple[Share, ...]
    level: float | None
    interval: str
    chance: str
    notes: tuple[str, ...]

    def get(self, dimension: str) -> Share:
        """Give the share of a dimension; StopIteration if there is none."""
        return next(share for share in self.shares if share.dimension == dimension)
