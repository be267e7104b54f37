"""What an executor needs to know of the machine and of the study."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from study.spec import StudySpec
from trainables.datasets import DataFolders

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where trials run and what they may use.

    Attributes:
        spec: The study.
        data: Where data is read from.
        scratch: A folder for Ray's own files, on storage that all nodes share; emptied.
        stop_file: Where the conductor asks the trials to stop, on the same storage.
        address: Address of a running Ray, or None for one of the study's own.
        say: Told what people should know, from any thread.
    """

    spec: StudySpec
    data: DataFolders
    scratch: Path
    stop_file: Path
    address: str | None = None
    say: Callable[[str], None] = logger.info
