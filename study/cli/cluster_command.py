"""``cluster``: where studies run. One file per sub-command, each loaded when it is called."""

from __future__ import annotations

from typing import Final

import click

from study.cli.lazy_group import LazyGroup

# Sub-command to the first line of its help; its file is ``cluster_<name>_command.py``.
_COMMANDS: Final = {
    "down": "End what 'cluster up' has started.",
    "queue": "Show how several studies share a cluster.",
    "render": "Write a launch file for a Ray cluster: Kubernetes, Slurm, Compose, ray up.",
    "status": "Show whether the service answers, its nodes and running studies.",
    "up": "Start Ray, MLflow and PostgreSQL on this machine.",
}


@click.group("cluster", cls=LazyGroup, summaries=_COMMANDS, module="study.cli.cluster_{}_command")
def command() -> None:
    """Make the Ray cluster that studies run on."""
