"""Read a study file's text."""

from __future__ import annotations

from pathlib import Path

from study.errors import SpecError


def read_text(path: Path) -> str:
    """Read a text file that the user named.

    Raises:
        SpecError: If it cannot be read or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}; name a study file.") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path} is no UTF-8 text; name a study file (YAML).") from None
