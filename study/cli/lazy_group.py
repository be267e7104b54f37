"""A click group that imports a command when it is called, so that ``--help`` is fast."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Commands by name, each imported when it is called."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 (as click.Group)
        summaries: Mapping[str, str],
        modules: Mapping[str, str],
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Declare the commands.

        Args:
            args: As for a group.
            summaries: Command to the first line of its help.
            modules: Command to its import path, ``package.module:function``.
            kwargs: As for a group.
        """
        super().__init__(*args, **kwargs)
        self._summaries = summaries
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        """Return the names of the commands in their order."""
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        module, _, function = self._modules[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
