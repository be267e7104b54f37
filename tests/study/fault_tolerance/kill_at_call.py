"""The program, made to kill itself with a real SIGKILL at one call of one function.

``python -m tests.study.fault_tolerance.kill_at_call module:name WHEN COUNT ARGUMENT...``, WHEN ``before`` or
``after``; COUNT says at which call. A name may have a dot: a method of a class.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def kill_at(call: Callable[..., Any], when: str, count: int) -> Callable[..., Any]:
    """Wrap a function so that one of its calls is the last thing that the process does."""
    left = count

    def wrapper(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **named)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapper


def main() -> None:
    """Run the program."""
    place, when, count, *arguments = sys.argv[1:]
    module, _, name = place.partition(":")
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, kill_at(getattr(owner, last), when, int(count)))
    sys.argv = ["challenger-study", *arguments]
    from study.cli.main import main as program

    program()


if __name__ == "__main__":
    main()
