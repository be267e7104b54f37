"""Commands that start, resume or stop a study, on this machine or on a cluster."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from cluster.errors import ClusterError
from study.cli.cluster_client import cluster_option, forwarded_options, is_remote, wait_for_driver
from study.cli.console import make_console, print_table, show_result
from study.cli.options import (
    database_option,
    make_storage,
    running_options,
    set_option,
    study_options,
    tracking_option,
)


@click.command("run")
@click.argument("file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@set_option
@click.option("--dry-run", "is_dry", is_flag=True, help="Check all, and train nothing.")
@running_options
def run_command(file: Path, settings: tuple[str, ...], is_dry: bool, **params: Any) -> int:  # noqa: ANN401
    """Run the study of a file on this machine, or on the Ray at --address.

    The same command resumes the study. A file with more trials, other sweeps or further arms
    extends it.
    """
    from study.config.yaml_reader import read_text

    if is_remote(params["address"]):
        raise click.UsageError(
            f"run: --address must be that of Ray's head, such as 10.0.0.1:6379, got "
            f"{params['address']!r}; with a dashboard's address, use 'submit'."
        )
    text = read_text(file)
    if settings:
        from study.config.validation import with_settings

        text = with_settings(text, str(file), settings)
    if is_dry:
        return _check_text(text, str(file), file.parent, params["data_root"], params["storage"])
    return run_text(text, str(file), file.parent, **params)


def _check_text(text: str, where: str, plugins: Path, data: Path | None, storage: Path) -> int:
    """Check a study as at its start, and print what it would train."""
    import tempfile

    from study.config.study_spec import parse
    from study.engine.run import check_arms
    from trainables.datasets import DataFolders

    spec = parse(text, where, plugins)
    with tempfile.TemporaryDirectory() as folder:
        stored = make_storage(storage).cache
        cache = stored if stored.is_dir() else Path(folder)
        root = None if data is None else data.absolute()
        check_arms(spec, DataFolders(root=root, cache=cache), where)
    for note in spec.notes:
        click.echo(f"note: {note}")
    for arm in spec.arms:
        n_final = spec.final_budget(arm)
        click.echo(
            f"{arm.name}: {arm.search_budget} search trials of {arm.replicas.search} replicas, "
            f"{n_final} final trials of {arm.replicas.final}"
        )
    return 0


@click.command("validate")
@click.argument("file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@set_option
def validate_command(file: Path, settings: tuple[str, ...]) -> int:
    """Report all problems of a study file at once.

    Data and models are checked by run --dry-run.
    """
    from study.config.validation import problems, with_settings
    from study.config.yaml_reader import read_text
    from study.records.errors import SpecError

    text = with_settings(read_text(file), str(file), settings)
    found = problems(text, str(file), file.parent)
    if found:
        raise SpecError("\n".join(found))
    click.echo(f"{file} is a study file.")
    return 0


def run_text(text: str, where: str, plugins: Path | None = None, **params: Any) -> int:  # noqa: ANN401
    """Run the text of a study file, whose plug-ins lie in a folder, and print the result."""
    from study.config.outline import check_complete, read_outline

    # A wrong file is refused before torch, and then before Ray, Optuna and MLflow are imported,
    # which takes seconds.
    check_complete(read_outline(text, where), where)
    from study.config.study_spec import parse

    parse(text, where, plugins)
    from study.engine.run import run_study

    settings = study_options(**params)
    console = make_console()
    try:
        result = run_study(text, where, settings, console, plugins)
    except ClusterError as error:
        source = click.get_current_context().get_parameter_source("address")
        if source is not ParameterSource.ENVIRONMENT or str(settings.address) not in str(error):
            raise
        raise ClusterError(
            f"{error} The address is that of the variable RAY_ADDRESS; unset it for a Ray of the "
            "study's own."
        ) from None
    return show_result(result, settings, console)


@click.command("resume")
@click.argument("name")
@running_options
def resume_command(name: str, **params: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Resume the study NAME.

    With a dashboard's address (http://HEAD:8265) the cluster resumes a study of its storage.
    """
    if is_remote(params["address"]):
        return _resume_on_cluster(name, params["address"])
    from study.results.build import read_study_text

    folder = make_storage(params["storage"]).study(name)
    return run_text(read_study_text(folder), str(folder.spec), folder.plugins, **params)


def _resume_on_cluster(name: str, address: str) -> int:
    from cluster.jobs import JobClient
    from study.remote.jobs import resume

    job = resume(JobClient(address), name, forwarded_options())
    return wait_for_driver(address, name, job)


