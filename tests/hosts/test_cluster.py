"""A cluster on real hosts: who may use it, what a user types, and machines that come and go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.postgres_folder import read_login
from tests.hosts.host import until
from tests.hosts.lab import Lab
from tests.hosts.secrets_search import assert_no_secret_is_shown
from tests.hosts.watched import Watched, now_ms
from tests.study.simulated import study_file
from tests.study.survival.whole import tracked_epochs

pytestmark = [pytest.mark.cluster, pytest.mark.ray, pytest.mark.timeout(3600)]

RANDOM = [{"method": "random"}]
EPOCHS = 80
TRIALS = 20
STRANGERS = Path(__file__).with_name("strangers.py")
WRONG = {"Authorization": "Bearer " + "0" * 64}


def tiny(name: str, **changes: Any) -> str:  # noqa: ANN401 (YAML)
    """Write a study of one arm without a sweep: all of it can run at the same time."""
    settings = {"sampler": "random", "sweep": [], "arms": RANDOM, "trials": 2, "epochs": 2}
    file = study_file(name=name, **{**settings, **changes})
    search = file["defaults"]["search"]
    # This method has no top_k, and a note would say so.
    search["space"] = {k: each for k, each in search["space"].items() if k != "top_k"}
    return yaml.safe_dump(file)


def watched(lab: Lab, name: str) -> Watched:
    return Watched(folder=lab.storage.study(name))


def statuses(lab: Lab, requests: list[dict[str, Any]]) -> list[int]:
    """Make requests on the laptop."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    (lab.laptop.home / "requests").write_text(lines)
    said = lab.laptop.run(f"python {STRANGERS} <requests").stdout
    return [int(line) for line in said.splitlines()]


def test_who_has_no_token_or_password_is_refused_from_another_host(lab: Lab) -> None:
    job = {"entrypoint": "true"}
    pages = ("/api/jobs/", "/api/cluster_status", "/nodes?view=summary", "/api/v0/nodes")
    asked = [{"url": lab.dashboard + page, "headers": h} for page in pages for h in ({}, WRONG)]
    asked += [{**each, "content": job} for each in asked[:2]]
    assert set(statuses(lab, asked)) <= {401, 403}
    mlflow = [lab.mlflow, f"{lab.mlflow}/api/2.0/mlflow/experiments/search?max_results=1"]
    basic = {"Authorization": "Basic YWRtaW46cGFzc3dvcmQxMjM0"}
    assert (
        statuses(lab, [{"url": u, "headers": h} for u in mlflow for h in ({}, basic)]) == [401] * 4
    )
    for command in ("cluster status", "logs tiny"):
        line = f"challenger-study {command} --address {lab.dashboard}"
        refusal = lab.laptop.run(line, 2, HOME="/tmp/stranger").stderr
        assert "token" in refusal
        assert "/tmp/stranger/.ray/auth_token" in refusal
        assert refusal.startswith("ClusterError: ")
        assert refusal.count("\n") == 1


def test_postgresql_is_out_of_reach_of_other_hosts(lab: Lab) -> None:
    port = read_login(lab.storage.service / "postgres").port
    assert f"127.0.0.1:{port}" in lab.head.listening()
    lab.head.run(f"exec 3<>/dev/tcp/127.0.0.1/{port}")
    lab.laptop.run(f"exec 3<>/dev/tcp/{lab.head.address}/8265")
    done = lab.laptop.run(f"exec 3<>/dev/tcp/{lab.head.address}/{port}", 1)
    assert "Connection refused" in done.stderr


def test_a_job_that_is_submitted_with_the_token_runs(lab: Lab) -> None:
    proof = lab.base / "share" / "proof"
    headers = {"Authorization": f"Bearer {lab.laptop.token.read_text()}"}
    job = {"entrypoint": f"hostname > {proof}"}
    url = f"{lab.dashboard}/api/jobs/"
    assert statuses(lab, [{"url": url, "headers": headers, "content": job}]) == [200]
    until(lambda: proof.exists() and proof.read_text() == "head\n")


def refused(lab: Lab, name: str, *options: str, **changes: Any) -> str:  # noqa: ANN401
    """Submit a study that cannot be trained; gives the one message, and nothing is left."""
    before = sorted(lab.storage.root.iterdir())
    lab.write(tiny(name, **changes), name)
    said, refusal = lab.type(f"submit {name}.yaml {' '.join(options)}", 2)
    assert said == ""
    assert sorted(lab.storage.root.iterdir()) == before
    return refusal.removesuffix("\n")


def test_a_tracking_server_that_does_not_answer_is_found_before_the_first_trial(lab: Lab) -> None:
    uri = f"http://{lab.head.address}:9"
    assert refused(lab, "untracked", "--tracking-uri", uri) == (
        f"TrackingError: the tracking server {uri} must take the study's results, but: [Errno "
        "111] Connection refused; start it, or correct --tracking-uri. 'run' does without for as "
        "long as it is away."
    )


