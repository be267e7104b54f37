"""The quota actor needs nothing of this package where it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ALONE = """
import pickle, sys
for name in ("cluster", "study", "trainables", "search_spaces"):
    sys.modules[name] = None  # an import of it fails
actor, state = pickle.loads(sys.stdin.buffer.read())
made = state(0.0, is_recovering=False)
said = {"key": "a", "study": "s", "priority": 0, "demand": {"CPU": 1.0}, "wanted": 2}
print(made.update(said, [{"CPU": 8.0}], 0.0, 1.0)["granted"])
print(made.rows([{"CPU": 1.0}], 0.0)[0]["granted"], actor.__name__)
"""


def test_its_classes_are_pickled_by_value_and_work_where_the_package_cannot_be_imported(
    tmp_path: Path,
) -> None:
    from ray import cloudpickle

    from cluster.quota.actor import QuotaActor, pickled_by_value
    from cluster.quota.state import QuotaState

    with pickled_by_value():
        parcel = cloudpickle.dumps((QuotaActor, QuotaState))
    done = subprocess.run(
        [sys.executable, "-c", _ALONE],
        input=parcel,
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout.decode().splitlines() == ["2", "1 QuotaActor"], done.stderr.decode()
    # Outside the context, classes are pickled by name.
    assert len(cloudpickle.dumps(QuotaState)) < 200 < len(parcel)