@click.command("demo")
@running_options
def demo_command(**params: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Run a small, complete study on real MNIST digits that come with the installation.

    Three training images per class and a VGG11 of a quarter of its width: searches K, N, α, β
    and the split ratio, then sweeps K around the best trial, with the Base and Random controls.
    """
    preset = files("study.presets") / "demo.yaml"
    return run_text(preset.read_text(encoding="utf-8"), "demo.yaml", **params)


@click.command("sensitivity")
@click.argument("name")
@click.option(
    "--over",
    required=True,
    multiple=True,
    metavar="DIMENSION",
    help="Dimension to sweep, such as top_k; repeatable.",
)
@click.option(
    "--values",
    metavar="V1,V2,…",
    help="Values of the one dimension; default: every class rank for top_k, else seven "
    "evenly spaced values of the searched range.",
)
@click.option("--arm", metavar="ARM", help="Arm to sweep; default: all that search the dimension.")
@running_options
def sensitivity_command(
    name: str,
    over: tuple[str, ...],
    values: str | None,
    arm: str | None,
    **params: Any,  # noqa: ANN401
) -> int:
    """Sweep dimensions around the chosen configuration of the study NAME.

    Each value is trained with the fresh replica seeds of the Base and Random controls; trained
    values are not trained again.
    """
    from study.config.sweeps import add_sweeps, read_values
    from study.results.build import load_study, read_study_text

    if values is not None and len(over) > 1:
        raise click.UsageError("--values belongs to one dimension; use --over once with it.")
    folder = make_storage(params["storage"]).study(name)
    spec = load_study(folder)
    parsed = None if values is None else read_values(values)
    add_sweeps(spec, folder, over, parsed, arm)
    return run_text(read_study_text(folder), str(folder.spec), folder.plugins, **params)


@click.command("reproduce")
@click.argument("name", required=False)
@click.option(
    "--scale",
    type=click.Choice(["smoke", "small", "full"]),
    default="small",
    show_default=True,
    help="smoke: minutes on 2 cores; small: one or two hours; full: the paper's, for a GPU.",
)
@click.option("--plan", is_flag=True, help="Print what NAME, or each, trains, and its hours.")
@running_options
def reproduce_command(name: str | None, scale: str, *, plan: bool, **params: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Run the table or figure NAME of the papers, with our numbers and the printed ones.

    The study is called NAME-SCALE. The tables list the deviations from the paper's settings.
    'list presets' prints all names.
    """
    from study.reproduction import at_scale, load_preset, preset_names
    from study.reproduction.reproduction_run import plan_presets, run_reproduction

    if plan:
        names = preset_names() if name is None else (name,)
        print_table(plan_presets(names, scale), make_console())
        return 0
    if name is None:
        raise click.UsageError("reproduce needs a NAME; 'list presets' prints all.")
    preset = load_preset(name)
    settings = study_options(**params)
    console = make_console()
    result, tables = run_reproduction(preset, at_scale(preset, scale), scale, settings, console)
    for table in tables:
        print_table(table, console)
    return show_result(result, settings, console)


@click.command("submit")
@click.argument("file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@click.option("--no-wait", is_flag=True, help="Do not wait for the first trial.")
@cluster_option(required=True)
@tracking_option
@database_option
@click.option("--data-root", help="Folder with datasets on the cluster's machines.")
@click.option(
    "--storage",
    help="Folder that all machines of the cluster share; default: CHALLENGER_STORAGE of its head.",
)
def submit_command(file: Path, address: str, no_wait: bool, **_: Any) -> int:  # noqa: ANN401 (click's)
    """Run the study of a file on the Ray cluster at --address.

    The study's driver runs on the cluster with this program's code, independent of this machine.
    The same command resumes the study. Problems of the cluster are reported before the first
    trial.
    """
    from cluster.jobs import JobClient
    from study.config.study_spec import parse
    from study.config.yaml_reader import read_text
    from study.remote.jobs import submit

    text = read_text(file)
    spec = parse(text, str(file), file.parent)
    study = spec.name
    name = submit(JobClient(address), study, text, forwarded_options(), spec.plugins)
    if no_wait:
        click.echo(name)
        return 0
    return wait_for_driver(address, study, name)


# A driver stops within ten seconds; Ray kills it after thirty.
_STOP_TIMEOUT_S: Final = 60.0


@click.command("stop")
@click.argument("name")
@cluster_option(required=True)
def stop_command(name: str, address: str) -> int:
    """Stop the study NAME on the cluster: its trials write their checkpoints.

    A study in a terminal is stopped by Ctrl-C.
    """
    from cluster.jobs import JobClient
    from study.remote.jobs import latest_job, stop

    jobs = JobClient(address)
    if latest_job(jobs, name).has_ended:
        click.echo(f"study {name} is not running.")
        return 0
    with make_console(stderr=True).status(f"stopping {name} …"):
        job = stop(jobs, name, _STOP_TIMEOUT_S)
    if not job.has_ended:
        raise ClusterError(
            f"job {job.name} must end within {_STOP_TIMEOUT_S:.0f} s of being stopped, but did "
            "not; look at its logs."
        )
    click.echo(f"study {name} is stopped. Resume with: resume {name} --address {address}")
    return 0
