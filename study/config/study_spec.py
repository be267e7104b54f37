"""A study file, decoded strictly: every key is known, every value in its range, before a start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from study.config.arm import Arm
from study.config.arm_decoder import decode_arms
from study.config.outline import Outline, read_outline
from study.config.schema import Resources
from study.config.yaml_reader import read_text
from study.records.errors import SpecError
from trainables.decoding import decode, record
from trainables.errors import ConfigError
from trainables.fields import Direction, NameOf
from trainables.metrics import METRICS
from trainables.names import suggestion


@record
class Objective:
    """The metric by which trials are compared.

    Attributes:
        metric: A validation metric, ``val/accuracy``; the test split is never used.
        direction: Left out, it follows from the metric.
    """

    metric: Annotated[str, NameOf(METRICS, prefix="val/")] = "val/accuracy"
    direction: Direction | None = None

    def __post_init__(self) -> None:
        """Check that the direction is the metric's."""
        if self.direction not in (None, self.natural):
            raise ConfigError(
                f"direction is {self.direction!r}, but {self.metric} is to be {self.natural}d; "
                "leave it out."
            )

    @property
    def natural(self) -> Direction:
        """Direction of the metric."""
        return METRICS[self.metric.removeprefix("val/")].direction


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A whole study, resolved.

    Attributes:
        name: Name of the study and of its folder.
        seed: Seed of sampler and replicas.
        arms: Its arms, in the order of the file.
        metric: What trials are compared by.
        direction: Whether it is maximized or minimized.
        resources: What one trial occupies.
        notes: What the user should know, such as dimensions that an arm does not have.
    """

    name: str
    seed: int
    arms: tuple[Arm, ...]
    metric: str
    direction: Direction
    resources: Resources
    notes: tuple[str, ...]

    def arm(self, name: str) -> Arm:
        """Return the arm of a name.

        Raises:
            SpecError: If there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        names = [arm.name for arm in self.arms]
        raise SpecError(f"study {self.name!r} has no arm {name!r}; {suggestion(name, names)}")

    @property
    def groups(self) -> Mapping[str, tuple[Arm, ...]]:
        """Arms over several datasets: name to their members."""
        names = dict.fromkeys(arm.group for arm in self.arms if arm.group is not None)
        return {name: tuple(a for a in self.arms if a.group == name) for name in names}

    def transfer_sources(self, arm: Arm) -> tuple[Arm, ...]:
        """Return the arms whose chosen settings are also tried on an arm."""
        if not (arm.transfer and arm.is_searched):
            return ()
        others: dict[str, Arm] = {}
        for other in self.arms:
            is_other = other.name != arm.name and (other.group is None or other.group != arm.group)
            is_source = other.transfer and other.is_searched
            if is_source and is_other and other.method.name == arm.method.name:
                # The members of a group chose together: the first speaks for all.
                others.setdefault(other.group or other.name, other)
        return tuple(others.values())

    def final_budget(self, arm: Arm) -> int:
        """Number of final trials of an arm, if none of its points coincide."""
        return arm.final_budget + len(self.transfer_sources(arm))


def load(path: Path) -> StudySpec:
    """Read a study file.

    Raises:
        SpecError: If it cannot be read or anything in it is wrong; the message names the file,
            the dotted path of the key, what must hold and what came.
    """
    return parse(read_text(path), str(path))


def parse(text: str, where: str) -> StudySpec:
    """Decode the text of a study file; ``where`` names it in messages.

    Raises:
        SpecError: As :func:`load`.
    """
    try:
        return _study(read_outline(text, where))
    except ConfigError as error:
        raise SpecError(f"{where}: {error}") from None


def _study(data: Mapping[str, Any]) -> StudySpec:
    file = decode(Outline, data)
    objective = decode(Objective, file.objective, "objective")
    arms, notes = decode_arms(file.arms, file.defaults or {})
    return StudySpec(
        name=file.name,
        seed=file.seed,
        arms=arms,
        metric=objective.metric,
        direction=objective.natural,
        resources=file.resources,
        notes=notes,
    )
