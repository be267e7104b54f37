"""``data``: datasets are fetched from their official sources, and checked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli.console import make_console, print_plain
from study.cli.options import data_root_option, json_option

if TYPE_CHECKING:
    from study.data import DatasetCheck


def _validate_names(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> list[str]:
    from trainables.datasets.sources import SOURCES
    from trainables.names import suggestion

    for name in names:
        if name != "all" and name not in SOURCES:
            hint = suggestion(name, [*SOURCES, "all"])
            raise click.BadParameter(f"there is no dataset {name!r}; {hint}")
    return list(SOURCES) if "all" in names else list(dict.fromkeys(names))


_names_argument = click.argument(
    "names", metavar="NAME...", nargs=-1, required=True, callback=_validate_names
)


@click.group("data")
def data_command() -> None:
    """Fetch datasets from their official sources, or check existing files."""


@data_command.command("fetch", short_help="Fill the data root from the official sources.")
@_names_argument
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CHALLENGER_DATA",
    help="Folder for the datasets; created if it does not exist.",
)
def fetch_command(names: list[str], data_root: Path | None) -> int:
    """Fetch the datasets NAME, or 'all', into the data root.

    Every file is verified by its published checksum, if it has one, before it is renamed into
    place. After a lost connection or Ctrl-C the same command resumes the download; existing
    files are not fetched again.
    """
    from study.data import fetch, show_progress
    from trainables.datasets.data_files import dataset_folder
    from trainables.datasets.sources import source_files
    from trainables.datasets.splits import DataFolders

    console = make_console()
    folders = DataFolders(root=_absolute_path(data_root), cache=Path())
    for name in names:
        if not source_files(name):
            print_plain(console, f"{name}: part of the installation; nothing to fetch.")
    fetched = [name for name in names if source_files(name)]
    if fetched:
        root = dataset_folder(folders, fetched[0]).parent
        with show_progress(console) as progress:
            fetch([file for name in fetched for file in source_files(name)], root, progress)
        print_plain(console, f"{', '.join(fetched)}: done; use them with --data-root {root}.")
    return 0


@data_command.command("check", short_help="Check which files exist and are complete.")
@_names_argument
@json_option
@data_root_option
def check_command(names: list[str], as_json: bool, data_root: Path | None) -> int:
    """Check the files of the datasets NAME, or 'all'.

    Exit code 0 if each dataset is usable with its default settings, else 2.
    """
    from study.data import check_dataset

    root = _absolute_path(data_root)
    checks = [check_dataset(name, root) for name in names]
    if as_json:
        click.echo(json.dumps([_check_json(one) for one in checks], indent=2))
    else:
        _print_checks(checks, make_console())
    return 2 if any(one.problem for one in checks) else 0


def _absolute_path(data_root: Path | None) -> Path | None:
    # A shell does not expand the ~ of --data-root=~/data.
    return None if data_root is None else data_root.expanduser().absolute()


def _check_json(check: DatasetCheck) -> dict[str, object]:
    return {
        "is_usable": check.problem is None,
        "name": check.name,
        "files": [asdict(file) for file in check.files],
        "others": check.unknown_files,
        "problem": check.problem,
    }


def _print_checks(checks: list[DatasetCheck], console: Console) -> None:
    table = Table("file", "size", "state")
    for row in dict.fromkeys(row for one in checks for row in _check_rows(one)):
        table.add_row(*(Text(cell) for cell in row))
    if table.rows:
        console.print(table)
    for one in checks:
        verdict = "usable." if one.problem is None else f"not usable: {one.problem}"
        print_plain(console, f"{one.name}: {verdict}")


def _check_rows(check: DatasetCheck) -> list[tuple[str, str, str]]:
    files = [(file.path, file.size_text, file.verdict) for file in check.files]
    return files + [(path, "", "not from the source") for path in check.unknown_files]
