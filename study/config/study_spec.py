"""A study file, decoded strictly: every key is known, every value in its range, before a start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from study.config.arm import Arm
from study.config.arm_decoder import decode_arms
from study.config.outline import Outline, read_outline
from study.config.schema import Resources
from study.config.yaml_reader import read_text
from study.records.errors import SpecError
from trainables.datasets.user_paths import paths_relative_to, study_folder
from trainables.decoding import decode, record
from trainables.errors import ConfigError, PluginError
from trainables.fields import Direction, NameOf
from trainables.metrics import METRICS
from trainables.names import suggestion
from trainables.plugins import (
    LoadedPlugin,
    find_installed,
    find_plugin,
    load_plugins,
    saved_plugins,
    used_plugins,
)


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
        plugins: Module of each plug-in that it depends on, to the SHA-256 of its content.
    """

    name: str
    seed: int
    arms: tuple[Arm, ...]
    metric: str
    direction: Direction
    resources: Resources
    notes: tuple[str, ...]
    plugins: Mapping[str, str] = field(default_factory=dict)

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
    return parse(read_text(path), str(path), path.parent)


def parse(text: str, where: str, folder: Path | None = None) -> StudySpec:
    """Decode the text of a study file, and load the plug-ins that it names.

    Args:
        text: The study file.
        where: Its name, for messages.
        folder: Folder of the study file, to which its relative paths belong, or that of a study's
            copies of its plug-ins; None is the working folder.

    Raises:
        SpecError: As :func:`load`.
    """
    try:
        origin = study_folder(folder)
    except UnicodeDecodeError:
        raise SpecError(
            f"{where}: the file in {folder} that names the study file's folder must be a text, "
            "but is damaged; remove it, and run the study from its file again."
        ) from None
    try:
        with paths_relative_to(origin):
            return _study(read_outline(text, where), folder)
    except (ConfigError, PluginError) as error:
        raise SpecError(f"{where}: {error}") from None


def _study(data: Mapping[str, Any], folder: Path | None) -> StudySpec:
    file = decode(Outline, data)
    named, installed = _load_plugins(file.plugins, folder)
    objective = decode(Objective, file.objective, "objective")
    arms, notes = decode_arms(file.arms, file.defaults or {})
    return StudySpec(
        name=file.name,
        seed=file.seed,
        arms=arms,
        metric=objective.metric,
        direction=objective.natural,
        resources=file.resources,
        notes=(*notes, *_plugin_notes(named)),
        plugins={
            **{one.plugin.module: one.plugin.digest for one in named},
            **_used_plugins(arms, installed),
        },
    )


def _load_plugins(
    entries: Sequence[str], folder: Path | None
) -> tuple[Sequence[LoadedPlugin], Sequence[LoadedPlugin]]:
    """Load the plug-ins that a study file names, or a folder has copies of, and installed ones."""
    copies = () if folder is None else saved_plugins(folder)
    found = {one.module: one for one in copies}
    for i, entry in enumerate(entries):
        module = Path(entry).stem if entry.endswith(".py") else entry
        if module in found and not copies:
            raise ConfigError(f"plugins[{i}] is {entry!r}, which is there twice; remove it.")
        if module not in found:
            try:
                found[module] = find_plugin(entry, folder)
            except PluginError as error:
                raise PluginError(f"plugins[{i}]: {error}") from None
    further = [one for one in find_installed() if one.module not in found]
    loaded = load_plugins([*found.values(), *further])
    return loaded[: len(found)], loaded[len(found) :]


def _used_plugins(arms: Sequence[Arm], installed: Sequence[LoadedPlugin]) -> dict[str, str]:
    """Return the installed plug-ins that results depend on: named parts, and every metric."""
    modules = {one.plugin.module for one in installed}
    points = (
        arm.trial_config(p, (0,), is_final=False) for arm in arms for p in arm.choice_points()
    )
    named = {module for point in points for module in used_plugins(point)} if modules else set()
    measuring = {
        one.plugin.module for one in installed if any(p.kind == "metric" for p in one.parts)
    }
    return {
        one.plugin.module: one.plugin.digest
        for one in installed
        if one.plugin.module in named | measuring
    }


def _plugin_notes(named: Sequence[LoadedPlugin]) -> list[str]:
    return [
        f"plug-in {one.plugin.module} defines no dataset, model, method, attribution or metric."
        for one in named
        if not one.parts
    ]
