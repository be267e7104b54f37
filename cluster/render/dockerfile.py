"""The image that runs everything: Ray's nodes, drivers, MLflow's server, Optuna's dashboard."""

from __future__ import annotations

from cluster.render.launch_file import LaunchFile, render_template, usage_lines
from cluster.render.settings import LaunchSettings


def render(settings: LaunchSettings) -> LaunchFile:
    """Write what ``docker build`` reads."""
    versions = settings.versions
    packages = [
        # Its own extra holds what asks for passwords.
        f"mlflow[auth]=={versions.mlflow}",
        f"optuna-dashboard=={versions.optuna_dashboard}",
        *settings.dockerfile.packages,
    ]
    body = render_template("dockerfile.j2", settings=settings, packages=packages)
    return LaunchFile(usage=_usage(settings), content=body)


def _usage(settings: LaunchSettings) -> tuple[str, ...]:
    return usage_lines(f"""
        At the top of the project's sources (FILE is this file):
          docker build --tag {settings.image} --file FILE .
    """)
