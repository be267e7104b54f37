"""The queue's actor needs nothing of this package where it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ALONE = """
import pickle, sys
for name in ("cluster", "study", "trainables", "search_spaces"):
    sys.modules[name] = None  # an import of it fails
desk, register = pickle.loads(sys.stdin.buffer.read())
made = register(0.0, is_learning=False)
said = {"key": "a", "study": "s", "priority": 0, "demand": {"CPU": 1.0}, "wanted": 2}
print(made.hear(said, [{"CPU": 8.0}], 0.0, 1.0)["granted"])
print(made.rows([{"CPU": 1.0}], 0.0)[0]["granted"], desk.__name__)
"""


def test_its_classes_travel_by_value_and_work_where_the_package_cannot_be_imported(
    tmp_path: Path,
) -> None:
    from ray import cloudpickle

    from cluster.queue.desk import Desk, travelling_by_value
    from cluster.queue.register import Register

    with travelling_by_value():
        parcel = cloudpickle.dumps((Desk, Register))
    done = subprocess.run(
        [sys.executable, "-c", _ALONE],
        input=parcel,
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout.decode().splitlines() == ["2", "1 Desk"], done.stderr.decode()
    # What else this program sends to Ray still travels by its name.
    assert len(cloudpickle.dumps(Register)) < 200 < len(parcel)
