"""True regret of the chosen point with and without confirmation, in simulated noisy studies."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

import numpy as np

from study.config.schema import Confirm
from study.results.confirmation import Race

DIMENSIONS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSearches:
    """Random searches of a paraboloid with the noise of tiny MNIST.

    Attributes:
        studies: Number of studies.
        seed: Seed of all of them.
        trainings: Trainings that each may spend.
        replicas: Seeds of a search trial, today and with confirmation.
        noise: Standard deviation between seeds; half of it is common to all points of a seed.
        height: Difference in accuracy between the best and the worst corner.
        confirm: Settings of the confirmation.
    """

    studies: int = 300
    seed: int = 0
    trainings: int = 180
    replicas: tuple[int, int] = (3, 3)
    noise: float = 0.04
    height: float = 0.3
    confirm: Confirm = Confirm()  # noqa: RUF009 (frozen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegretComparison:
    """Mean true regret in accuracy, and the paired difference with its 95 % interval."""

    regret_plain: float
    regret_confirmed: float
    saved_low: float
    saved_high: float
    trainings_plain: float
    trainings_confirmed: float


def simulate(settings: SimulatedSearches) -> RegretComparison:
    """Run every study by both rules on the same points and seeds."""
    results = [_study(settings, i) for i in range(settings.studies)]
    plain, confirmed, spent = (np.array(column) for column in zip(*results, strict=True))
    rng = np.random.default_rng(settings.seed)
    drawn = rng.integers(0, len(plain), (10_000, len(plain)))
    saved = 1 - confirmed[drawn].mean(1) / plain[drawn].mean(1)
    low, high = np.quantile(saved, (0.025, 0.975))
    return RegretComparison(
        regret_plain=float(plain.mean()),
        regret_confirmed=float(confirmed.mean()),
        saved_low=float(low),
        saved_high=float(high),
        trainings_plain=settings.trainings,
        trainings_confirmed=float(spent.mean()),
    )


def _study(settings: SimulatedSearches, index: int) -> tuple[float, float, int]:
    """Return the regret of both rules, and the trainings that confirmation spent."""
    rng = np.random.default_rng([settings.seed, index])
    confirm, (plain_replicas, replicas) = settings.confirm, settings.replicas
    n_plain = settings.trainings // plain_replicas
    n_search = (settings.trainings - confirm.top * confirm.replicas) // replicas
    points = rng.random((max(n_plain, n_search), DIMENSIONS))
    optimum = rng.random(DIMENSIONS)
    regret = settings.height * ((points - optimum) ** 2).mean(1)

    def values(chosen: np.ndarray, n_seeds: int) -> np.ndarray:
        own, common = (settings.noise * share**0.5 for share in (0.5, 0.5))
        noise = rng.normal(0, own, (len(chosen), n_seeds)) + rng.normal(0, common, n_seeds)
        found: np.ndarray = -regret[chosen][:, None] + noise
        return found

    plain = values(np.arange(n_plain), plain_replicas).mean(1).argmax()
    ranked = values(np.arange(n_search), replicas).mean(1).argsort()[::-1][: confirm.top]
    fresh = values(ranked, confirm.replicas)
    results: dict[int, dict[int, tuple[float, ...] | None]] = {}
    names = [{"point": int(point)} for point in ranked]
    while (race := Race(confirm, names, results, maximize=True)).pending:
        for end, one in race.pending:
            results.setdefault(end, {})[one] = tuple(fresh[one, list(confirm.seeds_of(end))])
    spent = n_search * replicas + sum(
        len(row or ()) for of_round in results.values() for row in of_round.values()
    )
    assert race.chosen is not None
    return float(regret[plain]), float(regret[int(race.chosen["point"])]), spent


def main() -> None:
    """Print the regret of both rules for several searches of equal cost."""
    for noise in (0.02, 0.04, 0.08):
        for replicas in ((3, 3), (3, 2), (3, 1)):
            found = simulate(SimulatedSearches(noise=noise, replicas=replicas))
            sys.stdout.write(
                f"noise {100 * noise:.0f} points, {replicas[1]} replicas per search trial: regret "
                f"{100 * found.regret_plain:.2f} → {100 * found.regret_confirmed:.2f} points, "
                f"{100 * (1 - found.regret_confirmed / found.regret_plain):.0f} % less "
                f"[{100 * found.saved_low:.0f}, {100 * found.saved_high:.0f}], with "
                f"{found.trainings_confirmed:.0f} of {found.trainings_plain} trainings\n"
            )
