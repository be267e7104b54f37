"""Options that several commands share; the only reader of the environment."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from study.records.errors import mask_passwords
from study.storage.layout import StorageRoot

if TYPE_CHECKING:
    from study.config.run_options import RunOptions
    from trainables.plugins import LoadedPlugin

DEFAULT_STORAGE = Path("challenger-studies")

_Decorated = Callable[..., Any]


storage_option: Final = click.option(
    "--storage",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_STORAGE,
    envvar="CHALLENGER_STORAGE",
    show_default=True,
    help="Folder of all studies.",
)
data_root_option: Final = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    envvar="CHALLENGER_DATA",
    help="Folder with datasets; read only.",
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
plugin_option: Final = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="PLUGIN",
    help="File or module with parts of your own, my_parts.py or my_lab.parts; repeatable.",
)
set_option: Final = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace a key of the file, such as defaults.training.epochs=5; repeatable.",
)
force_option: Final = click.option("--force", is_flag=True, help="Replace FILE if it exists.")


def check_output(path: Path | None, force: bool) -> None:
    """Refuse a file that exists, unless it is to be replaced."""
    if path is not None and path.exists() and not force:
        raise click.UsageError(
            f"{path} must not exist, but does; replace it with --force, or name another FILE "
            "with -o."
        )


def _without_password(
    context: click.Context, option: click.Parameter, url: str | None
) -> str | None:
    """Keep a password out of the process list and of the environment of child processes."""
    if url is None or mask_passwords(url) == url:
        return url
    variables = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    if context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            f"{option.opts[0]} must not hold a password, which all users can read in the list of "
            f"processes, got {mask_passwords(url)}; set {variables[0]} instead."
        )
    for variable in variables:
        os.environ.pop(variable, None)
    return url


database_option: Final = click.option(
    "--database",
    envvar="CHALLENGER_DATABASE",
    callback=_without_password,
    metavar="URL",
    help="Optuna database; default: optuna.db in the storage folder. Set one with a "
    "password in CHALLENGER_DATABASE.",
)
tracking_option: Final = click.option(
    "--tracking-uri",
    envvar=["CHALLENGER_TRACKING_URI", "MLFLOW_TRACKING_URI"],
    callback=_without_password,
    metavar="URL",
    help="MLflow server; default: mlflow.db in the storage folder. Set one with a "
    "password in CHALLENGER_TRACKING_URI.",
)


def without_ray_client(
    context: click.Context,  # noqa: ARG001 (click's)
    option: click.Parameter,  # noqa: ARG001
    address: str | None,
) -> str | None:
    """Reject an address of Ray's client, whose driver dies with its connection."""
    if address is not None and address.startswith("ray://"):
        raise click.UsageError(
            f"--address must be that of Ray's head, such as 10.0.0.1:6379, got {address!r}: a "
            "driver of Ray's client ends with its connection; from another machine, use 'submit' "
            "with the dashboard's address, http://10.0.0.1:8265."
        )
    return address


def running_options(command: _Decorated) -> _Decorated:
    """Add the options of commands that train."""
    for option in (
        click.option(
            "--address",
            metavar="HOST:PORT",
            envvar="RAY_ADDRESS",
            callback=without_ray_client,
            help="A running Ray; default: a Ray of its own on this machine.",
        ),
        click.option(
            "--executor",
            type=click.Choice(["ray", "inline"]),
            default="ray",
            show_default=True,
            help="Ray Tune, or sequential trials in this process.",
        ),
        tracking_option,
        database_option,
        data_root_option,
        storage_option,
        click.option("--as-job", "is_job", is_flag=True, hidden=True, help="Set by 'submit'."),
    ):
        command = option(command)
    return command


def study_options(**params: Any) -> RunOptions:  # noqa: ANN401 (click's parameters)
    """Return the options of a run from a command's parameters, with absolute paths."""
    from study.config.run_options import RunOptions

    root: Path | None = params.pop("data_root")
    storage: Path = params.pop("storage")
    if params.get("is_job"):
        _require_named_storage()
    return RunOptions(
        storage=make_storage(storage), data_root=root.absolute() if root else None, **params
    )


def _require_named_storage() -> None:
    """Require an explicit storage for a job, whose working folder is arbitrary."""
    source = click.get_current_context().get_parameter_source("storage")
    if source is ParameterSource.DEFAULT:
        raise click.UsageError(
            "the cluster needs a storage folder that all of its machines share, but neither "
            "--storage nor CHALLENGER_STORAGE of its head is set; set one of them."
        )


def named_plugins(entries: Sequence[str]) -> Sequence[LoadedPlugin]:
    """Load the plug-ins of a command line, relative to the working folder, and installed ones.

    Returns:
        The former.

    Raises:
        PluginError: If one is missing or broken.
    """
    from trainables.plugins import find_installed, find_plugin, load_plugins

    named = [find_plugin(entry, Path.cwd()) for entry in entries]
    return load_plugins([*named, *find_installed()])[: len(named)]


def make_storage(path: Path) -> StorageRoot:
    """Return the storage of a path."""
    return StorageRoot(root=path.absolute())


def command_line(arguments: str, storage: StorageRoot) -> str:
    """Return a command line for the same shell and storage, which can be pasted."""
    launcher = "uv run challenger-study" if "UV" in os.environ else "challenger-study"
    is_default = storage.root == DEFAULT_STORAGE.absolute()
    option = "" if is_default else f" --storage {shlex.quote(str(relative_path(storage.root)))}"
    return f"{launcher} {arguments}{option}"


def relative_path(path: Path) -> Path:
    """Return a path relative to the working folder, if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