def test_resources_that_no_node_has_are_found_before_the_first_trial(lab: Lab) -> None:
    said = refused(lab, "greedy", resources={"custom": {"rtx4090": 1}})
    assert said == (
        "ClusterError: resources ask for 1 CPU and 1 rtx4090 per trial, but no node has all of "
        f"it: the nearest, {lab.hosts['one'].address}, has 0 rtx4090; lower resources.custom, or "
        "connect to another cluster."
    )


def test_a_node_that_does_not_see_the_storage_is_found_before_the_first_trial(lab: Lab) -> None:
    lab.join("loner")
    loner = lab.hosts["loner"]
    assert refused(lab, "unshared") == (
        f"ClusterError: node {loner.address} must see the storage {lab.storage.root}/unshared, "
        "which all nodes share, but: No such file or directory; mount the same folder there, or "
        "name a shared one with --storage."
    )
    loner.run("ray stop", RAY_AUTH_MODE="token")
    loner.kill()
    until(lambda: not lab.is_alive("loner"))


def test_a_study_outlives_the_laptop_and_workers_that_come_and_go(lab: Lab) -> None:
    timings, study = lab.timings, watched(lab, "tiny")
    lab.write(tiny("tiny", trials=TRIALS, epochs=EPOCHS, resources={"max_concurrent": 2}), "tiny")
    began_ms = now_ms()
    with timings.measured("'submit', until it says that the study runs"):
        said, _ = lab.type("submit tiny.yaml")
    assert said.startswith("study tiny runs as job tiny-1.\n")
    first = study.until_taken_up(began_ms)
    timings.note("… from 'submit' to the first trial", (first.attempt.started_ms - began_ms) / 1e3)
    timings.note("… from 'submit' to its first report", (first.reported_ms - began_ms) / 1e3)
    until(lambda: study.hosts() == {"one", "two"})
    assert_no_secret_is_shown(lab, "tiny")
    _, refusal = lab.type("submit tiny.yaml", 2)
    assert refusal == (
        "BusyError: study 'tiny' must not be running to be started, but job tiny-1 of the cluster "
        "runs it; watch it with 'logs tiny -f', or stop it first.\n"
    )
    # The laptop is closed, and opened again somewhere else.
    lab.laptop.kill()
    study.until_reports(2)
    lab.laptop.boot()
    assert json.loads(lab.type("status tiny --json")[0])["activity"] == "running"
    cut_and_join(lab, study)
    back_and_kill(lab, study)
    with timings.measured("'stop'"):
        lab.type("stop tiny")
    n_reports = study.n_reports()
    assert n_reports < (TRIALS + 1) * (EPOCHS + 1)
    assert "interrupted; nothing is lost." in lab.type("logs tiny")[0]
    assert json.loads(lab.type("status tiny --json")[0])["activity"] == "stopped"
    assert study.n_reports() == n_reports


def cut_and_join(lab: Lab, study: Watched) -> None:
    """Cut a worker off in mid-trial; its trial goes on, from its checkpoint, where one joins."""
    trial = study.until_busy_on("one")
    lab.hosts["one"].cut()
    cut_ms = now_ms()
    until(lambda: not lab.is_alive("one"))
    lab.timings.note("a worker is cut off: until the cluster misses it", since(cut_ms))
    joins_ms = now_ms()
    with lab.timings.measured("a worker joins in mid-study: 'ray start'"):
        lab.join("three")
    used = study.until_taken_up(joins_ms, host="three")
    lab.timings.note(
        "… from 'ray start' to its first trial", since(joins_ms, used.attempt.started_ms)
    )
    lab.timings.note("… to its first report", since(joins_ms, used.reported_ms))
    again = study.until_taken_up(cut_ms, trial=trial)
    assert again.attempt.host in ("two", "three")
    assert again.attempt.from_epoch >= 2
    lab.timings.note(
        "the cut-off worker's trial reports again after", since(cut_ms, again.reported_ms)
    )


def back_and_kill(lab: Lab, study: Watched) -> None:
    """The worker comes back, and another is killed, whose trial goes on elsewhere."""
    lab.hosts["one"].mend()
    back_ms = now_ms()
    lab.join("one")
    trial = study.until_busy_on("two")
    lab.hosts["two"].kill()
    killed_ms = now_ms()
    again = study.until_taken_up(killed_ms, trial=trial)
    assert again.attempt.host in ("one", "three")
    assert again.attempt.from_epoch >= 2
    lab.timings.note(
        "a worker is killed: its trial begins again after",
        since(killed_ms, again.attempt.started_ms),
    )
    lab.timings.note("… and reports again after", since(killed_ms, again.reported_ms))
    assert study.until_taken_up(back_ms, host="one").attempt.host == "one"


