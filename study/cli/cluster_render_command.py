"""``cluster render``: launch files for Ray clusters."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from study.files import write_whole

# The keys of cluster.render.LAUNCHERS, which a test compares: help loads no renderer.
FORMATS = ("compose", "dockerfile", "kuberay", "ray-up", "slurm")


@click.command("render", short_help="Write a launch file for a Ray cluster.")
@click.argument("launcher", metavar="FORMAT", type=click.Choice(FORMATS))
@click.option(
    "--set",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    help="A setting, such as workers.max=8 or namespace=lab; may be given again. "
    "--list names all of them.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write; default: to the terminal.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--list", "is_list", is_flag=True, help="List all settings instead.")
def command(
    launcher: str, pairs: tuple[str, ...], output: Path | None, force: bool, is_list: bool
) -> int:
    """Write a launch file for a Ray cluster on which studies run.

    FORMAT is one of compose (one machine), dockerfile (the image for all others), kuberay
    (Kubernetes), ray-up (machines with ssh, or AWS) and slurm. The lines at the top of the file
    say how it is used. No password is in it; Ray asks everybody for a token.
    """
    from cluster.render.launching import launch_file

    if is_list:
        return _list(pairs)
    if output is not None and output.exists() and not force:
        raise click.UsageError(
            f"{output} must not exist, but does; replace it with --force, or give another FILE "
            "with -o."
        )
    made = launch_file(launcher, pairs)
    if output is None:
        click.echo(made.text(_typed(launcher, pairs)), nl=False)
        return 0
    write_whole(output, made.text(_typed(launcher, pairs), str(output)))
    click.echo(str(output))
    return 0


def _list(pairs: tuple[str, ...]) -> int:
    from cluster.render.overrides import described, settings_of

    for setting in described(settings_of(pairs)):
        click.echo(f"{setting.key}={setting.value}".ljust(44) + f" {setting.meaning}")
    return 0


def _typed(launcher: str, pairs: tuple[str, ...]) -> str:
    sets = [word for pair in pairs for word in ("--set", pair)]
    return shlex.join(["challenger-study", "cluster", "render", launcher, *sets])
