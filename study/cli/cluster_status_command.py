"""``cluster status``: whether the service answers, its nodes, and what runs on it."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from study.cli.cluster_queue_command import queue_of, queue_table
from study.cli.options import storage_of, storage_option
from study.cli.outcome import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.queue import QueueRow
    from cluster.service.dashboard import NodeState, StudyJob
    from cluster.service.looking import ServiceState

_MARKS: Final = {"answers": "[green]✓[/]", "does not answer": "[red]✗[/]", "ended": "[red]✗[/]"}


@click.command("status", short_help="Show whether the service answers, its nodes and studies.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option(
    "--address",
    metavar="URL",
    envvar="RAY_API_SERVER_ADDRESS",
    help="A Ray cluster's dashboard, such as http://10.0.0.1:8265; default: this machine's own "
    "service.",
)
@storage_option
def command(storage: Path, as_json: bool, address: str | None) -> int:
    """Show whether the service of 'cluster up' answers, its nodes and running studies.

    With --address: the nodes and studies of any Ray cluster, from anywhere. Exit code 0 if all of
    it answers, 1 if a part does not, 2 if there is no service.
    """
    if address is not None:
        return _show_cluster(address.rstrip("/"), as_json)
    from cluster.service import ServiceFolder, look_at_service

    place = storage_of(storage)
    state = look_at_service(ServiceFolder(root=place.service))
    if state is None:
        click.echo(f"no service runs for {place.root}; 'cluster up' starts one.", err=True)
        return 2
    if as_json:
        click.echo(json.dumps(_plain(state), indent=2))
    else:
        _show(state, make_console())
    return 0 if state.is_healthy else 1


def _show_cluster(address: str, as_json: bool) -> int:
    from cluster.auth import require_token
    from cluster.service.dashboard import nodes_of, studies_of

    headers = require_token().headers()
    nodes, studies = nodes_of(address, headers), studies_of(address, headers)
    # A job of its own, and worth its seconds only where several studies share.
    queue = queue_of(address) if len(studies) > 1 else ()
    if as_json:
        plain = {"dashboard": address, "slots": _slots(nodes), **_listed(nodes, studies, queue)}
        click.echo(json.dumps(plain, indent=2))
        return 0
    console = make_console()
    _show_nodes(nodes, console)
    _show_studies(studies, console)
    _show_queue(queue, console)
    return 0


def _listed(
    nodes: tuple[NodeState, ...], studies: tuple[StudyJob, ...], queue: tuple[QueueRow, ...]
) -> dict[str, Any]:
    return {
        "nodes": [dataclasses.asdict(node) for node in nodes],
        "studies": [dataclasses.asdict(study) for study in studies],
        "queue": [dataclasses.asdict(row) for row in queue],
    }


def _plain(state: ServiceState) -> dict[str, Any]:
    setting = state.setting
    return {
        "is_healthy": state.is_healthy,
        "address": setting.head,
        "dashboard": setting.dashboard,
        "mlflow": setting.mlflow,
        "storage": str(setting.wish.storage),
        "slots": _slots(state.nodes),
        "parts": [dataclasses.asdict(part) for part in state.parts],
        **_listed(state.nodes, state.studies, state.queue),
    }


def _slots(nodes: tuple[NodeState, ...]) -> dict[str, float | None]:
    """Sum up what trials may have on the nodes that are there."""
    alive = [node for node in nodes if node.is_alive]
    return {
        "cpus": sum(node.cpus for node in alive),
        "cpus_free": _sum([node.cpus_free for node in alive]),
        "gpus": sum(node.gpus for node in alive),
        "gpus_free": _sum([node.gpus_free for node in alive]),
    }


def _sum(numbers: list[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _show(state: ServiceState, console: Console) -> None:
    parts = Table("", "part", "state", "since", "where", title="Service", title_justify="left")
    for part in state.parts:
        where = part.place if part.reason is None else f"{part.place}: {part.reason}"
        # Reasons quote answers, whose brackets are no markup.
        cells = (part.title, part.state, _moment(part.since_s), where)
        parts.add_row(_MARKS[part.state], *map(Text, cells))
    console.print(parts)
    if not state.nodes:
        return
    _show_nodes(state.nodes, console)
    _show_studies(state.studies, console)
    _show_queue(state.queue, console)


def _show_nodes(listed: tuple[NodeState, ...], console: Console) -> None:
    nodes = Table("node", "state", "CPUs free", "GPUs free", title="Nodes", title_justify="left")
    for node in listed:
        name = f"{node.address} (head)" if node.is_head else node.address
        alive = "alive" if node.is_alive else "gone"
        cpus, gpus = _share(node.cpus_free, node.cpus), _share(node.gpus_free, node.gpus)
        nodes.add_row(name, alive, cpus, gpus)
    slots = _slots(listed)
    nodes.add_section()
    nodes.add_row(
        "all trials' slots",
        "",
        _share(slots["cpus_free"], slots["cpus"]),
        _share(slots["gpus_free"], slots["gpus"]),
    )
    console.print(nodes)


def _show_studies(studies: tuple[StudyJob, ...], console: Console) -> None:
    if not studies:
        console.print("no study runs.")
        return
    table = Table("study", "state", "since", "job", title="Studies", title_justify="left")
    for study in studies:
        cells = (study.study, study.state.lower(), _moment(study.since_s), study.job)
        table.add_row(*map(Text, cells))
    console.print(table)


def _show_queue(rows: tuple[QueueRow, ...], console: Console) -> None:
    if rows:
        console.print(queue_table(rows))


def _share(free: float | None, total: float | None) -> str:
    return f"{'?' if free is None else f'{free:g}'} of {total or 0:g}"


def _moment(since_s: float) -> str:
    return datetime.fromtimestamp(since_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
