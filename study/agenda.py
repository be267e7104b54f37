"""Which trial a study begins next: questions to the ledger, from what is in the books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from search_spaces import ParamValue, distinct
from study.books import Books
from study.spec import Arm
from study.store.folder import TrialKey
from study.store.ledger import (
    DesignSettings,
    Entry,
    Ledger,
    ProposerSettings,
    SamplerSettings,
)
from study.trial_table import PhaseName
from trainables.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSampler:
    """Ask who proposes for the next search trial of an arm, through its group if it has one.

    Attributes:
        arm: The arm.
        number: The trial's number.
        settings: How points are proposed.
        group_point: The group's point of that number, if another member has asked for it.
    """

    arm: Arm
    number: int
    settings: ProposerSettings
    group_point: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterPoint:
    """Enter a trial at a point that was chosen beforehand."""

    arm: Arm
    phase: PhaseName
    number: int
    params: Mapping[str, ParamValue]


Question: TypeAlias = AskSampler | EnterPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A trial that the ledger gave, and its group's point if the trial is a member's."""

    entry: Entry
    group_point: Entry | None = None


def answer(ledger: Ledger, question: Question) -> Answer:
    """Put a question to the ledger; the same one again gets the same answer."""
    if isinstance(question, EnterPoint):
        return Answer(entry=_enter(ledger, question, question.phase, question.params))
    arm, number = question.arm, question.number
    if arm.group is None:
        replicas = arm.replicas.search
        return Answer(entry=ledger.ask(arm.name, number, arm.space, question.settings, replicas))
    point = question.group_point or ledger.ask(arm.group, number, arm.space, question.settings)
    return Answer(entry=_enter(ledger, question, "search", point.params), group_point=point)


def next_question(books: Books) -> Question | None:
    """Give what to ask next, or None while nothing can be begun.

    Searches go before final trials, and the arm that is furthest behind first, so that all
    searches end together.
    """
    waiting = [
        (len(books.phase(arm.name, "search").entries) / arm.search_budget, i, arm)
        for i, arm in enumerate(books.spec.arms)
        if _is_search_open(books, arm)
    ]
    return _search(books, min(waiting)[2]) if waiting else _final(books)


def proposer_settings(arm: Arm, seed: int) -> ProposerSettings:
    """Say who proposes the search trials of an arm, or of its group, in a study of a seed."""
    name = arm.group or arm.name
    if arm.search.design is not None:
        return DesignSettings(design=arm.search.design, seed=derive_seed(seed, "design", name))
    return SamplerSettings(
        name=arm.search.sampler,
        seed=derive_seed(seed, "sampler", name),
        startup_trials=arm.search.startup_trials,
    )


def has_work(books: Books) -> bool:
    """Tell whether any trial is still to be trained."""
    return any(phase.is_running for phase in books.phases) or next_question(books) is not None


def count_open(books: Books) -> int:
    """Count the trials that could begin now, if there were room for all of them."""
    orphans = sum(len(phase.orphans) for phase in books.phases)
    arms = books.spec.arms
    left = (arm.search_budget - len(books.phase(arm.name, "search").entries) for arm in arms)
    searches = sum(max(count, 0) for count in left)
    return orphans + searches + sum(len(_open_points(books, arm)) for arm in arms)


def _enter(
    ledger: Ledger, question: Question, phase: PhaseName, params: Mapping[str, ParamValue]
) -> Entry:
    arm = question.arm
    key = TrialKey(arm=arm.name, phase=phase, number=question.number)
    return ledger.ask_point(key, params, arm.space, arm.replicas.of(phase))


def _search(books: Books, arm: Arm) -> Question:
    number = len(books.phase(arm.name, "search").entries)
    if not arm.space.dimensions:
        return EnterPoint(arm=arm, phase="search", number=number, params={})
    settings = proposer_settings(arm, books.spec.seed)
    point = books.groups[arm.group].entries.get(number) if arm.group else None
    return AskSampler(arm=arm, number=number, settings=settings, group_point=point)


def _final(books: Books) -> Question | None:
    for arm in books.spec.arms:
        number = len(books.phase(arm.name, "final").entries)
        for params in _open_points(books, arm):
            return EnterPoint(arm=arm, phase="final", number=number, params=params)
    return None


def _is_search_open(books: Books, arm: Arm) -> bool:
    return len(books.phase(arm.name, "search").entries) < arm.search_budget


def _open_points(books: Books, arm: Arm) -> list[dict[str, ParamValue]]:
    best = books.best(arm)
    if best is None:
        return []
    # A study file that asks for more replicas has its points trained anew, with all of them.
    wanted = arm.replicas.final
    finals = books.phase(arm.name, "final").entries.values()
    asked = [dict(e.params) for e in finals if (e.replicas or wanted) >= wanted]
    points = (*arm.final_points(best), *_transferred(books, arm))
    return [params for params in distinct(points) if params not in asked]


def _transferred(books: Books, arm: Arm) -> list[Mapping[str, ParamValue]]:
    """Give what other arms of the method chose, as far as it is legal here."""
    found = [books.best(other) for other in books.spec.transfer_sources(arm)]
    return [params for params in found if params is not None and not arm.objection(params)]
