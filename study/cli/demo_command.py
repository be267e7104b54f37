"""``demo``: the main job on the embedded default."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import click

from study.cli.options import running_options
from study.cli.run_command import run_text


@click.command("demo")
@running_options
def command(**given: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Run a small, complete study on real MNIST digits that come with the installation.

    Three training images per class and a VGG11 of a quarter of its width: searches K, N, α, β
    and the split ratio, then sweeps K around the best trial, beside the Base and Random controls.
    """
    preset = files("study.presets") / "demo.yaml"
    return run_text(preset.read_text(encoding="utf-8"), "demo.yaml", **given)
