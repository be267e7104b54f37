"""A cluster on several hosts: access, commands, and hosts that join and leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.postgres import read_login
from tests.hosts.host import wait_until
from tests.hosts.secrets_search import assert_no_secret_is_shown
from tests.hosts.study_observer import StudyObserver, now_ms
from tests.hosts.testbed import HostTestbed
from tests.study.fault_tolerance.consistency import tracked_epochs
from tests.support.simulated import study_file

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.ray,
    pytest.mark.timeout(3600),
    pytest.mark.extended,
]

RANDOM = [{"method": "random"}]
EPOCHS = 80
TRIALS = 20
HTTP_REQUESTS = Path(__file__).with_name("http_requests.py")
WRONG = {"Authorization": "Bearer " + "0" * 64}


def tiny(name: str, **changes: Any) -> str:  # noqa: ANN401 (YAML)
    """Write a study of one arm without a sweep: all its trials can run at the same time."""
    settings = {"sampler": "random", "sweep": [], "arms": RANDOM, "trials": 2, "epochs": 2}
    file = study_file(name=name, **{**settings, **changes})
    search = file["defaults"]["search"]
    # A note would be printed: this method has no top_k, and a small split changes no sample.
    space = {name: each for name, each in search["space"].items() if name != "top_k"}
    search["space"] = {**space, "split": {"low": 0.4, "high": 0.9}}
    return yaml.safe_dump(file)


def observe(testbed: HostTestbed, name: str) -> StudyObserver:
    return StudyObserver(folder=testbed.storage.study(name))


def statuses(testbed: HostTestbed, requests: list[dict[str, Any]]) -> list[int]:
    """Send requests from the laptop."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    (testbed.laptop.home / "requests").write_text(lines)
    output = testbed.laptop.run(f"python {HTTP_REQUESTS} <requests").stdout
    return [int(line) for line in output.splitlines()]


def test_another_host_without_token_or_password_is_refused(testbed: HostTestbed) -> None:
    job = {"entrypoint": "true"}
    pages = ("/api/jobs/", "/api/cluster_status", "/nodes?view=summary", "/api/v0/nodes")
    sent = [{"url": testbed.dashboard + page, "headers": h} for page in pages for h in ({}, WRONG)]
    sent += [{**each, "content": job} for each in sent[:2]]
    assert set(statuses(testbed, sent)) <= {401, 403}
    mlflow = [testbed.mlflow, f"{testbed.mlflow}/api/2.0/mlflow/experiments/search?max_results=1"]
    basic = {"Authorization": "Basic YWRtaW46cGFzc3dvcmQxMjM0"}
    assert (
        statuses(testbed, [{"url": u, "headers": h} for u in mlflow for h in ({}, basic)])
        == [401] * 4
    )
    for command in ("cluster status", "logs tiny"):
        line = f"challenger-study {command} --address {testbed.dashboard}"
        refusal = testbed.laptop.run(line, 2, HOME="/tmp/stranger").stderr
        assert "token" in refusal
        assert "/tmp/stranger/.ray/auth_token" in refusal
        assert refusal.startswith("Error: ")
        assert refusal.count("\n") == 1


def test_postgresql_is_out_of_reach_of_other_hosts(testbed: HostTestbed) -> None:
    port = read_login(testbed.storage.service / "postgres").port
    assert f"127.0.0.1:{port}" in testbed.head.listening()
    testbed.head.run(f"exec 3<>/dev/tcp/127.0.0.1/{port}")
    testbed.laptop.run(f"exec 3<>/dev/tcp/{testbed.head.address}/8265")
    done = testbed.laptop.run(f"exec 3<>/dev/tcp/{testbed.head.address}/{port}", 1)
    assert "Connection refused" in done.stderr


def test_a_job_that_is_submitted_with_the_token_runs(testbed: HostTestbed) -> None:
    proof = testbed.base / "share" / "proof"
    headers = {"Authorization": f"Bearer {testbed.laptop.token.read_text()}"}
    job = {"entrypoint": f"hostname > {proof}"}
    url = f"{testbed.dashboard}/api/jobs/"
    assert statuses(testbed, [{"url": url, "headers": headers, "content": job}]) == [200]
    wait_until(lambda: proof.exists() and proof.read_text() == "head\n")


def refused(testbed: HostTestbed, name: str, *options: str, **changes: Any) -> str:  # noqa: ANN401
    """Submit a study that cannot be trained; returns the message, and nothing is left."""
    before = sorted(testbed.storage.root.iterdir())
    testbed.write(tiny(name, **changes), name)
    output, refusal = testbed.run_cli(f"submit {name}.yaml {' '.join(options)}", 2)
    assert output == ""
    assert sorted(testbed.storage.root.iterdir()) == before
    return refusal.removesuffix("\n")


def test_a_tracking_server_that_does_not_answer_is_found_before_the_first_trial(
    testbed: HostTestbed,
) -> None:
    uri = f"http://{testbed.head.address}:9"
    assert refused(testbed, "untracked", "--tracking-uri", uri) == (
        f"Error: the tracking server {uri} must take the study's results, but: [Errno "
        "111] Connection refused; start it, or correct --tracking-uri. 'run' does without for as "
        "long as it is away."
    )


