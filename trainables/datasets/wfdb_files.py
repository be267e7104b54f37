"""WFDB records: a header in text and signals of one or more leads, checked when they are read."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from trainables.errors import DataError
from trainables.names import printable

# A header may claim any size; an hour of 100 leads at 1 kHz has 3.6e8 numbers.
_MOST_NUMBERS = 400_000_000
# Raised by wfdb for truncated or altered headers and signals.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError)


@dataclass(frozen=True, slots=True, kw_only=True)
class WfdbHeader:
    """What a header states of a record.

    Attributes:
        leads: Names of the leads, in the order of the signals.
        length: Number of samples of each lead.
        rate_hz: Samples per second.
        units: Unit of each lead.
        comments: Its comment lines, without the sign before them.
    """

    leads: tuple[str, ...]
    length: int
    rate_hz: float
    units: tuple[str, ...]
    comments: tuple[str, ...]


def read_header(path: Path) -> WfdbHeader:
    """Read the header of a record.

    Args:
        path: The record without an ending; signals are files beside it.

    Raises:
        DataError: If the header is missing or damaged.
    """
    found = _called("rdheader", path)
    leads = tuple(found.sig_name or ())
    sizes = (found.n_sig, found.sig_len, found.fs)
    if not leads or not all(isinstance(size, int | float) and size > 0 for size in sizes):
        raise _damaged(path, f"it states {found.n_sig} leads of {found.sig_len} at {found.fs} Hz")
    if len(leads) * found.sig_len > _MOST_NUMBERS:
        raise _damaged(path, f"it states more than {_MOST_NUMBERS} numbers")
    return WfdbHeader(
        leads=leads,
        length=int(found.sig_len),
        rate_hz=float(found.fs),
        units=tuple(found.units or ()),
        comments=tuple(found.comments or ()),
    )


def read_signals(
    path: Path, header: WfdbHeader, leads: Sequence[str]
) -> Float64[np.ndarray[Any, Any], "lead time"]:
    """Read the signals of a record in the order of some leads, whatever their order in its file.

    Args:
        path: The record without an ending.
        header: Its header.
        leads: Names of the leads; upper and lower case are the same.

    Raises:
        DataError: If a lead or a number is missing or infinite, or no lead changes over time.
    """
    order = lead_order(path, header, leads)
    signals = np.asarray(_called("rdrecord", path).p_signal, dtype=np.float64).T[order]
    n_bad = np.count_nonzero(~np.isfinite(signals))
    if n_bad:
        raise DataError(
            f"{path} must hold {len(order)} × {header.length} finite numbers, but {n_bad} of them "
            "are missing or infinite; replace it by a fresh copy, or leave the record out."
        )
    if (np.ptp(signals, axis=1) == 0).all():
        raise DataError(
            f"{path} must hold signals, but none of its {len(order)} leads changes over time; "
            "replace it by a fresh copy, or leave the record out."
        )
    return signals


def lead_order(path: Path, header: WfdbHeader, leads: Sequence[str]) -> list[int]:
    """Return the position of each lead in a record.

    Raises:
        DataError: If the record lacks one, or has it twice.
    """
    names = [name.strip().upper() for name in header.leads]
    for lead in leads:
        count = names.count(lead.upper())
        if count != 1:
            has = "lacks it" if count == 0 else f"has it {count} times"
            raise DataError(
                f"{path} must have a lead {lead!r}, but {has}; its leads are "
                f"{printable(', '.join(header.leads))}."
            )
    return [names.index(lead.upper()) for lead in leads]


def _called(function: str, path: Path) -> Any:  # noqa: ANN401 (wfdb has no types)
    with warnings.catch_warnings():
        # The import of wfdb 4.3 uses a keyword that pandas 3.1 deprecates; damaged numbers warn.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        import wfdb

        try:
            return getattr(wfdb, function)(str(path))
        except FileNotFoundError as error:
            raise DataError(f"{error.filename} is missing; put it there.") from error
        except _UNREADABLE as error:
            raise _damaged(path, printable(str(error) or type(error).__name__)) from error
        except OSError as error:
            raise DataError(
                f"{path} must be readable, but is not ({error.strerror or error})."
            ) from error


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is damaged ({reason}); replace it by a fresh copy.")
