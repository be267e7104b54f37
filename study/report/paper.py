"""The paper's numbers for tinyMNIST, as a reference beside ours and never as a target."""

from __future__ import annotations

from study.report.tables import Table
from study.sensitivity import Setting

_COLUMNS = (
    "Paper",
    "Accuracy [%]",
    "NLL",
    "Brier score",
    "ECE",
    "Filter cosine, mean",
    "layer 1",
    "layer 2",
    "layer 3",
)
_ROWS = (
    ("Base", "46.99", "7.670", "0.096", "0.454", "0.106", "0.019", "0.191", "0.089"),
    ("Challenger", "71.06", "3.130", "0.052", "0.242", "0.0724", "0.022", "0.107", "0.043"),
)


def reference_table(setting: Setting) -> Table | None:
    """Give the paper's tinyMNIST rows for a setting on handwritten digits, else None."""
    if not setting.dataset.lower().startswith(("mnist", "digits")):
        return None
    epochs = " or ".join(str(n) for n in sorted({arm.epochs for arm in setting.arms}))
    return Table(
        title="For reference: tinyMNIST in the paper",
        columns=_COLUMNS,
        rows=_ROWS,
        note=(
            "Tomani and Cremers, arXiv:2205.15094, tables 1 and 2: VGG11 of full width on MNIST "
            "with 3 samples per class and the full test set; replicas and intervals are not "
            f"stated there. This study is of another scale ({setting.dataset}, {setting.model}, "
            f"{epochs} epochs): levels are not comparable, at most the direction of a "
            "difference is."
        ),
    )
