"""Annotations of settings: checks, search ranges, symbols and alternatives.

A setting is declared once::

    top_k: Annotated[Count, SearchRange(1, "n_classes"), Symbol("K", "Explained classes, K")] = 5

Checks are pydantic's ``Field(ge=…, le=…)``, the common ones with names of this module. The other
annotations are read by :func:`parameters` and :func:`symbol_of`. Every size has an upper bound, so
that a typing error gives a message and does not exhaust the machine.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from trainables.decoding import build, field_names, is_record, shown
from trainables.errors import ConfigError
from trainables.names import suggestion

T = TypeVar("T")

Direction: TypeAlias = Literal["maximize", "minimize"]
ReplicaMode: TypeAlias = Literal["auto", "vmap", "loop"]

Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000)]
Size: TypeAlias = Annotated[int, Field(ge=1, le=10_000_000)]
"""Number of samples."""
Amount: TypeAlias = Annotated[float, Field(ge=0, le=1e6)]
Positive: TypeAlias = Annotated[float, Field(gt=0, le=1e6)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
PositiveShare: TypeAlias = Annotated[float, Field(gt=0, le=1)]
InnerShare: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Seed: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]


@dataclass(frozen=True, slots=True)
class SearchRange:
    """The default search range of a parameter.

    Attributes:
        low: Lowest value, or the name of a fact of the dataset.
        high: Highest value, likewise; a fact (``n_classes``) is also a limit for given values.
        log: Whether the sampler works on a logarithmic scale.
        unit: Fact of the dataset in whose units ``low`` and ``high`` are, or None.
        counts: The range in counts of a parameter that is a fraction or a count.
        by_default: Whether it is searched unless a study file names it.
        when: Another field and its choice without which this one has no effect, or None.
    """

    low: int | float | str
    high: int | float | str
    log: bool = False
    unit: str | None = None
    counts: tuple[int, str] | None = None
    by_default: bool = True
    when: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Symbol:
    """Names of a parameter: the paper's symbol or a word, and the label of an axis."""

    short: str
    axis: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """A setting that is equal for all trials of an arm, with the reason for a message."""

    reason: str


@dataclass(frozen=True, slots=True)
class Kinds:
    """One message for a field of several types, such as ``int | float``.

    Attributes:
        rule: Name of its values: ``a number``.
    """

    rule: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Replace the messages of the single types."""
        return core_schema.custom_error_schema(
            handler(source), "kind", custom_error_message=f"must be {self.rule}"
        )


@dataclass(frozen=True, eq=False)
class OneOf:
    """One of several records, selected by ``name``; the name alone means its defaults.

    Attributes:
        known: Name to record; read at every validation, so that later additions count.
    """

    known: Mapping[str, type[Any]]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return a schema that selects the record by its name."""
        return core_schema.no_info_plain_validator_function(self.build)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema of a name, or of the settings of any of the records."""
        schemas: list[dict[str, Any]] = [{"enum": sorted(self.known)}]
        for name, kind in self.known.items():
            schemas.append(handler(kind.__pydantic_core_schema__))
            settings = handler.resolve_ref_schema(schemas[-1]).setdefault("properties", {})
            settings["name"] = {"const": name}
        return {"anyOf": schemas}

    def build(self, data: object) -> Any:  # noqa: ANN401 (any of the records)
        """Build the record named in the data."""
        if isinstance(data, tuple(self.known.values())):
            return data
        if isinstance(data, Mapping) and "name" not in data:
            raise ConfigError(f" needs a 'name'; {suggestion('', self.known)}")
        if not isinstance(data, str | Mapping):
            raise ConfigError(f" must be a mapping of settings, got {shown(data)}.")
        name = data if isinstance(data, str) else data["name"]
        if not (isinstance(name, str) and name in self.known):
            field = "" if isinstance(data, str) else "name"
            hint = suggestion(str(name), self.known)
            raise ConfigError(f"{field} is {shown(name)}, which is not known; {hint}")
        return build(self.known[name], data)


@dataclass(frozen=True, eq=False)
class NameOf:
    """A text that must be a key of a mapping, such as the name of a metric.

    Attributes:
        known: The mapping, read at every validation.
        prefix: Text before every key.
    """

    known: Mapping[str, object]
    prefix: str = ""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Check the text after its type."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema of the names."""
        return {"enum": self.names()}

    def names(self) -> list[str]:
        """Return the accepted texts."""
        return [self.prefix + name for name in sorted(self.known)]

    def _check(self, value: str) -> str:
        if value not in self.names():
            hint = suggestion(value, self.names())
            raise ConfigError(f" is {shown(value)}, which is not known; {hint}")
        return value


ParameterKind: TypeAlias = Literal["int", "float", "share_or_count", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A field that may be searched.

    Attributes:
        kind: Kind of its values.
        annotation: Its annotated type.
        choices: Values of a choice.
        search: Its range, if it has one.
        fixed: Reason for not being searched, if any.
    """

    kind: ParameterKind
    annotation: Any
    choices: tuple[str, ...] = ()
    search: SearchRange | None = None
    fixed: Fixed | None = None


def parameters(record: object, prefix: str = "") -> dict[str, Parameter]:
    """Return the numbers and choices among the fields of a record or a class of records.

    With a ``prefix``, the path of the record, fields of nested records are included by path.
    """
    kind = record if isinstance(record, type) else type(record)
    found = {}
    for name, hint in hints(kind).items():
        path = f"{prefix}{name}"
        one = _parameter(hint)
        value = None if isinstance(record, type) else getattr(record, name, None)
        if one is not None:
            found[path] = one
        if prefix and is_record(type(value)):
            found |= parameters(value, f"{path}.")
    return found


def symbol_of(kinds: Iterable[type], name: str) -> Symbol | None:
    """Return the symbol of the first field of that name."""
    for kind in kinds:
        for symbol in _of(Symbol, hints(kind).get(name)):
            return symbol
    return None


@cache
def hints(kind: type) -> Mapping[str, Any]:
    """Return the annotated types of a record's fields."""
    found = typing.get_type_hints(kind, include_extras=True)
    return {name: found[name] for name in field_names(kind)}


def _parameter(hint: Any) -> Parameter | None:  # noqa: ANN401 (an annotation)
    search, fixed = next(_of(SearchRange, hint), None), next(_of(Fixed, hint), None)
    bare = _bare(hint)
    records = next(_of(OneOf, hint), None)
    if records is not None and bare not in (type(None),):
        names = tuple(sorted(records.known))
        return Parameter(kind="choice", annotation=hint, choices=names, fixed=fixed)
    if typing.get_origin(bare) is Literal:
        return Parameter(
            kind="choice", annotation=hint, choices=typing.get_args(bare), search=search,
            fixed=fixed,
        )  # fmt: skip
    kinds: dict[Any, ParameterKind] = {int: "int", float: "float", int | float: "share_or_count"}
    if isinstance(bare, type | UnionType) and bare in kinds:
        return Parameter(kind=kinds[bare], annotation=hint, search=search, fixed=fixed)
    return None


def _bare(hint: Any) -> Any:  # noqa: ANN401
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _of(kind: type[T], hint: Any) -> Iterator[T]:  # noqa: ANN401
    yield from (one for one in getattr(hint, "__metadata__", ()) if isinstance(one, kind))
