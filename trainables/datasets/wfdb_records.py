"""A folder of WFDB records, such as ECGs, with labels from their headers or from a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import AfterValidator, Field

from trainables.datasets.data_files import cache_path
from trainables.datasets.reader import MAPPED_FROM_BYTES, Listing, Reader, encode_labels
from trainables.datasets.samples import RecordSamples, Samples
from trainables.datasets.splits import DataFolders, DatasetInfo
from trainables.datasets.stored_samples import StoredSamples, channel_moments
from trainables.datasets.subset import SplitIndices
from trainables.datasets.tensor_samples import TensorSamples
from trainables.datasets.user_paths import UserPath, absolute_path
from trainables.datasets.wfdb_files import read_header, read_signals
from trainables.decoding import record
from trainables.errors import DataError
from trainables.fields import Positive
from trainables.names import printable
from trainables.runtime.storage_errors import atomic_file, storage_errors

_HEADERS = "headers"

_LabelSource = Annotated[
    str,
    Field(min_length=1, max_length=4096),
    AfterValidator(lambda value: value if value == _HEADERS else absolute_path(value)),
]


@record
class WfdbRecords(Reader):
    """Records with one or several labels each, resampled, their leads found by name.

    A table of labels is a CSV file with the columns ``record`` (path below the folder, without
    ending) and ``labels`` (separated by ``;``). In headers, labels are what follows ``label_line``
    and a colon in a comment, separated by commas or semicolons: ``# Dx: 426177001,164934002``.
    Where every record has one label, classes exclude each other; otherwise a sample may have
    several.

    Attributes:
        path: Folder with the records, relative to the study file.
        labels: ``headers``, or the table's file.
        label_line: Word before the labels in a header's comment.
        hz: Samples per second of the signals that a model sees; records are resampled to it.
        seconds: Length of a record that is used, from its start; shorter ones are refused.
        window_s: Length of the windows that a model sees, in seconds; null for whole records.
            Training sees a random window per epoch, an evaluation those at half a window's
            distance.
        leads: Names of the leads, in the order in which a model sees them; null for those of the
            first record.
    """

    name: ClassVar[str] = "wfdb_records"
    path: UserPath
    labels: _LabelSource = _HEADERS
    label_line: Annotated[str, Field(min_length=1, max_length=80)] = "Dx"
    hz: Annotated[int, Field(ge=1, le=10_000)] = 100
    seconds: Positive = 10.0
    window_s: Positive | None = None
    leads: tuple[str, ...] | None = None

    @property
    def source(self) -> Path:
        """The folder, or the table of labels."""
        return Path(self.path if self.labels == _HEADERS else self.labels)

    @property
    def _length(self) -> int:
        return round(self.hz * self.seconds)

    @property
    def _window(self) -> int:
        return self._length if self.window_s is None else round(self.hz * self.window_s)

    def _read_listing(self) -> Listing:
        found = self._from_headers() if self.labels == _HEADERS else self._from_table()
        paths, places, labels = list(found), [one[0] for one in found.values()], []
        for place, own in found.values():
            if not own:
                raise DataError(f"{place} must have a label, but has none; add it.")
            labels.append(own)
        if self._window > self._length or self._window < 1:
            raise DataError(
                f"window_s must be at most the {self.seconds:g} seconds of a record, got "
                f"{self.window_s}."
            )
        several = any(len(own) > 1 for own in labels)
        classes, targets = encode_labels([own[0] for own in labels], places.__getitem__)
        if several:
            classes = tuple(sorted({one for own in labels for one in own}))
            targets = torch.tensor([[float(name in own) for name in classes] for own in labels])
        return Listing(
            classes=classes,
            targets=targets,
            splits=torch.zeros(len(paths), dtype=torch.int64),
            given=frozenset(),
            info=DatasetInfo(
                n_classes=len(classes),
                input_shape=(len(self._leads(paths[0])), self._window),
                domain="series",
                is_multi_label=several,
            ),
            place=places.__getitem__,
            content=str([path.with_name(f"{path.name}.hea").stat().st_size for path in paths]),
            extra=paths,
        )

    def _leads(self, first: Path) -> tuple[str, ...]:
        return self.leads or read_header(first).leads

    def _from_headers(self) -> dict[Path, tuple[str, list[str]]]:
        folder = Path(self.path)
        paths = sorted(file.with_suffix("") for file in folder.rglob("*.hea"))
        if not paths:
            raise DataError(f"{folder} must hold WFDB records (.hea and .dat), but holds none.")
        found = {}
        for path in paths:
            lines = [line.partition(":") for line in read_header(path).comments]
            texts = [text for key, _, text in lines if key.strip() == self.label_line]
            found[path] = (f"{path}.hea", _split_labels(";".join(texts).replace(",", ";")))
        return found

    def _from_table(self) -> dict[Path, tuple[str, list[str]]]:
        table, found = Path(self.labels), {}
        try:
            with table.open(encoding="utf-8-sig", newline="") as lines:
                rows = list(csv.DictReader(lines, strict=True))
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(
                f"{table} must be a CSV file in UTF-8, but is not ({printable(str(error))})."
            ) from error
        for row, values in enumerate(rows, start=1):
            place = f"{table}: row {row}"
            if not values.get("record") or values.get("labels") is None:
                raise DataError(f"{place} must have a 'record' and 'labels', but lacks one.")
            name = PurePosixPath(values["record"])
            path = Path(self.path) / name
            if name.is_absolute() or ".." in name.parts or path in found:
                raise DataError(
                    f"{place} must name a record below the folder once, got "
                    f"{printable(str(name))!r}."
                )
            if not path.with_name(f"{path.name}.hea").is_file():
                raise DataError(f"{place} names {path}, of which there is no header.")
            found[path] = (place, _split_labels(values["labels"]))
        if not found:
            raise DataError(f"{table} must have rows behind its heads, but has none.")
        return found

    def _samples(
        self, listing: Listing, chosen: SplitIndices, folders: DataFolders
    ) -> Mapping[str, Samples]:
        signals = np.load(self._cached(listing, folders), mmap_mode="r")
        shift, scale = (
            torch.from_numpy(one).float()[:, None]
            for one in channel_moments(signals, chosen.train)
        )
        samples: dict[str, Samples] = {}
        for name in ("train", "val", "test"):
            rows = getattr(chosen, name)
            targets = listing.targets[rows]
            stored = StoredSamples(
                array=signals, rows=rows, targets=targets, shift=shift, scale=scale
            )
            if self._window < self._length:
                samples[name] = RecordSamples(
                    signals=stored.views(torch.arange(len(rows)))[0],
                    targets=targets,
                    window=self._window,
                    stride=max(1, self._window // 2),
                )
            elif signals.nbytes > MAPPED_FROM_BYTES:
                samples[name] = stored
            else:
                inputs = stored.views(torch.arange(len(rows)))[0]
                samples[name] = TensorSamples(inputs=inputs, targets=targets)
        return samples

    def _cached(self, listing: Listing, folders: DataFolders) -> Path:
        paths: list[Path] = listing.extra
        leads = self._leads(paths[0])
        stamps = [
            (str(path), path.with_name(f"{path.name}.hea").stat().st_mtime_ns) for path in paths
        ]
        identity = ["wfdb_records", self.hz, self._length, list(leads), stamps]
        target = cache_path(folders.cache / self.name, identity).with_suffix(".npy")
        if target.is_file():
            return target
        with storage_errors(folders.cache):
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(target) as file:
                shape = (len(paths), len(leads), self._length)
                layout = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, layout)
                for path in paths:
                    file.write(self._signals(path, leads).astype("<f4").tobytes())
        return target

    def _signals(self, path: Path, leads: tuple[str, ...]) -> np.ndarray:
        from scipy.signal import resample_poly

        header = read_header(path)
        signals = read_signals(path, header, leads)
        if header.rate_hz != self.hz:
            ratio = Fraction(self.hz / header.rate_hz).limit_denominator(1000)
            signals = resample_poly(signals, ratio.numerator, ratio.denominator, axis=1)
        if signals.shape[1] < self._length:
            raise DataError(
                f"{path} must have {self.seconds:g} seconds at least, but has "
                f"{header.length / header.rate_hz:g}; lower 'seconds' or leave the record out."
            )
        return np.asarray(signals[:, : self._length])


def _split_labels(text: str) -> list[str]:
    return list(dict.fromkeys(one.strip() for one in text.split(";") if one.strip()))
