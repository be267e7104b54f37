"""One of the servers that a service is made of, as those see it who start, watch and end them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cluster.service.begun import MARK, Begun, Launch
from cluster.service.ports import Port
from cluster.service.wish import Setting

# What they are told, they are told by us; another service's addresses are not theirs.
_FOREIGN: Final = ("CHALLENGER_", "MLFLOW_", "RAY_ADDRESS", "RAY_TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A server of the service.

    Attributes:
        name: As in file names.
        title: As in messages.
        patience_s: How long its start may take, on a busy machine too.
        place: Gives where it is found, for people.
        ports: Gives the ports that must be free before it starts.
        launch: Gives what it is started with, and prepares what it needs.
        refusal: Asks it; gives why it does not answer as it must, or None.
        end: Ends it in order; none of its processes is left.
        kill: Ends what is left of it at once.
    """

    name: str
    title: str
    patience_s: float
    place: Callable[[Setting], str]
    ports: Callable[[Setting], tuple[Port, ...]]
    launch: Callable[[Setting], Launch]
    refusal: Callable[[Setting], str | None]
    end: Callable[[Begun, Setting], None]
    kill: Callable[[Begun, Setting], None]


def surroundings(setting: Setting) -> Mapping[str, str]:
    """Give our environment without what speaks of other services, and with the mark."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**ours, MARK: setting.mark}
