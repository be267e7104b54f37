"""One job at a time drives a study, however often it is submitted."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from cluster.errors import ClusterError
from cluster.jobs import Job, JobSpec
from study.engine.status import ready_message
from study.records.errors import BusyError, SpecError
from study.remote.jobs import latest_job, resume, stop, submit, wait_until_ready


@dataclass
class FakeJobs:
    """Jobs as Ray keeps them: a name is given once."""

    jobs: list[Job] = field(default_factory=list)
    plans: list[JobSpec] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    is_raced: bool = False

    def list_jobs(self):
        return tuple(self.jobs)

    def submit(self, plan):
        if self.is_raced:
            raise ClusterError(
                f"Request failed: Job with submission_id {plan.name} already exists"
            )
        self.plans.append(plan)
        if plan.folder is not None:
            self.files.append((plan.folder / "study.yaml").read_text())
        self.add(plan.name, "RUNNING", plan.metadata)
        return plan.name

    def add(self, name, state, metadata):
        code = 0 if state == "SUCCEEDED" else None
        job = Job(
            name=name, state=state, metadata=metadata, start_time_ms=1, exit_code=code, message=""
        )
        self.jobs = [each for each in self.jobs if each.name != name] + [job]

    def end(self, name, state="SUCCEEDED"):
        (job,) = (each for each in self.jobs if each.name == name)
        self.add(name, state, job.metadata)

    def get_job(self, name):
        return next(each for each in self.jobs if each.name == name)

    def get_logs(self, _):
        return self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]

    def stop(self, name):
        self.end(name, "STOPPED")

    def wait(self, name, _):
        return self.get_job(name)


def test_a_study_is_sent_with_its_file_and_options_and_no_shell_around_it():
    cluster = FakeJobs()
    assert submit(cluster, "mine", "name: mine", ["--storage", "/with space"]) == "mine-1"
    (plan,) = cluster.plans
    assert cluster.files == ["name: mine"]
    assert plan.command == (
        "exec python -P -m study run study.yaml --storage '/with space' --as-job"
    )
    assert plan.metadata["study"] == "mine"
    assert {path.name for path in plan.py_modules} == {
        "study",
        "trainables",
        "search_spaces",
        "cluster",
    }


def test_a_study_that_runs_is_not_started_twice_and_its_job_is_named():
    cluster = FakeJobs()
    submit(cluster, "mine", "name: mine", [])
    with pytest.raises(BusyError, match="but job mine-1 of the cluster runs it"):
        submit(cluster, "mine", "name: mine", [])
    with pytest.raises(BusyError, match="but job mine-1 of the cluster runs it"):
        resume(cluster, "mine", [])
    assert submit(cluster, "other", "name: other", []) == "other-1"


def test_a_study_that_ended_goes_on_under_another_job():
    cluster = FakeJobs()
    submit(cluster, "mine", "name: mine", [])
    cluster.end("mine-1", "FAILED")
    assert resume(cluster, "mine", []) == "mine-2"
    assert cluster.plans[-1].command == "exec python -P -m study resume mine --as-job"
    assert latest_job(cluster, "mine").name == "mine-2"


def test_of_two_who_start_it_at_the_same_moment_one_is_refused():
    with pytest.raises(BusyError, match="at this very moment, as job mine-1"):
        submit(FakeJobs(is_raced=True), "mine", "name: mine", [])


def test_a_study_that_the_cluster_does_not_know_is_said_with_those_it_does():
    cluster = FakeJobs()
    with pytest.raises(SpecError, match="has run none"):
        latest_job(cluster, "mine")
    submit(cluster, "other", "name: other", [])
    with pytest.raises(SpecError, match="has run other"):
        latest_job(cluster, "mine")


def test_stopping_one_that_has_ended_changes_nothing():
    cluster = FakeJobs()
    submit(cluster, "mine", "name: mine", [])
    cluster.end("mine-1")
    assert stop(cluster, "mine", 1.0).state == "SUCCEEDED"
    submit(cluster, "mine", "name: mine", [])
    assert stop(cluster, "mine", 1.0).state == "STOPPED"


def test_a_driver_is_waited_for_until_it_is_ready_or_ends(monkeypatch):
    monkeypatch.setattr("study.remote.jobs._POLL_S", 0)
    cluster = FakeJobs(logs=["", "starting", ready_message(2)])
    submit(cluster, "mine", "name: mine", [])
    job, said = wait_until_ready(cluster, "mine-1")
    assert (job.state, said) == ("RUNNING", ready_message(2))
    cluster.logs = ["SpecError: no"]
    cluster.end("mine-1", "FAILED")
    job, said = wait_until_ready(cluster, "mine-1")
    assert (job.state, said) == ("FAILED", "SpecError: no")
