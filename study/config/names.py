"""Names of studies and arms, which are names of folders too."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from trainables.decoding import shown
from trainables.errors import ConfigError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_name(where: str, name: object) -> None:
    """Refuse a name that is unfit for a folder, a URL or a database.

    Args:
        where: Dotted path of the name, for the message.
        name: What the file says.

    Raises:
        ConfigError: If it is unfit.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ConfigError(
            f"{where} must be 1 to 64 lower-case letters, digits, '.', '_' or '-', and begin with "
            f"a letter or digit, got {shown(name)}."
        )


def _fit(name: str) -> str:
    check_name("", name)
    return name


Name: TypeAlias = Annotated[str, AfterValidator(_fit)]
