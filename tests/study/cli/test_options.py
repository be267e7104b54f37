"""Options that several commands share, and printed command lines."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from study.cli.options import command_line, make_storage, running_options, study_options


def parsed(*arguments: str) -> dict[str, object]:
    """Return the parameters of a command that trains."""

    @click.command()
    @running_options
    def command(**params: object) -> dict[str, object]:
        return params

    return command.main(list(arguments), standalone_mode=False)


def test_the_default_is_a_ray_of_its_own_and_a_storage_in_the_working_folder(tmp_path):
    made = study_options(**parsed())
    assert made.storage.root == tmp_path / "challenger-studies"
    assert (made.data_root, made.address, made.executor) == (None, None, "ray")
    assert made.database_url == f"sqlite:///{made.storage.root}/optuna.db"
    assert made.tracking == f"sqlite:///{made.storage.root}/mlflow.db"
    assert made.data.cache == made.storage.root / "cache"


def test_paths_become_absolute_since_trials_run_in_another_folder(tmp_path):
    made = study_options(**parsed("--storage", "a", "--data-root", "../b"))
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
def test_the_environment_sets_options_that_are_not_typed(variable, option, field, monkeypatch):
    monkeypatch.setenv(variable, "from-environment")
    assert getattr(study_options(**parsed()), field) == "from-environment"
    assert getattr(study_options(**parsed(option, "said")), field) == "said"


def test_our_own_tracking_variable_goes_before_mlflows(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "theirs")
    monkeypatch.setenv("CHALLENGER_TRACKING_URI", "ours")
    assert study_options(**parsed()).tracking_uri == "ours"


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        ("challenger-studies", "challenger-study resume demo"),
        ("other", "challenger-study resume demo --storage other"),
        ("/elsewhere/x", "challenger-study resume demo --storage /elsewhere/x"),
        ("my studies", "challenger-study resume demo --storage 'my studies'"),
    ],
)
def test_a_printed_command_names_the_storage_unless_it_is_the_default(storage, told):
    assert command_line("resume demo", make_storage(Path(storage))) == told


def test_under_uv_a_printed_command_begins_with_uv_run(monkeypatch):
    monkeypatch.setenv("UV", "/bin/uv")
    told = command_line("resume demo", make_storage(Path("challenger-studies")))
    assert told == "uv run challenger-study resume demo"


@pytest.mark.parametrize(
    ("variable", "option"),
    [("CHALLENGER_DATABASE", "--database"), ("CHALLENGER_TRACKING_URI", "--tracking-uri")],
)
def test_a_password_is_refused_on_the_command_line_which_everybody_can_read(variable, option):
    with pytest.raises(click.UsageError) as refused:
        parsed(option, "postgresql+psycopg://ann:sesame@host/studies")
    assert str(refused.value).startswith(f"{option} must not hold a password, ")
    assert str(refused.value).endswith(
        f"got postgresql+psycopg://ann:***@host/studies; set {variable} instead."
    )


@pytest.mark.parametrize("variable", ["CHALLENGER_DATABASE", "CHALLENGER_TRACKING_URI"])
def test_a_password_from_the_environment_is_not_passed_on_to_child_processes(
    variable, monkeypatch
):
    secret, plain = "postgresql+psycopg://ann:sesame@host/studies", "http://host:5000"
    for url in (secret, plain):
        monkeypatch.setenv(variable, url)
        assert url in parsed().values()
        assert os.environ.get(variable) == (None if url == secret else url)
