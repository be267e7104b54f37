"""A study in which settings are tried on other datasets, made without training anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialTable
from tests.support.trial_tables import AXES, TableShape, final_row, make_trial_table

# What each search chose: of arm 'digits', of arm 'words', and of arm 'both' over both datasets.
CHOICES: dict[str, dict[str, ParamValue]] = {
    "digits": {"top_k": 8, "alpha": 0.5},
    "words": {"top_k": 3, "alpha": 1.5},
    "both": {"top_k": 2, "alpha": 1.0},
}
DATASETS = {"digits": "digits (3 per class)", "words": "reuters (keras)"}
INFEASIBLE_REASON = "method.top_k must not exceed the 4 classes, got 8."

Values = Mapping[str, Mapping[str, tuple[float, ...]]]

VALUES: Values = {
    "base-digits": {"": (0.50, 0.52, 0.51, 0.49)},
    "digits": {
        "digits": (0.70, 0.73, 0.72, 0.69),
        "words": (0.60, 0.64, 0.63, 0.59),
        "both": (0.70, 0.72, 0.74, 0.68),
    },
    "base-words": {"": (0.40, 0.44, 0.42, 0.41)},
    "words": {"words": (0.43, 0.46, 0.47, 0.45), "both": (0.41, 0.47, 0.42, 0.44)},
    "both-digits": {
        "both": (0.70, 0.72, 0.74, 0.68),
        "digits": (0.70, 0.73, 0.72, 0.69),
        "words": (0.60, 0.64, 0.63, 0.59),
    },
    "both-words": {"both": (0.41, 0.47, 0.42, 0.44), "words": (0.43, 0.46, 0.47, 0.45)},
}


def transfer_table_of(values: Values = VALUES) -> TrialTable:
    """Make a study from test accuracies: arm, who chose the setting, replicas.

    K of arm 'digits' is above the classes of the words, where it has no trial.
    """
    rows = [row for arm, by_source in values.items() for row in _rows(arm, by_source)]
    table = make_trial_table(TableShape(replicas=2, layers=1, sweep=(), search_trials=0))
    return replace(table, arms=tuple(_transfer_arm(name) for name in values), rows=tuple(rows))


def chosen_by(source: str) -> dict[str, ParamValue]:
    """Return the params of a source; Base has none."""
    return CHOICES.get(source, {})


def _rows(arm: str, by_source: Mapping[str, tuple[float, ...]]) -> list[TrialRow]:
    return [
        final_row(
            arm,
            number,
            chosen_by(source),
            {"test/accuracy": replicas, "test/auc": tuple(0.5 + x / 2 for x in replicas)},
        )
        for number, (source, replicas) in enumerate(by_source.items())
    ]


def _transfer_arm(name: str) -> ArmRow:
    is_base, is_member = name.startswith("base"), name.startswith("both")
    data = name.rpartition("-")[2]
    return ArmRow(
        name=name,
        dataset=DATASETS[data],
        model="vgg11, width 0.25" if data == "digits" else "text_cnn, width 0.25",
        method="base" if is_base else "challenger",
        n_classes=10 if data == "digits" else 4,
        n_features=784,
        epochs=1,
        dimensions={} if is_base else {name: AXES[name] for name in ("top_k", "alpha")},
        sweeps={},
        best_params=chosen_by("both" if is_member else name),
        group="both" if is_member else None,
        transfer=not is_base,
        refusals={"digits": INFEASIBLE_REASON} if data == "words" and not is_base else {},
    )
