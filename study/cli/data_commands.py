"""``data``: the data root filled from the official sources, and looked at."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli.console import make_console

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
    """Fetch datasets from their official sources, or check those that are there."""


@data_command.command("fetch", short_help="Fill the data root from the official sources.")
@_names_argument
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CHALLENGER_DATA",
    help="Folder to fill; made if it is not there.",
)
def fetch_command(names: list[str], data_root: Path | None) -> int:
    """Fetch the datasets NAME, or 'all', into the data root.

    Every file is compared with its published checksum, where there is one, before it gets its
    name. After a cut connection or Ctrl-C the same command goes on where it stood; files that
    are there already are not fetched again.
    """
    from study.data import fetch, show_progress
    from trainables.datasets.data_files import dataset_folder
    from trainables.datasets.sources import source_files
    from trainables.datasets.splits import DataFolders

    console = make_console()
    folders = DataFolders(root=_absolute_path(data_root), cache=Path())
    for name in names:
        if not source_files(name):
            _print_plain(
                console, f"{name}: comes with the installation; there is nothing to fetch."
            )
    fetched = [name for name in names if source_files(name)]
    if fetched:
        root = dataset_folder(folders, fetched[0]).parent
        with show_progress(console) as progress:
            fetch([file for name in fetched for file in source_files(name)], root, progress)
        _print_plain(
            console, f"{', '.join(fetched)}: done; give --data-root {root} where they are used."
        )
    return 0


@data_command.command("check", short_help="Say which files are there, and whether they are whole.")
@_names_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CHALLENGER_DATA",
    help="Folder with datasets; read only.",
)
def check_command(names: list[str], as_json: bool, data_root: Path | None) -> int:
    """Check the files of the datasets NAME, or 'all', and whether they can be used.

    Ends with 0 if each of them can be used with its default settings.
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
    # A shell leaves the ~ of --data-root=~/data alone.
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
        verdict = "can be used." if one.problem is None else f"cannot be used: {one.problem}"
        _print_plain(console, f"{one.name}: {verdict}")


def _check_rows(found: DatasetCheck) -> list[tuple[str, str, str]]:
    files = [(file.path, file.size_text, file.verdict) for file in found.files]
    return files + [(path, "", "not from the source") for path in found.unknown_files]


def _print_plain(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