def test_resources_that_no_node_has_are_found_before_the_first_trial(testbed: HostTestbed) -> None:
    message = refused(testbed, "greedy", resources={"custom": {"rtx4090": 1}})
    assert message == (
        "Error: resources require 1 CPU and 1 rtx4090 per trial, but no node has all of "
        f"it: the nearest, {testbed.hosts['one'].address}, has 0 rtx4090; lower resources.custom, "
        "or connect to another cluster."
    )


def test_a_node_that_does_not_see_the_storage_is_found_before_the_first_trial(
    testbed: HostTestbed,
) -> None:
    testbed.join("isolated")
    isolated = testbed.hosts["isolated"]
    assert refused(testbed, "unshared") == (
        f"Error: node {isolated.address} must see the storage {testbed.storage.root}/unshared, "
        "which all nodes share, but: No such file or directory; mount the same folder there, or "
        "name a shared one with --storage."
    )
    isolated.run("ray stop", RAY_AUTH_MODE="token")
    isolated.kill()
    wait_until(lambda: not testbed.is_alive("isolated"))


def test_a_study_survives_a_laptop_switched_off_and_workers_that_join_and_leave(
    testbed: HostTestbed,
) -> None:
    timings, study = testbed.timings, observe(testbed, "tiny")
    testbed.write(
        tiny("tiny", trials=TRIALS, epochs=EPOCHS, resources={"max_concurrent": 2}), "tiny"
    )
    began_ms = now_ms()
    with timings.measured("'submit', until the study runs"):
        output, _ = testbed.run_cli("submit tiny.yaml")
    assert output.startswith("study tiny runs as job tiny-1.\n")
    first = study.wait_until_taken_up(began_ms)
    timings.note("… from 'submit' to the first trial", (first.attempt.started_ms - began_ms) / 1e3)
    timings.note("… from 'submit' to its first report", (first.reported_ms - began_ms) / 1e3)
    wait_until(lambda: study.hosts() == {"one", "two"})
    assert_no_secret_is_shown(testbed, "tiny")
    _, refusal = testbed.run_cli("submit tiny.yaml", 2)
    assert refusal == (
        "Error: study 'tiny' must not be running to be started, but job tiny-1 of the cluster "
        "runs it; watch it with 'logs tiny -f', or stop it first.\n"
    )
    # The laptop is switched off, and on again.
    testbed.laptop.kill()
    study.wait_until_reports(2)
    testbed.laptop.boot()
    assert json.loads(testbed.run_cli("status tiny --json")[0])["activity"] == "running"
    disconnect_and_join(testbed, study)
    return_and_kill(testbed, study)
    with timings.measured("'stop'"):
        testbed.run_cli("stop tiny")
    n_reports = study.n_reports()
    assert n_reports < (TRIALS + 1) * (EPOCHS + 1)
    assert "interrupted; nothing is lost." in testbed.run_cli("logs tiny")[0]
    assert json.loads(testbed.run_cli("status tiny --json")[0])["activity"] == "stopped"
    assert study.n_reports() == n_reports


def disconnect_and_join(testbed: HostTestbed, study: StudyObserver) -> None:
    """Disconnect a worker in mid-trial; its trial continues on another from its checkpoint."""
    trial = study.wait_until_busy_on("one")
    testbed.hosts["one"].disconnect()
    cut_ms = now_ms()
    wait_until(lambda: not testbed.is_alive("one"))
    testbed.timings.note("a worker is disconnected: until the cluster detects it", since(cut_ms))
    joins_ms = now_ms()
    with testbed.timings.measured("a worker joins in mid-study: 'ray start'"):
        testbed.join("three")
    used = study.wait_until_taken_up(joins_ms, host="three")
    testbed.timings.note(
        "… from 'ray start' to its first trial", since(joins_ms, used.attempt.started_ms)
    )
    testbed.timings.note("… to its first report", since(joins_ms, used.reported_ms))
    again = study.wait_until_taken_up(cut_ms, trial=trial)
    assert again.attempt.host in ("two", "three")
    assert again.attempt.from_epoch >= 2
    testbed.timings.note(
        "the disconnected worker's trial reports again after", since(cut_ms, again.reported_ms)
    )


def return_and_kill(testbed: HostTestbed, study: StudyObserver) -> None:
    """Reconnect the worker and kill another, whose trial continues elsewhere."""
    testbed.hosts["one"].reconnect()
    back_ms = now_ms()
    testbed.join("one")
    trial = study.wait_until_busy_on("two")
    testbed.hosts["two"].kill()
    killed_ms = now_ms()
    again = study.wait_until_taken_up(killed_ms, trial=trial)
    assert again.attempt.host in ("one", "three")
    assert again.attempt.from_epoch >= 2
    testbed.timings.note(
        "a worker is killed: its trial begins again after",
        since(killed_ms, again.attempt.started_ms),
    )
    testbed.timings.note("… and reports again after", since(killed_ms, again.reported_ms))
    assert study.wait_until_taken_up(back_ms, host="one").attempt.host == "one"


