"""Reasons of failures in Ray's error files."""

from __future__ import annotations

import pytest

from study.engine.executors.tune_callbacks import last_failure

CREATION = (
    "Failure # 1 (occurred at noon)\nThe actor died because of an error raised in its creation "
    'task, \x1b[36mray::Trainable.__init__()\x1b[39m (pid=7)\n  File "loop.py", line 3\n'
    "ImportError: no module of that name\n"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Ray gives no reason."),
        ("Failure # 1 (at noon)\nTraceback\n  File\nValueError: no\n", "ValueError: no"),
        (CREATION, "ImportError: no module of that name"),
        (
            "Failure # 1 (at noon)\nTraceback\nOSError\nFailure # 2 (at one)\n"
            "The actor died.\nIts process was killed.\n",
            "The actor died. Its process was killed.",
        ),
    ],
)
def test_the_reason_of_the_last_failure_is_found(text, reason):
    assert last_failure(text) == reason
