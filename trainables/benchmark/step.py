"""The time of a training step under each method, as a multiple of a plain step beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from trainables.attribution import CaptumLrp
from trainables.benchmark.families import FAMILIES, Family, fixed_splits, noise_batch
from trainables.benchmark.machine import this_machine
from trainables.benchmark.operations import count_operations, counted_ratio
from trainables.benchmark.pairing import in_turn, ratio
from trainables.benchmark.passes import passes_of
from trainables.benchmark.step_report import Clock, LeftOut, StepOptions, StepReport, StepRow
from trainables.benchmark.zennit_lrp import ZennitLrp, has_zennit
from trainables.config import Precision, TrainingConfig, TrialConfig
from trainables.datasets import Splits
from trainables.errors import ConfigError
from trainables.loop import require_finite, run_epoch, start
from trainables.methods import METHODS, Base, Challenger, MethodConfig
from trainables.optimisers import Adam
from trainables.replica_state import ReplicaState

PLAIN = "base"

# A measurement takes so long at least, of several steps if need be: clocks and caches settle.
_LEAST_S = 0.3
_MOST_STEPS = 100

# The weights hardly move, so that the last round computes with the numbers of the first.
_LEARNING_RATE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to take a step.

    Attributes:
        method: Makes the settings of its method.
        precision: In what the step's passes are computed.
    """

    method: Callable[[], MethodConfig]
    precision: Precision = "float32"


def known_ways() -> Mapping[str, Way]:
    """Give every way to take a step that is not the plain one, by name.

    ``base_finetune`` takes plain steps, and has no row of its own.
    """
    others = [name for name in METHODS if name not in (PLAIN, "base_finetune")]
    return {
        **{name: Way(method=METHODS[name]) for name in others},
        "challenger/captum_lrp": Way(method=lambda: Challenger(attribution=CaptumLrp())),
        "challenger/zennit": Way(method=lambda: Challenger(attribution=ZennitLrp())),
        "base/bfloat16": Way(method=Base, precision="bfloat16"),
        "challenger/bfloat16": Way(method=Challenger, precision="bfloat16"),
    }


def measure_steps(options: StepOptions, say: Callable[[str], None] = lambda _: None) -> StepReport:
    """Measure the ways on each family at each batch size, one after the other in every round.

    Args:
        options: What is measured.
        say: Told what is going on.

    Raises:
        NonFiniteError: If a loss was NaN or infinite, whose times would say little.
    """
    rows: list[StepRow] = []
    left_out: list[LeftOut] = []
    for family in options.families:
        configs, refused = _configs(family, options.ways)
        left_out.extend(refused)
        for batch_size in options.batch_sizes:
            n_ways, rounds = len(configs), options.rounds
            say(f"{family}, batches of {batch_size}: {n_ways} ways in {rounds} rounds")
            rows.extend(_measure(family, batch_size, configs, options))
    return StepReport(
        machine=this_machine(options.device),
        clock=clock_of(options.device),
        rows=tuple(rows),
        left_out=tuple(left_out),
    )


def clock_of(device: torch.device) -> Clock:
    """Tell which clock measures a training on a device with the threads that torch has now."""
    return "cpu" if device.type == "cpu" and torch.get_num_threads() == 1 else "wall"


def _configs(
    family: str, ways: tuple[str, ...]
) -> tuple[dict[str, TrialConfig], tuple[LeftOut, ...]]:
    configs: dict[str, TrialConfig] = {}
    left_out: list[LeftOut] = []
    for way in ways:
        if way == "challenger/zennit" and not has_zennit():
            left_out.append(LeftOut(family=family, way=way, reason="zennit is not installed"))
            continue
        try:
            config = _config(FAMILIES[family], known_ways()[way])
            config.check_model()
        except ConfigError as error:
            left_out.append(LeftOut(family=family, way=way, reason=str(error)))
        else:
            configs[way] = config
    return configs, tuple(left_out)


def _config(family: Family, way: Way) -> TrialConfig:
    training = TrainingConfig(optimiser=Adam(lr=_LEARNING_RATE), precision=way.precision)
    return TrialConfig(
        dataset=family.dataset,
        model=family.model,
        method=way.method(),
        training=training,
        seeds=(1,),
    )


def _measure(
    family: str, batch_size: int, configs: Mapping[str, TrialConfig], options: StepOptions
) -> Iterator[StepRow]:
    plain = _config(FAMILIES[family], Way(method=Base))
    info = plain.dataset.info
    # One model for all ways: its weights do not change what a step computes.
    state = start(plain, info, 1, options.device)
    batch = noise_batch(info, batch_size, options.device)
    one_step = _timed(_of_size(plain, batch_size), fixed_splits(batch, 1), state)
    n_steps = _enough_steps(one_step)
    data = fixed_splits(batch, n_steps)
    ways = {
        name: _timed(_of_size(config, batch_size), data, state)
        for name, config in {PLAIN: plain, **configs}.items()
    }
    times = in_turn(ways, options.rounds)
    require_finite(plain, state)
    operations = count_operations(state.model, info.input_shape)
    for way, config in configs.items():
        found = ratio(times[way], times[PLAIN])
        limit = counted_ratio(operations, passes_of(config.method, batch_size), batch_size)
        yield StepRow(
            family=family,
            batch_size=batch_size,
            way=way,
            ratio=found,
            limit=limit,
            above_limit=found.median / limit,
        )


def _of_size(config: TrialConfig, batch_size: int) -> TrialConfig:
    return replace(config, training=replace(config.training, batch_size=batch_size))


def _timed(config: TrialConfig, data: Splits, state: ReplicaState) -> Callable[[], float]:
    device = data.train.targets.device
    now = time.process_time if clock_of(device) == "cpu" else time.perf_counter

    def epoch() -> float:
        _wait_for(device)
        started = now()
        run_epoch(config, data, state)
        _wait_for(device)
        return now() - started

    return epoch


def _enough_steps(one_step: Callable[[], float]) -> int:
    one_step()
    return min(_MOST_STEPS, max(1, math.ceil(_LEAST_S / one_step())))


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
