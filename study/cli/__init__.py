"""The command line: groups, options and output."""

import importlib.util
import sys
from pathlib import Path

# The word that each package's own file holds.
_PROGRAM = "challenger-study"


def _foreign_package() -> str | None:
    """Return the file of a package that another distribution has replaced, or None."""
    for name in ("cluster", "search_spaces", "trainables"):
        spec = importlib.util.find_spec(name)
        origin = None if spec is None else spec.origin
        if origin is None or _PROGRAM not in Path(origin).read_text("utf-8", "replace"):
            return f"package {name!r} ({origin or 'missing'})"
    return None


if (_found := _foreign_package()) is not None:
    # Before anything of it is imported, whose errors would say nothing.
    sys.stderr.write(
        f"Error: {_found} is not {_PROGRAM}'s, whose package of that name another distribution "
        "has replaced; install it into an environment without that one.\n"
    )
    sys.exit(2)
