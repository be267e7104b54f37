"""Where Challenger helps on 30 digits, and where it does not: one study per setting of training.

Every study trains Base, Random and Challenger with the same fixed N, α, β and split, each replica
on a draw of its own of the 30 images. Nothing is searched, so that no choice favours an arm.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml
from rich.console import Console

from study.config.run_options import RunOptions
from study.engine.run import run_study
from study.records.trial_table import TrialTable
from study.results.build import load_trial_table
from study.sensitivity.comparison import ArmComparison, compare
from study.sensitivity.intervals import Interval
from study.storage.layout import StorageRoot

_ACCURACY: Final = "test/accuracy"
_COSINE: Final = "filter_cosine/mean"
_METRICS: Final = (_ACCURACY, "test/nll", "test/ece10", _COSINE)

_STUDY: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "defaults": {
            "dataset": {
                "name": "digits",
                "train_per_class": 3,
                "subset": "per_replica",
                "val_size": 200,
                "test_size": 2000,
                "normalization": "unit",
            },
            "model": {"name": "vgg11", "width": 0.0625, "initialization": "torch"},
            "training": {
                "epochs": 300,
                "batch_size": 30,
                "optimizer": {"name": "adam", "lr": 1e-3},
                "start_from": "scratch",
                "eval_every": 100,
            },
            "replicas": {"search": 1, "final": 20},
            "search": {
                "trials": 1,
                "space": {"top_k": 5, "n_features": 0.1, "alpha": 1.0, "beta": 1.0, "split": 0.5},
            },
        },
        "arms": [
            {"method": "base"},
            {"method": "random", "like": "challenger"},
            {"method": "challenger"},
        ],
        "objective": {"metric": "val/accuracy", "direction": "maximize"},
        "resources": {"cpus": 1, "gpus": 0, "replica_mode": "vmap"},
    }
)

REGIMES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "torch": {},
        "kaiming": {"model.initialization": "kaiming"},
        "weak": {"search.space.alpha": 0.25, "search.space.beta": 0.25},
        "standardize": {
            "dataset.normalization": "standardize",
            "search.space.alpha": 3.25,
            "search.space.beta": 3.25,
        },
        "short": {"training.epochs": 30},
        "fast": {"training.optimizer.lr": 2e-3, "training.epochs": 200},
        "slow": {"training.optimizer.lr": 3e-4},
        "wide": {"model.width": 0.125},
        "wide-standardize": {
            "model.width": 0.125,
            "dataset.normalization": "standardize",
            "search.space.alpha": 3.25,
            "search.space.beta": 3.25,
        },
        "wide-kaiming": {"model.width": 0.125, "model.initialization": "kaiming"},
    }
)
"""What each setting changes in ``defaults``, by path. ``torch`` is the demo's setting."""

_WIDEST_STACKED: Final = 0.125
"""Wider replicas are trained faster one after the other on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A study of Base, matched Random and Challenger.

    Attributes:
        name: Name of the study.
        changed: What it changes in ``defaults``, by path.
        replicas: Final replicas per arm, at least 2.
    """

    name: str
    changed: Mapping[str, Any]
    replicas: int

    @property
    def study(self) -> dict[str, Any]:
        """Return its study file."""
        study = copy.deepcopy(dict(_STUDY))
        for path, value in self.changed.items():
            *folders, last = path.split(".")
            part = study["defaults"]
            for folder in folders:
                part = part[folder]
            part[last] = value
        study["defaults"]["replicas"]["final"] = self.replicas
        is_stacked = study["defaults"]["model"]["width"] <= _WIDEST_STACKED
        study["resources"]["replica_mode"] = "vmap" if is_stacked else "loop"
        return {"name": self.name, **study}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingResult:
    """The comparison of one setting.

    Attributes:
        arms: Base, Random and Challenger against Base.
        challenger_to_random: Challenger's accuracy minus Random's, in [-1, 1], over paired seeds.
        cpu_hours: CPU time of all trials, in hours.
    """

    setting: Setting
    arms: tuple[ArmComparison, ...]
    challenger_to_random: Interval
    cpu_hours: float


def regime(name: str, replicas: int) -> Setting:
    """Return the setting of a name in :data:`REGIMES`."""
    return Setting(name=f"regime-{name}", changed=REGIMES[name], replicas=replicas)


def measure_settings(
    root: Path, settings: Iterable[Setting], print_status: Callable[[str], None]
) -> Iterator[SettingResult]:
    """Run the studies below a folder, or continue them, and yield the result of each."""
    options = RunOptions(storage=StorageRoot(root=root), executor="inline")
    for setting in settings:
        print_status(f"setting {setting.name}")
        text = yaml.safe_dump(setting.study, sort_keys=False)
        run_study(text, f"{setting.name}.yaml", options, Console(stderr=True))
        yield _result(setting, load_trial_table(setting.name, options))


def _result(setting: Setting, table: TrialTable) -> SettingResult:
    to_base = compare(table, _METRICS)
    to_random = compare(table, (_ACCURACY,), against="random").row("challenger").get(_ACCURACY)
    if to_random is None or to_random.to_control is None:
        raise ValueError(
            f"setting {setting.name}: Challenger and Random were not trained on the same seeds"
        )
    return SettingResult(
        setting=setting,
        arms=to_base.rows,
        challenger_to_random=to_random.to_control.difference.interval,
        cpu_hours=sum(row.used("cpu_s") for row in table.rows) / 3600,
    )


def markdown_table(results: Iterable[SettingResult]) -> list[str]:
    """Return the lines of a Markdown table with one row per setting."""
    return [
        "| setting | n | Base | Random | Challenger | Challenger − Base | Challenger − Random "
        "| NLL | ECE | cosine of Base | Challenger − Base, cosine (10⁻⁴) | CPU h |",
        "|" + "---|" * 12,
        *map(_markdown_row, results),
    ]


def _markdown_row(result: SettingResult) -> str:
    base, _, challenger = result.arms
    setting = result.setting
    changed = ", ".join(f"`{path}: {value}`" for path, value in setting.changed.items())
    cells = [
        f"**{setting.name}**" + (f": {changed}" if changed else ""),
        str(setting.replicas),
        *(_percent(_level(arm, _ACCURACY)) for arm in result.arms),
        _percent(_difference(challenger, _ACCURACY), "+"),
        _percent(result.challenger_to_random, "+"),
        *(
            f"{_level(base, metric).mean:{form}} → {_level(challenger, metric).mean:{form}}"
            for metric, form in (("test/nll", ".2f"), ("test/ece10", ".3f"))
        ),
        f"{_level(base, _COSINE).mean:.4f}",
        _scaled(_difference(challenger, _COSINE), 1e4, "+.0f"),
        f"{result.cpu_hours:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _level(arm: ArmComparison, metric: str) -> Interval:
    measurement = arm.get(metric)
    if measurement is None:
        raise ValueError(f"arm {arm.arm} has no {metric}")
    return measurement.interval


def _difference(arm: ArmComparison, metric: str) -> Interval:
    measurement = arm.get(metric)
    if measurement is None or measurement.to_control is None:
        raise ValueError(f"arm {arm.arm} has no difference to Base in {metric}")
    return measurement.to_control.difference.interval


def _percent(interval: Interval, sign: str = "") -> str:
    return _scaled(interval, 100, f"{sign}.1f")


def _scaled(interval: Interval, factor: float, form: str) -> str:
    mean, low, high = (factor * x for x in (interval.mean, interval.low, interval.high))
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]".replace("-", "−")