def since(began_ms: int, ms: int | None = None) -> float:
    """Return the seconds from a time to another, or to now."""
    return ((now_ms() if ms is None else ms) - began_ms) / 1000


# At every change a study loses its head in ``tests/study/fault_tolerance/test_node_loss.py``.
@pytest.mark.slow
def test_a_study_continues_after_its_head_was_killed_and_started_again(
    testbed: HostTestbed,
) -> None:
    study = observe(testbed, "tiny")
    testbed.ensure("one", "three")
    testbed.run_cli("resume tiny")
    study.wait_until_reports(4)
    testbed.head.kill()
    n_reports = study.n_reports()
    testbed.head.boot()
    with testbed.timings.measured("'cluster up' after the head was killed"):
        testbed.up()
    began_ms = now_ms()
    # They still try to reach the lost head.
    for name in ("one", "three"):
        testbed.join(name)
    testbed.timings.note("… two workers join again", since(began_ms))
    resumed_ms = now_ms()
    testbed.run_cli("resume tiny")
    first = study.wait_until_taken_up(resumed_ms)
    testbed.timings.note(
        "… from 'resume' to the first report", since(resumed_ms, first.reported_ms)
    )
    assert (
        testbed.run_cli("logs tiny -f")[0].splitlines()[-1].startswith("mlflow: http://admin:***@")
    )
    assert study.n_reports() > n_reports
    assert_whole(testbed, study)
    with testbed.timings.measured("'report', until its files are on the laptop"):
        testbed.run_cli("report tiny --to page")
    page = testbed.laptop.home / "page" / "report.html"
    assert page.read_bytes() == (study.folder.path / "report" / "report.html").read_bytes()


def assert_whole(testbed: HostTestbed, study: StudyObserver) -> None:
    """Check that each trial ended once, with each epoch once, in files, database and MLflow."""
    state = json.loads(testbed.run_cli("status tiny --json")[0])
    assert state["activity"] == "finished"
    counts = {lane["phase"]: (lane["total"], lane["complete"]) for lane in state["phases"]}
    assert counts == {"search": (TRIALS, TRIALS), "final": (1, 1)}
    names = {f"random/search/{i:05d}" for i in range(TRIALS)} | {"random/final/00000"}
    epochs = {name: [epoch for epoch, _ in found] for name, found in study.reports().items()}
    assert epochs == {name: list(range(EPOCHS + 1)) for name in names}
    assert state["waiting_entries"] == 0
    # No other study has been trained so far.
    tracked = tracked_epochs(testbed.storage)
    numbers = {f"random/search/{i}" for i in range(TRIALS)} | {"random/final/0"}
    assert tracked == {name: list(range(EPOCHS + 1)) for name in numbers}
    assert list(study.folder.path.rglob("epoch-*.pt")) == []


def test_two_studies_at_once_both_finish_and_the_queue_shows_them(testbed: HostTestbed) -> None:
    testbed.ensure("one", "three")
    names = ("early", "late")
    began_ms = now_ms()
    for name in names:
        testbed.write(tiny(name, trials=6, epochs=30), name)
        testbed.run_cli(f"submit {name}.yaml --no-wait")
    state: dict[str, Any] = {}

    def queue_has_both() -> bool:
        output = testbed.head.run(
            f"challenger-study cluster status --json --storage {testbed.storage.root}"
        )
        state.update(json.loads(output.stdout))
        return {row["study"] for row in state["queue"]} == set(names)

    wait_until(queue_has_both, pause_s=3)
    testbed.timings.note("two studies: the queue shows both", since(began_ms))
    # Every slot is granted once.
    assert sum(row["granted"] for row in state["queue"]) == state["slots"]["cpus"]
    shown = {row["study"] for row in json.loads(testbed.run_cli("cluster queue --json")[0])}
    assert shown <= set(names)
    assert "late" in shown
    for name in names:
        testbed.run_cli(f"logs {name} -f")
        ended = json.loads(testbed.run_cli(f"status {name} --json")[0])
        assert ended["activity"] == "finished"
        assert [lane["complete"] for lane in ended["phases"]] == [6, 1]
        note_timeline(testbed, name, began_ms)
    testbed.run_cli("report late --to page")
    page = testbed.laptop.home / "page" / "report.html"
    assert (
        page.read_bytes()
        == (observe(testbed, "late").folder.path / "report/report.html").read_bytes()
    )


def note_timeline(testbed: HostTestbed, name: str, began_ms: int) -> None:
    """Note the times of a study's first and last trial."""
    study = observe(testbed, name)
    begun = [each.started_ms for attempts in study.attempts().values() for each in attempts]
    ended = [reports[-1][1] for reports in study.reports().values()]
    testbed.timings.note(f"… {name}: first trial begins", since(began_ms, min(begun)))
    testbed.timings.note(f"… {name}: last trial ends", since(began_ms, max(ended)))
