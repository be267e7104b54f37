"""A first look at a study file, without torch: its outline, and what no dataset or method decides.

A wrong file is mostly wrong here, and refused in half a second and a tenth of the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from study.config.defaults import merge
from study.config.schema import (
    Name,
    Replicas,
    Resources,
    SearchConfig,
    Sensitivity,
    check_name,
)
from study.config.yaml_reader import read_yaml
from study.records.errors import SpecError
from study.storage.layout import RESERVED_NAMES
from trainables.decoding import decode, record, shown
from trainables.errors import ConfigError
from trainables.fields import Seed
from trainables.names import printable, suggestion


def _unreserved(name: str) -> str:
    check_name("", name)
    if name in RESERVED_NAMES:
        raise ConfigError(
            f" must not be {name!r}, which stands for something else in the storage folder; "
            "choose another."
        )
    return name


@record
class Outline:
    """The top level of a study file, its arms and objective unread.

    Attributes:
        name: Name of the study and of its folder.
        seed: Seed of sampler and replicas.
        plugins: Files beside the study file (``my_parts.py``) and importable modules
            (``my_lab.parts``), whose datasets, models, methods, attributions and metrics it names.
        defaults: What holds for all arms; every key may be overridden in an arm.
        arms: Each dataset × model × method that is trained.
        objective: What trials are compared by.
        resources: What one trial occupies.
    """

    name: Annotated[str, AfterValidator(_unreserved)]
    arms: Annotated[tuple[Any, ...], Field(min_length=1, max_length=500)]
    seed: Seed = 0
    plugins: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...], Field(max_length=100)
    ] = ()
    defaults: Mapping[str, Any] | None = None
    objective: Any = field(default_factory=dict)
    resources: Resources = Resources()


_ALTERNATIVES: Final = ("dataset", "method", "model")
_OWN: Final = ("like", "method", "name", "passes_like")
# Keys of an arm to what they hold, as far as that can be said without torch.
ARM_KEYS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(_ALTERNATIVES, Any),
    "evaluation": Any,
    "like": Name | None,
    "name": Name | None,
    "passes_like": Name | None,
    "replicas": Replicas,
    "search": SearchConfig,
    "sensitivity": Annotated[tuple[Sensitivity, ...], Field(max_length=100)],
    "training": Any,
    "transfer": bool,
}


def read_outline(text: str, where: str) -> dict[str, Any]:
    """Parse the text of a study file, and check what can be checked without torch.

    Raises:
        SpecError: If it is no YAML, or anything in it is wrong; the message names the file, the
            dotted path of the key, what must hold and what came.
    """
    data = read_yaml(text, where)
    try:
        outline = decode(Outline, data)
        defaults = outline.defaults or {}
        _check_part("defaults", defaults, {}, [k for k in ARM_KEYS if k not in _OWN])
        for i, arm in enumerate(outline.arms):
            if not isinstance(arm, Mapping):
                raise ConfigError(f"arms[{i}] must be a mapping of settings, got {shown(arm)}.")
            _check_part(f"arms[{i}]", arm, defaults, list(ARM_KEYS))
    except ConfigError as error:
        raise SpecError(f"{where}: {error}") from None
    return data


def check_complete(data: Mapping[str, Any], where: str) -> None:
    """Check that every arm of an outline has a dataset and a model.

    Raises:
        SpecError: If one has none.
    """
    for i, own in enumerate(data["arms"]):
        arm = {**(data.get("defaults") or {}), **own}
        for key in ("dataset", "model"):
            if key not in arm and not (key == "dataset" and "datasets" in arm):
                raise SpecError(f"{where}: arms[{i}].{key} is missing; give it a value.")


def _check_part(
    where: str, part: Mapping[str, Any], defaults: Mapping[str, Any], known: list[str]
) -> None:
    for key, value in part.items():
        path = f"{where}.{printable(str(key))}"
        if key == "datasets" and "name" in known:
            continue
        if key not in known:
            raise ConfigError(f"{path} is not a setting; {suggestion(str(key), known)}")
        if key in _ALTERNATIVES and isinstance(value, Mapping) and "name" in value:
            decode(str, value["name"], f"{path}.name")
        elif ARM_KEYS[key] is not Any:
            decode(ARM_KEYS[key], merge(defaults, {key: value})[key], path)
