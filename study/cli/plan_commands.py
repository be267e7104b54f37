"""The command that plans a study: what it trains and takes, and what it can show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from study.cli.console import make_console, print_table
from study.cli.options import (
    data_root_option,
    database_option,
    set_option,
    storage_option,
    study_options,
)


@click.command("plan")
@click.argument("file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@set_option
@click.option(
    "--sd",
    type=click.FloatRange(min=0, min_open=True),
    help="Standard deviation over seeds of an arm's difference to Base, in the tables' unit, such "
    "as percentage points of accuracy.",
)
@click.option(
    "--from",
    "pilot",
    metavar="NAME",
    help="A study with results, such as a pilot of few replicas, whose spread is taken.",
)
@click.option(
    "--difference",
    type=click.FloatRange(min=0, min_open=True),
    help="A difference in that unit, for which the replicas that show it are counted.",
)
@data_root_option
@storage_option
@database_option
def plan_command(
    file: Path,
    settings: tuple[str, ...],
    sd: float | None,
    pilot: str | None,
    difference: float | None,
    **params: Any,  # noqa: ANN401 (click's parameters)
) -> int:
    """Print what the study of a file trains, its hours and memory, and what it can show.

    A training step of every arm is timed on this machine; nothing else is trained. What the study
    can show needs the spread over seeds: --sd, or --from a study.
    """
    if sd is not None and pilot is not None:
        raise click.UsageError("plan: --sd and --from are two sources of one number; give one.")
    if difference is not None and sd is None and pilot is None:
        raise click.UsageError("plan: --difference needs the spread over seeds: --sd or --from.")
    from study.config.study_spec import parse
    from study.config.validation import with_settings
    from study.config.yaml_reader import read_text
    from study.planning.cost_estimate import estimate_cost
    from study.planning.study_plan import Spread, arm_powers, plan_table, power_table
    from study.records.labels import metric_label

    options, console = study_options(**params), make_console()
    text = with_settings(read_text(file), str(file), settings)
    spec = parse(text, str(file), file.parent)
    print_table(plan_table(spec, estimate_cost(spec, options.data)), console)
    metric = spec.metric.replace("val/", "test/", 1)
    factor = metric_label(metric).factor
    if sd is not None:
        powers = arm_powers(spec, {}, Spread(value=sd / factor, n=None, source="as given by --sd"))
    elif pilot is not None:
        from study.planning.study_plan import measured_spreads
        from study.results.build import load_trial_table

        powers = arm_powers(spec, *measured_spreads(load_trial_table(pilot, options), metric))
    else:
        console.print(
            "What it can show needs the spread over seeds: give --sd, or --from a study."
        )
        return 0
    wanted = None if difference is None else difference / factor
    print_table(power_table(metric, powers, wanted), console)
    return 0
