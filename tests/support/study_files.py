"""Study files for tests."""

from __future__ import annotations

import pytest

from study.config.study_spec import StudySpec, parse
from study.records.errors import SpecError

DEFAULTS = "defaults: {dataset: digits, model: vgg11}\n"


def study(arms: str, more: str = "", defaults: str = DEFAULTS) -> StudySpec:
    """Read a study of some arms (flow style) and further lines at the top level."""
    return parse(text(arms, more, defaults), "s.yaml")


def text(arms: str, more: str = "", defaults: str = DEFAULTS) -> str:
    """Write a study file."""
    return f"name: t\n{defaults}arms: [{arms}]\n{more}"


def refusal(content: str) -> str:
    """Return the message with which a study file is refused, without the file's name."""
    with pytest.raises(SpecError) as caught:
        parse(content, "s.yaml")
    message = str(caught.value)
    assert message.startswith("s.yaml: ")
    return message.removeprefix("s.yaml: ")
