"""Run a command and print the peak memory of all processes that it starts.

Sums the proportional set sizes of the command's descendants a few times a second, so that pages
which processes share are counted once. Linux only.
"""

from __future__ import annotations

import sys
import time

import psutil


def main() -> int:
    """Measure the command given as arguments."""
    command = psutil.Popen(sys.argv[1:])
    peak = 0
    while command.poll() is None:
        peak = max(peak, _memory(command.pid))
        time.sleep(0.5)
    sys.stdout.write(f"peak memory of all processes: {peak / 2**30:.2f} GiB\n")
    return int(command.returncode)


def _memory(root: int) -> int:
    try:
        tree = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_share, tree))


def _share(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


if __name__ == "__main__":
    sys.exit(main())
