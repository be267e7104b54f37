"""Texts that are no YAML: templates beside this file, of which no name may stay unfilled."""

from __future__ import annotations

import shlex
from importlib.resources import files
from typing import Any

import jinja2


def filled(name: str, **values: Any) -> str:  # noqa: ANN401 (whatever the template asks for)
    """Fill a template.

    Args:
        name: Its file.
        values: What it asks for; ``| quote`` in it makes one word of a shell.

    Raises:
        jinja2.UndefinedError: If it asks for something else.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        # Scripts and Dockerfiles are no HTML.
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = shlex.quote
    text = (files("cluster.render") / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(**values)
