from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from trainables.runtime import malloc
from trainables.runtime.malloc import disable_malloc_trim

# Two arrays of 40 MB, several times, as a step does; the first steps find the places for them.
FAULTS = """
import resource, sys
import numpy as np
if sys.argv[1] == "kept":
    from trainables.runtime.malloc import disable_malloc_trim
    assert disable_malloc_trim()

def step():
    np.full(5_000_000, 1.0) + 1

for _ in range(6):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(6):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    program = [sys.executable, "-c", FAULTS, mode]
    return int(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_later_steps_ask_the_system_for_no_new_pages():
    assert 10 * faults("kept") < faults("returned")


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(malloc.platform, "libc_ver", lambda: ("", ""))
    assert not disable_malloc_trim()
