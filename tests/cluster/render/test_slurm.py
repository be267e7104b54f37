"""The batch script as bash runs it, with fakes of Slurm's and Ray's programs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cluster.render import render_launch_file

# Each appends its call to a file, in one line.
SRUN = """#!/bin/bash
echo "srun $*" >>"$CALLS"
while [[ "$1" == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = """#!/bin/bash
echo "scontrol $*" >>"$CALLS"
printf 'node%s\\n' 1 2
"""
HOSTNAME = """#!/bin/bash
echo "$ADDRESSES"
"""
IP = """#!/bin/bash
echo "ip $*" >>"$CALLS"
echo '3: ib0    inet 10.9.8.7/24 brd 10.9.8.255 scope global ib0'
"""
RAY = """#!/bin/bash
echo "ray $*" >>"$CALLS"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
STUDY = """#!/bin/bash
trap 'echo terminated >>"$CALLS"; exit 130' TERM
echo "challenger-study $*" >>"$CALLS"
echo "token $(stat -c %a "$RAY_AUTH_TOKEN_PATH") $(wc -c <"$RAY_AUTH_TOKEN_PATH")" >>"$CALLS"
env | grep -E '^(RAY_|CHALLENGER_|DO_NOT_TRACK)' | grep -v TOKEN_PATH >"$CALLS.environment"
if [ -n "$WAITS" ]; then touch "$WAITS"; for _ in {1..600}; do sleep 0.1; done; fi
exit "$CODE"
"""
PROGRAMS = {
    "srun": SRUN,
    "scontrol": SCONTROL,
    "hostname": HOSTNAME,
    "ip": IP,
    "ray": RAY,
    "challenger-study": STUDY,
}


@pytest.fixture
def job(tmp_path):
    """Return a function that starts the script as Slurm would."""
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name, content in PROGRAMS.items():
        (programs / name).write_text(content, encoding="utf-8")
        (programs / name).chmod(0o755)
    started = []

    def start(*pairs: str, **variables: str) -> subprocess.Popen[str]:
        script = tmp_path / "job.sh"
        text = render_launch_file("slurm", [f"environment={programs.parent}", *pairs])
        script.write_text(text, encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "CALLS": str(tmp_path / "calls"),
            "SLURM_JOB_ID": f"{os.getpid()}",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "ADDRESSES": "fe80::1 10.1.2.3 10.4.5.6 ",
            "WAITS": "",
            "CODE": "0",
            **variables,
        }
        process = subprocess.Popen(
            ["bash", script],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="utf-8").splitlines()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_all_nodes_form_one_ray_and_the_head_runs_the_study(job, tmp_path):
    assert ended(job("workers.min=2", "workers.gpus=1", "study=mine.yaml")) == (0, "")
    ray, study, token = calls(tmp_path)[-4:-1]
    assert ray.startswith(
        "ray symmetric-run --address=10.1.2.3:6379 --min-nodes=2 --num-cpus=4 --num-gpus=1 "
        "--disable-usage-stats -- bash "
    )
    assert study == "challenger-study run mine.yaml --address 10.1.2.3:6379"
    assert token == "token 600 64"
    (step,) = [call for call in calls(tmp_path) if " ray symmetric-run" in call]
    assert step.startswith("srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=4 ray")


def test_the_driver_finds_its_folders_and_ray_its_settings(job, tmp_path):
    url = "postgresql+psycopg://me@db.example.org/studies"
    ended(job("storage=/scratch", f"database={url}"))
    number = os.getpid()
    environment = (tmp_path / "calls.environment").read_text(encoding="utf-8").splitlines()
    assert sorted(environment) == [
        "CHALLENGER_DATA=/scratch/data",
        f"CHALLENGER_DATABASE={url}",
        "CHALLENGER_STORAGE=/scratch/studies",
        "DO_NOT_TRACK=true",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0",
        "RAY_AUTH_MODE=token",
        "RAY_CHDIR_TO_TRIAL_DIR=0",
        "RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600",
        f"RAY_TMPDIR=/tmp/ray-{number}",
        "RAY_USAGE_STATS_ENABLED=0",
        "RAY_py_gcs_connect_timeout_s=600",
    ]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_nothing_is_left_and_the_exit_code_is_the_drivers(job, tmp_path, code):
    assert ended(job(CODE=str(code)))[0] == code
    assert not list(tmp_path.glob(".challenger-*"))
    assert not Path(f"/tmp/ray-{os.getpid()}").exists()


def test_before_the_time_limit_the_driver_alone_gets_sigterm(job, tmp_path):
    waits = tmp_path / "waits"
    process = job(WAITS=str(waits))
    end = time.monotonic() + 60
    while not waits.exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 130
    said = calls(tmp_path)
    assert said.count("terminated") == 1
    assert [call for call in said if call.startswith("srun") and " kill -TERM " in call] == [
        call for call in said if "--overlap --nodelist=node1 kill -TERM" in call
    ]
    assert not list(tmp_path.glob(".challenger-*"))


def test_a_named_network_device_gives_the_address(job, tmp_path):
    assert ended(job("interface=ib0")) == (0, "")
    assert "ip -4 -o address show dev ib0" in calls(tmp_path)
    assert "challenger-study run study.yaml --address 10.9.8.7:6379" in calls(tmp_path)


def test_a_head_without_an_address_is_an_error(job, tmp_path):
    code, said = ended(job(ADDRESSES="fe80::1"))
    assert code == 2
    assert said == (
        "node1 has no IPv4 address; name its network device with --set slurm.interface=…\n"
    )
    assert not list(tmp_path.glob(".challenger-*"))
