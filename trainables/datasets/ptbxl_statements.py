"""What PTB-XL's statements say of a record: which of a task's classes it belongs to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.errors import DataError

Task: TypeAlias = Literal["all", "diag", "sub-diag", "super-diag", "form", "rhythm"]

N_CLASSES: Mapping[Task, int] = MappingProxyType(
    {"all": 71, "diag": 44, "sub-diag": 23, "super-diag": 5, "form": 19, "rhythm": 12}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One kind of statement: a row of ``scp_statements.csv``.

    Attributes:
        code: Its name, such as NORM or SR.
        kinds: Which of ``diagnostic``, ``form`` and ``rhythm`` it is; some are two of them.
        subclass: Diagnostic subclass, empty if it is not diagnostic.
        superclass: Diagnostic superclass, likewise.
    """

    code: str
    kinds: frozenset[str]
    subclass: str
    superclass: str


def class_of_code(statements: Collection[Statement], task: Task) -> dict[str, str]:
    """Give the class of a task that each statement stands for; statements of none are left out.

    Raises:
        DataError: If the classes are not as many as PTB-XL has.
    """
    found = {s.code: name for s in statements if (name := _class(s, task))}
    n_classes = len(set(found.values()))
    if n_classes != N_CLASSES[task]:
        raise DataError(
            f"scp_statements.csv names {n_classes} classes of task {task!r}, but PTB-XL has "
            f"{N_CLASSES[task]}; replace it by a fresh copy."
        )
    return found


def label_matrix(
    codes: Sequence[Collection[str]], statements: Collection[Statement], task: Task
) -> Float[Tensor, "record classes"]:
    """Write 0 or 1 per record and class, the classes in the alphabetical order of their names.

    A statement counts whatever likelihood it was given, 0 included, as in the benchmark.

    Args:
        codes: Statements of each record.
        statements: What they stand for.
        task: Which classes are asked for.

    References:
        Strodthoff et al., IEEE J-BHI 2021, arXiv:2004.13701, section II.
    """
    class_of = class_of_code(statements, task)
    column = {name: k for k, name in enumerate(sorted(set(class_of.values())))}
    labels = torch.zeros(len(codes), len(column))
    for row, own in enumerate(codes):
        for code in class_of.keys() & own:
            labels[row, column[class_of[code]]] = 1
    return labels


def _class(statement: Statement, task: Task) -> str:
    # Empty for a statement that the task does not know.
    if task == "all":
        return statement.code
    if task in ("form", "rhythm"):
        return statement.code if task in statement.kinds else ""
    if "diagnostic" not in statement.kinds:
        return ""
    if task == "diag":
        return statement.code
    return statement.subclass if task == "sub-diag" else statement.superclass
