"""Exit codes of the command line, and imports of its commands."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cluster.errors import ClusterError
from search_spaces import SpaceError
from study.data import DownloadError
from study.engine import run
from study.records.errors import (
    BusyError,
    ReportError,
    SpecError,
    StoreError,
    StudyError,
    TrackingError,
)
from tests.study.cli.conftest import STUDY, files_below
from trainables.errors import ConfigError, DataError, TrainableError

HEAVY = ("torch", "ray", "optuna", "mlflow", "altair", "pandas")


def loaded_after(code: str, folder) -> set[str]:
    """Return the heavy packages that some code loads in a fresh interpreter."""
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


@pytest.mark.usefixtures("created_study")
@pytest.mark.service
def test_status_loads_the_database_alone(tmp_path):
    code = "from study.cli.main import run; assert run(['status', 'mine', '--json']) == 0"
    assert loaded_after(code, tmp_path) == {"optuna"}


@pytest.mark.service
def test_a_driver_loads_neither_figures_nor_the_compiler_of_torch(tmp_path):
    script = (
        "import sys, study.engine.run, study.engine.executors; "
        "print(*(m for m in ('ray', 'mlflow', 'altair', 'scipy', 'torchvision', "
        "'torch._dynamo') if m in sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == ""


ERRORS = [
    StudyError,
    SpecError,
    StoreError,
    BusyError,
    ReportError,
    DownloadError,
    TrackingError,
    SpaceError,
    TrainableError,
    ConfigError,
    DataError,
    ClusterError,
]
NAMED_COMMANDS = {
    "resume": ["resume", "mnie"],
    "status": ["status", "mnie"],
    "status as JSON": ["status", "mnie", "--json"],
    "show": ["show", "mnie"],
    "report": ["report", "mnie"],
    "sensitivity": ["sensitivity", "mnie", "--over", "top_k"],
    "mlflow rebuild": ["mlflow", "rebuild", "mnie"],
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nope"], "Error: No such option '--nope'."),
        (["nope"], "Error: No such command 'nope'."),
        (["demo", "--nope"], "Error: No such option '--nope'."),
        (["run"], "Error: Missing argument 'STUDY.yaml'."),
        (["status"], "Error: Missing argument 'NAME'."),
        (["sensitivity", "mine"], "Error: Missing option '--over'."),
        (
            ["sensitivity", "mine", "--over", "top_k", "--over", "alpha", "--values", "1,2"],
            "Error: --values belongs to one dimension; use --over once with it.",
        ),
        (
            ["list", "everything"],
            "Error: Invalid value for '[KIND]': 'everything' is not one of 'datasets', 'readers', "
            "'models', 'methods', 'attributions', 'metrics', 'spaces', 'presets', 'studies'.",
        ),
        (
            ["demo", "--executor", "slurm"],
            "Error: Invalid value for '--executor': 'slurm' is not one of 'ray', 'inline'.",
        ),
    ],
)
def test_unusable_arguments_end_with_2_and_the_usage(arguments, message, run_cli, tmp_path):
    ended = run_cli(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: challenger-study")
    assert ended.err.splitlines()[-1] == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            STUDY.replace("dataset: digits", "dataset: digit"),
            "Error: s.yaml: defaults.dataset is 'digit', which is not known; did you mean "
            "'digits'?",
        ),
        (
            STUDY.replace("high: 5", "high: 11"),
            "Error: s.yaml: defaults.search.space.top_k.high is 11, but digits has 10 "
            "classes; lower it to 10 or less.",
        ),
        ("name: [", None),
        ("", None),
        (STUDY.replace("name: mine", "name: ../mine"), None),
        (STUDY.replace("dataset: digits", "dataset: mnist"), None),
    ],
    ids=["unknown name", "out of range", "no YAML", "empty", "bad name", "data that is not there"],
)
@pytest.mark.parametrize("executor", ["ray", "inline"])
def test_a_bad_study_file_ends_with_2_and_one_line_and_leaves_nothing_behind(
    content, message, executor, run_cli, tmp_path
):
    (tmp_path / "s.yaml").write_text(content, encoding="utf-8")
    before = files_below(tmp_path)
    ended = run_cli("run", "s.yaml", "--executor", executor)
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert line.startswith("Error: s.yaml")
    assert message in (None, line)
    assert files_below(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_a_file_that_is_not_there_ends_with_2(run_cli, tmp_path):
    ended = run_cli("run", "s.yaml")
    assert (ended.code, ended.err) == (
        2,
        "Error: s.yaml cannot be read: No such file or directory; name a study file.\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", NAMED_COMMANDS.values(), ids=NAMED_COMMANDS)
def test_an_unknown_study_ends_with_2_and_the_known_names(
    arguments, run_cli, created_study, tmp_path
):
    before = files_below(tmp_path)
    ended = run_cli(*arguments)
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        f"Error: there is no study 'mnie' in {created_study.path.parent}; known: mine.\n",
    )
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("arguments", NAMED_COMMANDS.values(), ids=NAMED_COMMANDS)
def test_an_unknown_study_creates_no_storage(arguments, run_cli, tmp_path):
    ended = run_cli(*arguments, "--storage", "elsewhere")
    assert (ended.code, ended.err) == (
        2,
        f"Error: there is no study 'mnie' in {tmp_path / 'elsewhere'}; known: none.\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_another_file_began_ends_with_2_and_changes_nothing(
    run_cli, created_study, tmp_path
):
    other = STUDY.replace("dataset: digits", "dataset: {name: digits, train_per_class: 9}")
    (tmp_path / "other.yaml").write_text(other, encoding="utf-8")
    before = files_below(tmp_path)
    ended = run_cli("run", "other.yaml", "--executor", "inline")
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        "Error: other.yaml: study 'mine' was begun with arms.base.dataset.train_per_class = "
        "3, but the file now says 9; restore it, or give the changed study another name.\n",
    )
    assert files_below(tmp_path) == before
    assert created_study.spec.read_text(encoding="utf-8") == STUDY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--over", "tpo_k"],
            "Error: study 'mine': no arm searches 'tpo_k'; did you mean 'top_k'?",
        ),
        (
            ["--over", "top_k", "--values", "1,11"],
            "Error: --values: top_k is 11, but digits has 10 classes; lower it to 10 or less.",
        ),
        (
            ["--over", "top_k", "--values", "1,["],
            "Error: --values must be a list such as 1,2,5, got '1,['.",
        ),
        (
            ["--over", "top_k", "--arm", "bse"],
            "Error: study 'mine' has no arm 'bse'; did you mean 'base'?",
        ),
    ],
)
@pytest.mark.usefixtures("created_study")
def test_a_sweep_that_cannot_be_ends_with_2_and_is_not_kept(arguments, message, run_cli, tmp_path):
    before = files_below(tmp_path)
    ended = run_cli("sensitivity", "mine", *arguments)
    assert (ended.code, ended.out, ended.err) == (2, "", f"{message}\n")
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_of_ours_is_one_message_and_2(error, run_cli, monkeypatch):
    def fail(*_: object) -> None:
        raise error("what must hold, and what came.")

    monkeypatch.setattr(run, "run_study", fail)
    ended = run_cli("demo")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "Error: what must hold, and what came.\n"


def test_an_error_that_is_not_ours_keeps_its_traceback(run_cli, monkeypatch):
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(run, "run_study", fail)
    with pytest.raises(ZeroDivisionError):
        run_cli("demo")


def test_the_end_of_a_file_is_no_interrupt(run_cli, monkeypatch):
    def fail(*_: object) -> None:
        raise EOFError("No data left in file")

    monkeypatch.setattr(run, "run_study", fail)
    ended = run_cli("demo")
    assert (ended.code, ended.err) == (
        2,
        "\nError: a file ended too early (No data left in file).\n",
    )


def test_an_interrupt_ends_with_130(run_cli, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_study", interrupt)
    ended = run_cli("demo")
    assert (ended.code, ended.err.strip()) == (130, "interrupted.")
