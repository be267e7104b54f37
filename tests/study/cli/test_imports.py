"""Commands that must answer at once load nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "optuna", "mlflow", "matplotlib", "pandas")


def loaded_after(code: str, folder) -> set[str]:
    """Run some code in a fresh interpreter and name the heavy packages it has loaded."""
    script = f"import sys\n{code}\nprint(*(m for m in {HEAVY!r} if m in sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import study.cli.main",
        "from study.cli.main import run; assert run(['--help']) == 0",
        "from study.cli.main import run; assert run(['list', 'presets']) == 0",
        "from study.cli.main import run; assert run(['run', '--help']) == 0",
        "from study.cli.main import run; assert run(['run']) == 2",
    ],
)
def test_help_and_presets_load_nothing_heavy(code, tmp_path):
    assert loaded_after(code, tmp_path) == set()


@pytest.mark.usefixtures("begun")
def test_status_loads_the_database_alone(tmp_path):
    code = "from study.cli.main import run; assert run(['status', 'mine', '--json']) == 0"
    assert loaded_after(code, tmp_path) == {"optuna"}


def test_a_driver_loads_neither_figures_nor_the_compiler_of_torch(tmp_path):
    script = (
        "import sys, study.runner, study.executors; "
        "print(*(m for m in ('ray', 'mlflow', 'matplotlib', 'scipy', 'torchvision', "
        "'torch._dynamo') if m in sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == ""
