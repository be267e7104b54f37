"""Slurm: a batch job in which all nodes form one Ray, run one study and end."""

from __future__ import annotations

from typing import Final

from cluster.render.environment import RAY_PORT, driver_environment, node_environment
from cluster.render.launch_file import LaunchFile, render_template
from cluster.render.settings import LaunchSettings

_SHEBANG: Final = "#!/bin/bash\n"


def render(settings: LaunchSettings) -> LaunchFile:
    """Write what ``sbatch`` reads."""
    body = render_template(
        "slurm.j2",
        settings=settings,
        # The first node is the head and trains as well; Slurm's nodes are all alike.
        nodes=max(settings.workers.min, 1),
        environment=node_environment(),
        driver_variables=driver_environment(settings),
        port=RAY_PORT,
    )
    return LaunchFile(header=_SHEBANG, usage=_usage(settings), content=body)


def _usage(settings: LaunchSettings) -> tuple[str, ...]:
    return (
        f"{settings.environment} must hold an installation of challenger-study, and",
        f"{settings.storage} be the same folder on all nodes and yours to write to.",
        *_database(settings),
        *(
            ["MLflow's user and password: ~/.mlflow/credentials, mode 600."]
            * bool(settings.tracking)
        ),
        "Run the study; the same line again, when the time was up or after an accident, goes on:",
        f"  sbatch FILE                 # runs {settings.study} of the folder where it is typed",
    )


def _database(settings: LaunchSettings) -> list[str]:
    if settings.database:
        return ["The database's password: HOST:*:*:USER:PASSWORD in ~/.pgpass, mode 600."]
    return [
        f"The database is a file in {settings.storage}; where that is a network file system, name",
        "a PostgreSQL: --set database=postgresql+psycopg://USER@HOST/NAME",
    ]
