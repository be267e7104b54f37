"""``resume``: go on with a study that was interrupted."""

from __future__ import annotations

from typing import Any

import click

from study.cli.options import running_options, storage_of
from study.cli.remote import await_driver, is_remote, sent_places
from study.cli.run_command import run_text


@click.command("resume")
@click.argument("name")
@running_options
def command(name: str, **given: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Go on with the study NAME where it stands.

    With a dashboard's address (http://HEAD:8265) the cluster goes on with a study of its storage.
    """
    if is_remote(given["address"]):
        return _resume_there(name, given["address"])
    from study.stored import stored_text

    folder = storage_of(given["storage"]).study(name)
    return run_text(stored_text(folder), str(folder.spec), **given)


def _resume_there(name: str, address: str) -> int:
    from cluster.jobs import Jobs
    from study.remote.studies import resume

    job = resume(Jobs(address), name, sent_places())
    return await_driver(address, name, job)
