"""``cluster``: launch files, the service, its status and the quotas of studies."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from cluster import service
from cluster.quota import QueueRow
from cluster.render import LAUNCHERS
from cluster.service import (
    ComponentStatus,
    ServiceConfig,
    ServiceFolder,
    ServiceStatus,
    http_client,
)
from cluster.service.config import Service
from cluster.service.http_client import NodeStatus, StudyJob
from study.cli import cluster_commands, cluster_status_commands
from tests.study.cli.test_main import loaded_after


def test_the_command_offers_every_format():
    assert tuple(LAUNCHERS) == cluster_commands.FORMATS


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_file_holds_the_command_that_wrote_it(run_cli, launcher):
    ended = run_cli("cluster", "render", launcher, "--set", "image=registry/own:1")
    if launcher == "slurm":
        assert ended.code == 2
        ended = run_cli("cluster", "render", launcher, "--set", "name=lab")
    assert (ended.code, ended.err) == (0, "")
    assert f"# Made by: challenger-study cluster render {launcher} --set " in ended.out


def test_a_file_is_written_and_named_in_its_own_lines(run_cli, tmp_path):
    ended = run_cli("cluster", "render", "slurm", "-o", "lab.sh", "--set", "partition=gpu")
    assert (ended.code, ended.out, ended.err) == (0, "lab.sh\n", "")
    content = (tmp_path / "lab.sh").read_text(encoding="utf-8")
    assert content.startswith("#!/bin/bash\n# Made by: ")
    assert "#   sbatch lab.sh " in content
    assert "#SBATCH --partition=gpu\n" in content


def test_a_file_that_exists_is_replaced_by_force_alone(run_cli, tmp_path):
    (tmp_path / "mine.yaml").write_text("mine", encoding="utf-8")
    ended = run_cli("cluster", "render", "kuberay", "-o", "mine.yaml")
    assert ended.code == 2
    assert ended.err.endswith(
        "Error: mine.yaml must not exist, but does; replace it with --force, or name another FILE "
        "with -o.\n"
    )
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == "mine"
    assert run_cli("cluster", "render", "kuberay", "-o", "mine.yaml", "--force").code == 0
    assert "RayCluster" in (tmp_path / "mine.yaml").read_text(encoding="utf-8")


def test_a_wrong_setting_leaves_no_file(run_cli, tmp_path):
    ended = run_cli("cluster", "render", "kuberay", "-o", "new.yaml", "--set", "workers.mxa=3")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == ("Error: 'workers.mxa' is not a setting; did you mean 'workers.max'?\n")
    assert not list(tmp_path.iterdir())


def test_a_setting_without_effect_is_refused(run_cli):
    ended = run_cli("cluster", "render", "slurm", "--set", "namespace=lab")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: kubernetes.namespace changes nothing in a slurm file with these settings; "
        "leave it out.\n"
    )


def test_an_unknown_format_is_refused(run_cli):
    ended = run_cli("cluster", "render", "kubernetes")
    assert ended.code == 2
    assert "'kubernetes' is not one of 'compose', 'dockerfile', 'kuberay'," in ended.err


def test_settings_are_listed_with_their_values_and_meanings(run_cli):
    ended = run_cli("cluster", "render", "slurm", "--list", "--set", "workers.max=9")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["name=challenger", "Name", "of", "the", "cluster."]
    assert [line.split()[0] for line in lines if line.startswith("workers.max")] == [
        "workers.max=9"
    ]


def test_rendering_loads_nothing_heavy(tmp_path):
    code = "from study.cli.main import run; assert run(['cluster', 'render', 'kuberay']) == 0"
    assert loaded_after(code, tmp_path) == set()


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def state_of(root: Path, *, is_well: bool) -> ServiceStatus:
    config = ServiceConfig(
        storage=root,
        tracking_database=root / "mlflow.db",
        artifacts=root / "mlflow-artifacts",
    )
    ray = ComponentStatus(
        title="Ray",
        state="answers" if is_well else "does not answer",
        since_s=1_000_000_000.0,
        endpoint="127.0.0.1:6379",
        reason=None if is_well else "status 500: [broken]",
    )
    head = NodeStatus(
        address="127.0.0.1",
        is_head=True,
        is_alive=True,
        cpus=4.0,
        cpus_free=1.5,
        gpus=0.0,
        gpus_free=0.0,
    )
    gone = NodeStatus(
        address="10.0.0.8",
        is_head=False,
        is_alive=False,
        cpus=8.0,
        cpus_free=None,
        gpus=1.0,
        gpus_free=None,
    )
    rows = tuple(
        QueueRow(study=name, priority=0, since_s=1.0, running=1, wanted=3, granted=2)
        for name in ("mine", "yours")
    )
    studies = tuple(
        StudyJob(study=row.study, job=f"{row.study}-1", state="RUNNING", since_s=1.0)
        for row in rows
    )
    return ServiceStatus(
        service=Service(
            folder=ServiceFolder(root=root / "service"), config=config, instance_id="x"
        ),
        components=(ray,),
        nodes=(head, gone),
        studies=studies,
        queue=rows,
    )


def test_status_without_a_service_ends_with_2(run_cli, tmp_path):
    ended = run_cli("cluster", "status")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"no service runs for {tmp_path}/challenger-studies; start one with 'cluster up'.\n"
    )


def test_down_without_a_service_stops_nothing(run_cli, tmp_path):
    ended = run_cli("cluster", "down", "--storage", "lab")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"nothing to stop: no service runs for {tmp_path}/lab.\n"
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(("is_well", "code"), [(True, 0), (False, 1)])
def test_status_shows_parts_nodes_studies_and_queue(run_cli, monkeypatch, tmp_path, is_well, code):
    state = state_of(tmp_path, is_well=is_well)
    monkeypatch.setattr(service, "service_status", lambda _: state)
    ended = run_cli("cluster", "status")
    assert (ended.code, ended.err) == (code, "")
    assert ("[broken]" in ended.out) is not is_well
    cells = [[cell.strip() for cell in line.split("│")] for line in ended.out.splitlines()]
    assert ["", "127.0.0.1 (head)", "alive", "1.5 of 4", "0 of 0", ""] in cells
    assert ["", "10.0.0.8", "gone", "? of 8", "? of 1", ""] in cells
    assert ["", "all trials' slots", "", "1.5 of 4", "0 of 0", ""] in cells
    assert ["", "yours", "0", "1", "2", "3", ""] in cells
    assert "mine-1" in ended.out


def test_status_gives_all_of_it_to_programs(run_cli, monkeypatch, tmp_path):
    monkeypatch.setattr(service, "service_status", lambda _: state_of(tmp_path, is_well=True))
    ended = run_cli("cluster", "status", "--json")
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert told["is_healthy"] is True
    assert told["dashboard"] == "http://127.0.0.1:8265"
    assert told["slots"] == {"cpus": 4.0, "cpus_free": 1.5, "gpus": 0.0, "gpus_free": 0.0}
    assert [study["study"] for study in told["studies"]] == ["mine", "yours"]
    assert told["nodes"][1]["is_alive"] is False
    assert told["queue"][0]["granted"] == 2
    assert "instance_id" not in ended.out


def test_a_cluster_from_outside_shows_nodes_studies_and_the_queue_if_it_is_shared(
    run_cli, monkeypatch, tmp_path
):
    state = state_of(tmp_path, is_well=True)
    asked = []

    def answer(address: str, arguments: list[str]) -> str:
        asked.append((address, arguments))
        return json.dumps([dataclasses.asdict(row) for row in state.queue])

    monkeypatch.setenv("RAY_AUTH_TOKEN", "sesame")
    monkeypatch.setattr(http_client, "list_nodes", lambda *_: state.nodes)
    monkeypatch.setattr(http_client, "list_studies", lambda *_: state.studies)
    monkeypatch.setattr(cluster_status_commands, "run_on_cluster", answer)
    url = "http://10.0.0.1:8265"
    ended = run_cli("cluster", "status", "--address", f"{url}/", "--json")
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert told["dashboard"] == url
    assert [row["study"] for row in told["queue"]] == ["mine", "yours"]
    assert asked == [(url, ["cluster", "queue", "--json"])]
    assert "Queue of trials" in run_cli("cluster", "status", "--address", url).out
    assert "Queue of trials" in run_cli("cluster", "queue", "--address", url).out
    monkeypatch.setattr(http_client, "list_studies", lambda *_: state.studies[:1])
    assert "Queue of trials" not in run_cli("cluster", "status", "--address", url).out
    assert "sesame" not in ended.out


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.3", "example.org"])
def test_an_address_that_is_not_this_machine_s_is_refused(run_cli, tmp_path, host):
    ended = run_cli("cluster", "up", "--host", host)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: --host must be an IPv4 address of this machine ")
    assert not (tmp_path / "challenger-studies").exists()


@pytest.mark.parametrize("host", [[], ["--host", "127.0.0.1"]])
def test_nothing_starts_without_authentication(run_cli, monkeypatch, tmp_path, host):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ended = run_cli("cluster", "up", *host)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: RAY_AUTH_MODE must be 'token', because every client could run code on the "
        "cluster otherwise, but is 'disabled'; leave it out.\n"
    )
    assert not (tmp_path / "challenger-studies" / "service").exists()
    assert not (tmp_path / ".ray").exists()


def test_commands_of_the_service_load_nothing_heavy(tmp_path):
    code = (
        "from study.cli.main import run\n"
        "assert run(['cluster', 'up', '--help']) == 0\n"
        "assert run(['cluster', 'status']) == 2\n"
        "assert run(['cluster', 'down']) == 0"
    )
    assert loaded_after(code, tmp_path) == set()


def test_files_of_tls_come_together_and_the_key_is_private(run_cli, tmp_path):
    files = {name: tmp_path / name for name in ("cert", "key", "ca")}
    for file in files.values():
        file.write_text("x")
        file.chmod(0o644)
    options = [each for name, file in files.items() for each in (f"--tls-{name}", str(file))]
    ended = run_cli("cluster", "up", "--storage", "lab", *options[:4])
    assert ended.code == 2
    assert ended.err == ("Error: --tls-cert, --tls-key and --tls-ca must be given together.\n")
    ended = run_cli("cluster", "up", "--storage", "lab", *options)
    assert ended.code == 2
    assert ended.err == (
        f"Error: --tls-key must be for its owner alone; run 'chmod 600 {files['key']}'.\n"
    )


def test_there_is_nothing_to_check_where_no_service_runs(run_cli, tmp_path):
    ended = run_cli("cluster", "check", "--storage", str(tmp_path / "lab"))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"no service runs for {tmp_path}/lab; 'cluster up' starts one.\n"
