"""Options that several commands share, and the command lines we tell the user to type."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from study.cli.options import options, own_command, running_options, storage_of


def parsed(*arguments: str) -> dict[str, object]:
    """Give what a command that trains is called with."""

    @click.command()
    @running_options
    def command(**given: object) -> dict[str, object]:
        return given

    return command.main(list(arguments), standalone_mode=False)


def test_without_any_option_a_study_runs_on_a_ray_of_its_own_beside_its_files(tmp_path):
    made = options(**parsed())
    assert made.storage.root == tmp_path / "challenger-studies"
    assert (made.data_root, made.address, made.executor) == (None, None, "ray")
    assert made.database_url == f"sqlite:///{made.storage.root}/optuna.db"
    assert made.tracking == f"sqlite:///{made.storage.root}/mlflow.db"
    assert made.data.cache == made.storage.root / "cache"


def test_paths_become_absolute_since_trials_run_in_another_folder(tmp_path):
    made = options(**parsed("--storage", "a", "--data-root", "../b"))
    assert made.storage.root == tmp_path / "a"
    assert made.data_root is not None
    assert made.data_root.is_absolute()
    assert made.data_root.resolve() == tmp_path.parent / "b"


@pytest.mark.parametrize(
    ("variable", "option", "field"),
    [
        ("CHALLENGER_DATABASE", "--database", "database"),
        ("CHALLENGER_TRACKING_URI", "--tracking-uri", "tracking_uri"),
        ("MLFLOW_TRACKING_URI", "--tracking-uri", "tracking_uri"),
        ("RAY_ADDRESS", "--address", "address"),
    ],
)
def test_the_environment_sets_what_no_option_says(variable, option, field, monkeypatch):
    monkeypatch.setenv(variable, "from-environment")
    assert getattr(options(**parsed()), field) == "from-environment"
    assert getattr(options(**parsed(option, "said")), field) == "said"


def test_our_own_tracking_variable_goes_before_mlflows(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "theirs")
    monkeypatch.setenv("CHALLENGER_TRACKING_URI", "ours")
    assert options(**parsed()).tracking_uri == "ours"


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        ("challenger-studies", "challenger-study resume demo"),
        ("other", "challenger-study resume demo --storage other"),
        ("/elsewhere/x", "challenger-study resume demo --storage /elsewhere/x"),
    ],
)
def test_a_command_we_tell_names_the_storage_only_where_it_must(storage, told):
    assert own_command("resume demo", storage_of(Path(storage))) == told


def test_under_uv_a_command_we_tell_begins_with_uv_run(monkeypatch):
    monkeypatch.setenv("UV", "/bin/uv")
    told = own_command("resume demo", storage_of(Path("challenger-studies")))
    assert told == "uv run challenger-study resume demo"
