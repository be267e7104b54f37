"""The conventions for contributors that a linter does not know."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("study", "trainables", "search_spaces", "cluster")
MODULES: Final = tuple(
    sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
)

# A docstring says what a caller gets, in the imperative of the standard library.
_FIRST_WORDS: Final = frozenset({"Give", "Say", "Tell", "What", "Whether", "Who", "How", "Where"})
_BRITISH: Final = re.compile(
    r"optimis(?!tic)|initialis(?!ation\"$)|normalis|standardis|maximis|minimis|serialis|summaris|colour|behaviour"
    r"|\bgrey|\bcentre|neighbour|cancell(?:ed|ing)|labell(?!imit)",
    re.IGNORECASE,
)
# The library's own word where it has one: these stood for trial stores, writers, leases, slots.
_PRIVATE_WORDS: Final = re.compile(
    r"\b_?(?:Conductor|Ledger|Clerk|Books|Twins|Seat|Desk|Bid|Wish|Begun|Exhibit|Draws|Cohort"
    r"|Damped|Margin|Whereabouts|Surroundings)\b"
)


def _definitions(path: Path) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _is_property(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any("property" in ast.unparse(decorator) for decorator in decorators)


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {first}"
        for path in MODULES
        for node in _definitions(path)
        if not isinstance(node, ast.ClassDef) and not _is_property(node)
        for first in [(ast.get_docstring(node) or "").partition(" ")[0]]
        if first in _FIRST_WORDS
    ]
    assert not wrong, "\n".join(wrong)


def test_no_class_name_stands_for_two_things() -> None:
    places = defaultdict(set)
    for path in MODULES:
        for node in _definitions(path):
            if isinstance(node, ast.ClassDef):
                places[node.name].add(str(path.relative_to(ROOT)))
    twice = {name: sorted(where) for name, where in places.items() if len(where) > 1}
    assert not twice


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_stem_occurs_twice_in_a_package(package: str) -> None:
    places = defaultdict(list)
    for path in MODULES:
        if path.relative_to(ROOT).parts[0] == package and path.name != "__init__.py":
            places[path.stem].append(str(path.relative_to(ROOT)))
    assert not {stem: where for stem, where in places.items() if len(where) > 1}


@pytest.mark.parametrize("pattern", [_BRITISH, _PRIVATE_WORDS], ids=["spelling", "private words"])
def test_the_words_are_the_fields_own(pattern: re.Pattern[str]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in MODULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_stands_loose_in_study() -> None:
    assert {path.name for path in (ROOT / "study").glob("*.py")} == {"__init__.py", "__main__.py"}