def since(began_ms: int, ms: int | None = None) -> float:
    """Give the seconds from a time to another, or to now."""
    return ((now_ms() if ms is None else ms) - began_ms) / 1000


# At every change a study loses its head in ``tests/study/survival/test_nodes.py``.
@pytest.mark.slow
def test_a_study_goes_on_when_the_head_was_killed_and_is_up_again(lab: Lab) -> None:
    study = watched(lab, "tiny")
    lab.ensure("one", "three")
    lab.type("resume tiny")
    study.until_reports(4)
    lab.head.kill()
    n_reports = study.n_reports()
    lab.head.boot()
    with lab.timings.measured("'cluster up' after the head was killed"):
        lab.up()
    began_ms = now_ms()
    # They still look for the head that was lost.
    for name in ("one", "three"):
        lab.join(name)
    lab.timings.note("… two workers join again", since(began_ms))
    resumed_ms = now_ms()
    lab.type("resume tiny")
    first = study.until_taken_up(resumed_ms)
    lab.timings.note("… from 'resume' to the first report", since(resumed_ms, first.reported_ms))
    assert lab.type("logs tiny -f")[0].splitlines()[-1].startswith("mlflow: http://admin:***@")
    assert study.n_reports() > n_reports
    assert_whole(lab, study)
    with lab.timings.measured("'report', until its files are on the laptop"):
        lab.type("report tiny --to page")
    page = lab.laptop.home / "page" / "report.html"
    assert page.read_bytes() == (study.folder.path / "report" / "report.html").read_bytes()


def assert_whole(lab: Lab, study: Watched) -> None:
    """Check that each trial ended once, with each epoch once, in all that keeps it."""
    state = json.loads(lab.type("status tiny --json")[0])
    assert state["activity"] == "finished"
    counts = {lane["phase"]: (lane["total"], lane["complete"]) for lane in state["lanes"]}
    assert counts == {"search": (TRIALS, TRIALS), "final": (1, 1)}
    names = {f"random/search/{i:05d}" for i in range(TRIALS)} | {"random/final/00000"}
    epochs = {name: [epoch for epoch, _ in found] for name, found in study.reports().items()}
    assert epochs == {name: list(range(EPOCHS + 1)) for name in names}
    assert state["waiting_entries"] == 0
    # Asks for a root alone. No other study has been trained so far.
    tracked = tracked_epochs(lab.storage)
    numbers = {f"random/search/{i}" for i in range(TRIALS)} | {"random/final/0"}
    assert tracked == {name: list(range(EPOCHS + 1)) for name in numbers}
    assert list(study.folder.path.rglob("epoch-*.pt")) == []


def test_two_studies_at_once_both_finish_and_the_queue_shows_them(lab: Lab) -> None:
    lab.ensure("one", "three")
    names = ("early", "late")
    began_ms = now_ms()
    for name in names:
        lab.write(tiny(name, trials=6, epochs=30), name)
        lab.type(f"submit {name}.yaml --no-wait")
    state: dict[str, Any] = {}

    def queue_has_both() -> bool:
        said = lab.head.run(f"challenger-study cluster status --json --storage {lab.storage.root}")
        state.update(json.loads(said.stdout))
        return {row["study"] for row in state["queue"]} == set(names)

    until(queue_has_both, pause_s=3)
    lab.timings.note("two studies: the queue shows both", since(began_ms))
    # Every place is somebody's, and none is two studies'.
    assert sum(row["granted"] for row in state["queue"]) == state["slots"]["cpus"]
    shown = {row["study"] for row in json.loads(lab.type("cluster queue --json")[0])}
    assert shown <= set(names)
    assert "late" in shown
    for name in names:
        lab.type(f"logs {name} -f")
        ended = json.loads(lab.type(f"status {name} --json")[0])
        assert ended["activity"] == "finished"
        assert [lane["complete"] for lane in ended["lanes"]] == [6, 1]
        note_timeline(lab, name, began_ms)
    lab.type("report late --to page")
    page = lab.laptop.home / "page" / "report.html"
    assert (
        page.read_bytes() == (watched(lab, "late").folder.path / "report/report.html").read_bytes()
    )


def note_timeline(lab: Lab, name: str, began_ms: int) -> None:
    """Note from when to when a study had its trials."""
    study = watched(lab, name)
    begun = [each.started_ms for attempts in study.attempts().values() for each in attempts]
    ended = [reports[-1][1] for reports in study.reports().values()]
    lab.timings.note(f"… {name}: first trial begins", since(began_ms, min(begun)))
    lab.timings.note(f"… {name}: last trial ends", since(began_ms, max(ended)))
