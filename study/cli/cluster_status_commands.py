"""``cluster check``, ``queue`` and ``status``: the service, quotas, nodes and jobs."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from study.cli.cluster_client import is_remote, run_on_cluster
from study.cli.console import make_console
from study.cli.options import json_option, make_storage, storage_option, without_ray_client

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.quota import QueueRow
    from cluster.service.http_client import NodeStatus, StudyJob
    from cluster.service.status import ServiceStatus


@click.command("queue", short_help="Show how studies share a cluster.")
@json_option
@click.option(
    "--address",
    metavar="ADDRESS",
    envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
    callback=without_ray_client,
    default="auto",
    show_default=True,
    help="A dashboard, such as http://10.0.0.1:8265, or Ray's head, such as 10.0.0.1:6379.",
)
def queue_command(as_json: bool, address: str) -> int:
    """Show the studies that share a cluster, by priority, with the trials granted to each."""
    rows = read_queue(address)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    elif rows:
        make_console().print(queue_table(rows))
    else:
        click.echo("no study is in the queue.")
    return 0


def read_queue(address: str) -> tuple[QueueRow, ...]:
    """Return the queue of a cluster, by the address of its dashboard or of Ray's head.

    Raises:
        ClusterError: If the cluster does not answer.
    """
    from cluster.quota import QueueRow, read_queue

    if not is_remote(address):
        return read_queue(address)
    rows = json.loads(run_on_cluster(address, ["cluster", "queue", "--json"]))
    return tuple(QueueRow(**row) for row in rows)


def queue_table(rows: tuple[QueueRow, ...]) -> Table:
    """Build the table of the queue."""
    table = Table("study", "priority", "running", "granted", "wanted", title="Queue of trials")
    for row in rows:
        counts = (row.priority, row.running, row.granted, row.wanted)
        table.add_row(Text(row.study), *map(str, counts))
    return table


@click.command("check", short_help="Check that other accounts cannot reach the service.")
@storage_option
def cluster_check_command(storage: Path) -> int:
    """Check owners and modes of the service's files, its ports, and what its servers require.

    Exit code 0 if all of it is safe, 1 if something is not, 2 if there is no service.
    """
    from cluster.service import ServiceFolder
    from cluster.service.checking import check_service

    place = make_storage(storage)
    found = check_service(ServiceFolder(root=place.service))
    if not found:
        click.echo(f"no service runs for {place.root}; 'cluster up' starts one.", err=True)
        return 2
    for each in found:
        mark = "✓" if each.fault is None else "✗"
        click.echo(f"{mark} {each.what}: {', '.join(filter(None, (each.state, each.fault)))}")
    return int(any(each.fault is not None for each in found))


_STATE_MARKS: Final = {
    "answers": "[green]✓[/]",
    "does not answer": "[red]✗[/]",
    "ended": "[red]✗[/]",
}


@click.command("status", short_help="Show whether the service answers, its nodes and studies.")
@json_option
@click.option(
    "--address",
    metavar="URL",
    envvar="RAY_API_SERVER_ADDRESS",
    help="A Ray cluster's dashboard, such as http://10.0.0.1:8265; default: this machine's own "
    "service.",
)
@storage_option
def cluster_status_command(storage: Path, as_json: bool, address: str | None) -> int:
    """Show the state of the service of 'cluster up', its nodes and running studies.

    With --address: the nodes and studies of any Ray cluster. Exit code 0 if all components
    answer, 1 if one does not, 2 if there is no service.
    """
    if address is not None:
        return _print_cluster(address.rstrip("/"), as_json)
    from cluster.service import ServiceFolder, service_status

    root = make_storage(storage)
    state = service_status(ServiceFolder(root=root.service))
    if state is None:
        click.echo(f"no service runs for {root.root}; start one with 'cluster up'.", err=True)
        return 2
    if as_json:
        click.echo(json.dumps(_status_json(state), indent=2))
    else:
        _print_status(state, make_console())
    return 0 if state.is_healthy else 1


def _print_cluster(address: str, as_json: bool) -> int:
    from cluster.auth import require_token
    from cluster.service.http_client import list_nodes, list_studies

    headers = require_token().headers()
    nodes, studies = list_nodes(address, headers), list_studies(address, headers)
    # Reading the queue takes a job of some seconds, and is needed for several studies only.
    queue = read_queue(address) if len(studies) > 1 else ()
    if as_json:
        slots = {"dashboard": address, "slots": _sum_slots(nodes)}
        click.echo(json.dumps({**slots, **_rows_json(nodes, studies, queue)}, indent=2))
        return 0
    console = make_console()
    _print_nodes(nodes, console)
    _print_studies(studies, console)
    _print_queue(queue, console)
    return 0


def _rows_json(
    nodes: tuple[NodeStatus, ...], studies: tuple[StudyJob, ...], queue: tuple[QueueRow, ...]
) -> dict[str, Any]:
    return {
        "nodes": [dataclasses.asdict(node) for node in nodes],
        "studies": [dataclasses.asdict(study) for study in studies],
        "queue": [dataclasses.asdict(row) for row in queue],
    }


def _status_json(state: ServiceStatus) -> dict[str, Any]:
    service = state.service
    return {
        "is_healthy": state.is_healthy,
        "address": service.head,
        "dashboard": service.dashboard,
        "mlflow": service.mlflow,
        "storage": str(service.config.storage),
        "slots": _sum_slots(state.nodes),
        "components": [dataclasses.asdict(component) for component in state.components],
        **_rows_json(state.nodes, state.studies, state.queue),
    }


def _sum_slots(nodes: tuple[NodeStatus, ...]) -> dict[str, float | None]:
    """Sum the CPUs and GPUs of the nodes that are alive."""
    alive = [node for node in nodes if node.is_alive]
    return {
        "cpus": sum(node.cpus for node in alive),
        "cpus_free": _sum_known([node.cpus_free for node in alive]),
        "gpus": sum(node.gpus for node in alive),
        "gpus_free": _sum_known([node.gpus_free for node in alive]),
    }


def _sum_known(numbers: list[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _print_status(state: ServiceStatus, console: Console) -> None:
    components = Table(
        "", "component", "state", "since", "where", title="Service", title_justify="left"
    )
    for component in state.components:
        reason = "" if component.reason is None else f": {component.reason}"
        where = f"{component.endpoint}{reason}"
        cells = (component.title, component.state, _format_time(component.since_s), where)
        components.add_row(_STATE_MARKS[component.state], *map(Text, cells))
    console.print(components)
    if not state.nodes:
        return
    _print_nodes(state.nodes, console)
    _print_studies(state.studies, console)
    _print_queue(state.queue, console)


def _print_nodes(listed: tuple[NodeStatus, ...], console: Console) -> None:
    nodes = Table("node", "state", "CPUs free", "GPUs free", title="Nodes", title_justify="left")
    for node in listed:
        cells = (
            f"{node.address} (head)" if node.is_head else node.address,
            "alive" if node.is_alive else "gone",
            _format_free(node.cpus_free, node.cpus),
            _format_free(node.gpus_free, node.gpus),
        )
        nodes.add_row(*map(Text, cells))
    slots = _sum_slots(listed)
    nodes.add_section()
    nodes.add_row(
        "all trials' slots",
        "",
        _format_free(slots["cpus_free"], slots["cpus"]),
        _format_free(slots["gpus_free"], slots["gpus"]),
    )
    console.print(nodes)


def _print_studies(studies: tuple[StudyJob, ...], console: Console) -> None:
    if not studies:
        console.print("no study runs.")
        return
    table = Table("study", "state", "since", "job", title="Studies", title_justify="left")
    for study in studies:
        cells = (study.study, study.state.lower(), _format_time(study.since_s), study.job)
        table.add_row(*map(Text, cells))
    console.print(table)


def _print_queue(rows: tuple[QueueRow, ...], console: Console) -> None:
    if rows:
        console.print(queue_table(rows))


def _format_free(free: float | None, total: float | None) -> str:
    return f"{'?' if free is None else f'{free:g}'} of {total or 0:g}"


def _format_time(since_s: float) -> str:
    return datetime.fromtimestamp(since_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
