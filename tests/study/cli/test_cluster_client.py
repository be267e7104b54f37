"""Commands that use a cluster by its address: arguments that are refused before any call."""

from __future__ import annotations

import click
import pytest

from cluster.jobs import Job
from study.cli.cluster_client import exit_code, is_remote
from study.cli.options import running_options, study_options
from tests.study.cli.conftest import STUDY

REMOTE = {
    "stop": ["stop", "mine"],
    "logs": ["logs", "mine"],
    "submit": ["submit", "study.yaml"],
}


@pytest.fixture(autouse=True)
def study_file(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")


@pytest.mark.parametrize("arguments", REMOTE.values(), ids=REMOTE)
def test_the_dashboard_s_address_is_asked_for(arguments, run_cli):
    ended = run_cli(*arguments)
    assert ended.code == 2
    assert "--address" in ended.err


@pytest.mark.parametrize("arguments", REMOTE.values(), ids=REMOTE)
def test_the_head_s_own_address_is_no_dashboard(arguments, run_cli):
    ended = run_cli(*arguments, "--address", "10.0.0.1:6379")
    assert ended.code == 2
    assert "http://10.0.0.1:8265" in ended.err


def test_the_driver_s_own_machine_is_not_asked_through_a_dashboard(run_cli):
    ended = run_cli("run", "study.yaml", "--address", "http://10.0.0.1:8265")
    assert ended.code == 2
    assert "use 'submit'" in ended.err


def test_ray_s_client_is_refused_with_the_alternative(run_cli):
    ended = run_cli("run", "study.yaml", "--address", "ray://10.0.0.1:10001")
    assert ended.code == 2
    assert "ends with its connection" in ended.err
    assert "'submit'" in ended.err


def test_a_wrong_study_file_is_found_here(run_cli, tmp_path):
    (tmp_path / "study.yaml").write_text("name: [", encoding="utf-8")
    ended = run_cli("submit", "study.yaml", "--address", "http://127.0.0.1:9")
    assert ended.code == 2
    assert "study.yaml" in ended.err


@pytest.mark.parametrize("option", ["--storage", "--data-root"])
def test_a_folder_of_the_cluster_s_has_an_absolute_path(option, run_cli, monkeypatch):
    monkeypatch.setattr("cluster.jobs.JobClient", lambda address: address)
    ended = run_cli("submit", "study.yaml", "--address", "http://127.0.0.1:9", option, "here")
    assert ended.code == 2
    assert f"{option} must be an absolute path on the cluster" in ended.err


def test_no_password_is_sent(run_cli):
    url = "postgresql+psycopg://ada:s3cret@db/optuna"
    ended = run_cli("submit", "study.yaml", "--address", "http://127.0.0.1:9", "--database", url)
    assert ended.code == 2
    assert "must not hold a password" in ended.err
    assert "s3cret" not in ended.err


def parsed(*arguments: str) -> object:
    @click.command()
    @running_options
    def command(**params: object) -> object:
        return study_options(**params)

    return command.main(list(arguments), standalone_mode=False)


def test_a_job_needs_an_explicit_storage(monkeypatch):
    with pytest.raises(click.UsageError, match="CHALLENGER_STORAGE"):
        parsed("--as-job")
    assert parsed("--as-job", "--storage", "/shared").is_job
    monkeypatch.setenv("CHALLENGER_STORAGE", "/shared")
    assert parsed("--as-job").is_job
    assert not parsed().is_job


def test_a_dashboard_s_address_is_remote():
    assert is_remote("http://10.0.0.1:8265")
    assert not is_remote("10.0.0.1:6379")
    assert not is_remote(None)


@pytest.mark.parametrize(
    ("state", "said", "code"),
    [("FAILED", None, 2), ("STOPPED", None, 130), ("FAILED", 1, 1), ("SUCCEEDED", 0, 0)],
)
def test_the_exit_code_is_the_driver_s_and_2_if_it_never_started(state, said, code):
    job = Job(name="a", state=state, metadata={}, start_time_ms=0, exit_code=said, message="")
    assert exit_code(job) == code
