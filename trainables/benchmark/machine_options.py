"""Options that all benchmarks share: where they compute, and how often."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import torch

from trainables.benchmark.pairing import LEAST_ROUNDS
from trainables.errors import ConfigError


def add_machine_options(parser: ArgumentParser) -> None:
    """Add ``--device``, ``--threads`` and ``--rounds``."""
    parser.add_argument("--device", default="cpu", help="cpu or cuda; default: cpu")
    parser.add_argument("--threads", type=int, help="threads of the CPU; default: torch's")
    parser.add_argument(
        "--rounds",
        type=int,
        default=LEAST_ROUNDS,
        help=f"how often each is measured; default: {LEAST_ROUNDS}",
    )


def take_device(options: Namespace) -> torch.device:
    """Give the device asked for, and set the number of threads.

    Raises:
        ConfigError: If there is no such device, or an option is out of range.
    """
    if options.threads is not None:
        if options.threads < 1:
            raise ConfigError(f"--threads must be at least 1, got {options.threads}.")
        torch.set_num_threads(options.threads)
    if options.device not in ("cpu", "cuda"):
        raise ConfigError(f"--device must be cpu or cuda, got {options.device!r}.")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device is cuda, but torch sees no GPU here; run it on a machine with one, or with "
            "--device cpu."
        )
    return torch.device(options.device)
