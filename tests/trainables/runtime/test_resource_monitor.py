from __future__ import annotations

import ctypes
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from tests.trainables.builders import trial
from trainables.report import Report
from trainables.runtime import resource_monitor
from trainables.runtime.resource_monitor import ResourceMonitor, resident_bytes
from trainables.trial import TrialContext, run_trial

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """Return two clocks that go when they are told to, and a memory of that size."""
    now = SimpleNamespace(wall=100.0, cpu=7.0, memory=3_000_000)
    monkeypatch.setattr(resource_monitor.time, "monotonic", lambda: now.wall)
    monkeypatch.setattr(resource_monitor.time, "process_time", lambda: now.cpu)
    monkeypatch.setattr(resource_monitor, "resident_bytes", lambda: now.memory)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    return now


def test_only_the_time_between_going_on_and_pausing_counts(clock):
    monitor = ResourceMonitor(device=CPU)
    clock.wall, clock.cpu = 200, 50  # before it begins
    monitor.resume()
    clock.wall, clock.cpu = 204, 55
    monitor.pause()
    clock.wall, clock.cpu = 300, 90  # the driver's work
    monitor.resume()
    clock.wall, clock.cpu = 306, 93
    used = monitor.collect()
    assert (used["trained_s"], used["cpu_s"]) == (10, 8)
    # Two CPUs for ten seconds could have given twenty.
    assert used["cpu_utilization_percentage"] == 40
    clock.wall, clock.cpu = 308, 94
    used = monitor.collect()
    assert (used["trained_s"], used["cpu_s"]) == (2, 1)


def test_memory_is_the_most_that_was_seen_since_the_last_report(clock):
    monitor = ResourceMonitor(device=CPU)
    monitor.resume()
    for wall, memory in ((101, 5_000_000), (101.5, 9_000_000), (103, 4_000_000)):
        clock.wall, clock.memory = wall, memory
        monitor.sample()
    # The second look came too early to be one.
    used = monitor.collect()
    assert used["system_memory_usage_megabytes"] == 5
    total = psutil.virtual_memory().total
    assert used["system_memory_usage_percentage"] == pytest.approx(100 * 5_000_000 / total)
    assert monitor.collect()["system_memory_usage_megabytes"] == 4


def test_a_report_without_any_time_has_no_ratio(clock):
    monitor = ResourceMonitor(device=CPU)
    monitor.resume()
    assert "cpu_utilization_percentage" not in monitor.collect()
    assert clock.wall == 100


def test_resident_memory_is_that_of_proc():
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    assert resident_bytes() == pytest.approx(pages * os.sysconf("SC_PAGE_SIZE"), rel=0.05)


def test_seconds_of_all_threads_are_counted():
    monitor = ResourceMonitor(device=CPU)
    monitor.resume()
    before = os.times()

    def work() -> None:
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = monitor.collect()["cpu_s"]
    after = os.times()
    assert 0.4 <= used <= after.user + after.system - before.user - before.system + 0.1


def test_every_report_of_a_trial_says_what_it_used_and_a_continued_one_repeats_it(
    tmp_path, folders
):
    context = TrialContext(folder=tmp_path, data=folders, device=CPU)
    reports = list(run_trial(trial("challenger"), context))
    for report in reports:
        assert report.usage["cpu_s"] > 0
        assert report.usage["system_memory_usage_megabytes"] > 50
    again = list(run_trial(trial("challenger"), context))
    # The newest checkpoint stands at epoch 4 of 5.
    assert [dict(r.usage) for r in again[:3]] == [dict(r.usage) for r in reports[:3]]
    assert again[3].usage != reports[3].usage


def test_two_reports_of_the_same_results_are_equal():
    report = Report(epoch=1, metrics={"val/nll": (0.5,)}, usage={"cpu_s": 1.0})
    assert report == replace(report, usage={"cpu_s": 2.0})


def test_the_load_of_a_gpu_is_unknown_on_the_cpu_and_without_a_driver(monkeypatch):
    assert resource_monitor.gpu_utilization_reader(CPU)() is None

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(resource_monitor.ctypes, "CDLL", missing)
    assert resource_monitor.gpu_utilization_reader(torch.device("cuda"))() is None


class Driver:
    """NVML as its manual says that it answers."""

    def __init__(self, failing: str = "") -> None:
        self.failing, self.asked = failing, b""

    def nvmlInit_v2(self) -> int:  # noqa: N802 (NVML's names)
        return int(self.failing == "init")

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: object) -> int:  # noqa: N802, ARG002
        self.asked = uuid
        return 6 if self.failing == "handle" else 0

    def nvmlDeviceGetUtilizationRates(self, handle: object, found: object) -> int:  # noqa: N802, ARG002
        found._obj.gpu = 87  # type: ignore[attr-defined] # ctypes.byref's
        return 3 if self.failing == "rates" else 0


@pytest.mark.parametrize(
    ("failing", "load"), [("", 87.0), ("init", None), ("handle", None), ("rates", None)]
)
def test_the_load_of_a_gpu_is_the_drivers_word_or_unknown(monkeypatch, failing, load):
    driver = Driver(failing)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    properties = SimpleNamespace(uuid="01-23")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    assert resource_monitor.gpu_utilization_reader(torch.device("cuda"))() == load
    assert driver.asked == (b"" if failing == "init" else b"GPU-01-23")


def test_a_share_of_a_gpu_is_counted_as_that_and_its_memory_is_the_most_since_the_last_report(
    clock, monkeypatch
):
    held = iter([4_000_000_000, 1_000_000_000])
    loads = iter([50.0, 100.0, 10.0])
    monkeypatch.setattr(resource_monitor, "gpu_utilization_reader", lambda _: lambda: next(loads))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: next(held))
    resets: list[None] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: resets.append(None))
    properties = SimpleNamespace(total_memory=80_000_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monitor = ResourceMonitor(device=torch.device("cuda"), gpu_share=0.25)
    monitor.resume()
    clock.wall += 8
    monitor.sample()
    used = monitor.collect()
    assert used["gpu_s"] == 2
    assert used["gpu_0_memory_usage_megabytes"] == 4000
    assert used["gpu_0_memory_usage_percentage"] == 5
    assert used["gpu_0_utilization_percentage"] == 75
    used = monitor.collect()
    assert (used["gpu_s"], used["gpu_0_utilization_percentage"]) == (0, 10)
    assert used["gpu_0_memory_usage_megabytes"] == 1000
    assert len(resets) == 2


@pytest.mark.gpu
def test_a_gpu_says_seconds_memory_and_load():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    device = torch.device("cuda")
    monitor = ResourceMonitor(device=device, gpu_share=0.5)
    monitor.resume()
    matrix = torch.rand(4096, 4096, device=device)
    for _ in range(500):
        matrix = matrix @ matrix / 4096
    torch.cuda.synchronize()
    time.sleep(0.3)
    used = monitor.collect()
    assert used["gpu_s"] == pytest.approx(used["trained_s"] / 2)
    assert used["gpu_0_memory_usage_megabytes"] >= 4096 * 4096 * 4 / 1e6
    assert 0 < used["gpu_0_memory_usage_percentage"] < 100
    assert 0 <= used["gpu_0_utilization_percentage"] <= 100
