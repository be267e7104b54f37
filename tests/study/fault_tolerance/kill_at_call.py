"""The program, killed by a real SIGKILL at one call of one function.

``python -m tests.study.fault_tolerance.kill_at_call module:name WHEN COUNT ARGUMENT...``, with
WHEN ``before`` or ``after``, at the call number COUNT. A name may be that of a class's method.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def kill_at(call: Callable[..., Any], when: str, count: int) -> Callable[..., Any]:
    """Wrap a function so that one of its calls kills the process."""
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
    target, when, count, *arguments = sys.argv[1:]
    module, _, name = target.partition(":")
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
