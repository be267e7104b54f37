"""The program, with a log of every address that its own process connects to.

``python -m tests.study.fault_tolerance.log_connections FILE ARGUMENT...``; without Ray, trials
run in this process too.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the program."""
    _, file, *arguments = sys.argv
    path = Path(file)

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect":
            with path.open("a", encoding="utf-8") as lines:
                lines.write(f"{arguments[1]}\n")

    sys.addaudithook(note)
    sys.argv = ["challenger-study", *arguments]
    from study.cli.main import main as program

    program()


if __name__ == "__main__":
    main()
