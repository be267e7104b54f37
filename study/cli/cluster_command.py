"""``cluster``: where studies run. One file per sub-command, each loaded when it is called."""

from __future__ import annotations

import importlib
from typing import Final

import click

# Sub-command to the first line of its help; its file is ``cluster_<name>_command.py``.
_COMMANDS: Final = {
    "render": "Write a launch file for a Ray cluster: Kubernetes, Slurm, Compose, ray up.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"study.cli.cluster_{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group("cluster", cls=_LazyGroup)
def command() -> None:
    """Make the Ray cluster that studies run on."""
