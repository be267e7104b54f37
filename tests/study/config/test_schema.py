"""The parts of a study file that belong to the study: ranges at their edges."""

from __future__ import annotations

import pytest

from search_spaces import Saltelli, Sobol
from study.config.schema import Replicas, Resources, SearchConfig, Sensitivity
from trainables.errors import ConfigError


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: SearchConfig(design=Sobol(), scheduler="asha"),
            "scheduler must be 'none' with design 'sobol', got 'asha': a design needs the full "
            "budget of every trial; write 'scheduler: none' beside it.",
        ),
        (
            lambda: Sensitivity(over="x", values=(1,)),
            "values must be two or more different values, got [1].",
        ),
        (
            lambda: Sensitivity(over="x", values=(1, 1.0)),
            "values must be two or more different values, got [1, 1.0].",
        ),
        (
            lambda: Resources(custom={"rtx4090": 0.0}),
            "custom.rtx4090 must be at least 0.0001, got 0.0.",
        ),
        (
            lambda: Resources(custom={"GPU": 1.0}),
            "custom.GPU must be a resource of your own, but Ray counts GPU itself; set "
            "resources.gpus instead.",
        ),
        (
            lambda: Resources(custom={"memory": 1.0}),
            "custom.memory must be a resource of your own, but Ray counts memory itself; set "
            "resources.memory_gib instead.",
        ),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message


def test_settings_at_their_limits_are_accepted():
    Replicas(search=1, final=2)
    SearchConfig(trials=1, startup_trials=1)
    Sensitivity(over="x", values=(1, 2))
    Resources(cpus=1, max_concurrent=1, max_failures=0)
    Resources(memory_gib=0.01, custom={"rtx4090": 0.0001, "node:10.0.0.3": 1}, priority=-3)


@pytest.mark.parametrize("gpus", [0.0, 1.0, 0.5, 1 / 3, 0.333, 0.33333334, 0.25, 0.2, 0.1, 0.01])
def test_a_trial_takes_no_gpu_a_whole_one_or_a_fraction_of_which_n_fit(gpus):
    assert Resources(gpus=gpus).gpus == gpus


@pytest.mark.parametrize("gpus", [0.3, 0.34, 0.6, 0.75, 0.9, 1.5, 2.0, -1.0, -0.5])
def test_shares_that_leave_a_part_of_a_gpu_idle_are_refused(gpus):
    with pytest.raises(ConfigError) as caught:
        Resources(gpus=gpus)
    assert str(caught.value) == (
        f"gpus must be 0, 1 or a fraction 1/n such as 0.5, 0.333 or 0.25, got {gpus}."
    )


def test_a_design_proposes_instead_of_the_sampler():
    assert SearchConfig().sampler_name == "tpe"
    assert SearchConfig(sampler="random").sampler_name == "random"
    assert SearchConfig(sampler="random", design=Sobol()).sampler_name == "sobol"
    assert SearchConfig(design=Saltelli()).sampler_name == "saltelli"
