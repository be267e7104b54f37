"""Fill the data root: every published file whole and checked, or not there at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.filesize import decimal

from study.data.dataset_check import FileCheck, check_file
from study.data.download_progress import DownloadProgress
from study.data.http_download import (
    DownloadError,
    PartFile,
    RetryPolicy,
    download,
    not_writable,
)
from study.data.http_request import RequestError
from trainables.datasets.sources import SourceFile

# A check of so many bytes takes seconds, in which a user would wonder.
_SLOW_CHECK_BYTES = 100_000_000


def fetch(
    files: Iterable[SourceFile],
    root: Path,
    progress: DownloadProgress,
    retry_policy: RetryPolicy | None = None,
) -> None:
    """Fetch the files that the data root does not hold as they were published.

    A file gets its name when it is whole and has the published checksum. One that was in its
    place and is not what was published is kept as ``NAME.old``. After an interruption
    the same call goes on in the middle of the file.

    Raises:
        DownloadError: If one cannot be fetched, is not what was published, or cannot be kept.
    """
    for source in dict.fromkeys(files):
        _fetch_one(source, root / source.path, progress, retry_policy or RetryPolicy())


def _fetch_one(
    source: SourceFile, target: Path, progress: DownloadProgress, retry_policy: RetryPolicy
) -> None:
    found = check_file(target, source)
    if found.is_usable:
        progress.log(f"{source.path}: there already, {found.size_text}; {found.detail}.")
        return
    if found.state != "missing":
        progress.log(
            f"{source.path}: {found.detail}; fetching the published file, after which this one is "
            f"kept as {_backup(target).name}."
        )
    part = PartFile(target)
    with part.locked():
        try:
            url = _download(source, part, progress, retry_policy)
            if part.size >= _SLOW_CHECK_BYTES:
                progress.log(f"{source.path}: checking {decimal(part.size)}.")
            fresh = check_file(part.path, source)
        except KeyboardInterrupt:
            progress.log(
                f"{source.path}: {decimal(part.size)} are kept; the same command goes on there."
            )
            raise
        _install(fresh, part, url)
    progress.log(f"{source.path}: fetched, {fresh.size_text}; {fresh.detail}.")


def _download(
    source: SourceFile, part: PartFile, progress: DownloadProgress, retry_policy: RetryPolicy
) -> str:
    # The address that a part came from is asked first: it alone can go on with it.
    begun = part.version
    problems = []
    for url in sorted(source.urls, key=lambda url: begun is None or url != begun.url):
        size = "" if source.size is None else f" ({decimal(source.size)})"
        onward = f", from {decimal(part.size)} on" if begun and url == begun.url else ""
        progress.log(f"{source.path}{size}: fetching from {url}{onward}.")
        try:
            download(url, source, part, retry_policy, progress)
        except RequestError as error:
            problems.append(f"{url}: {error.reason}")
        else:
            return url
    kept = f" ({decimal(part.size)} are kept)" if part.size else ""
    raise DownloadError(
        f"{part.target} could not be fetched; {'; '.join(problems)}. Run the same command again "
        f"when the server can be reached{kept}, or put the file there by hand."
    )


def _install(fresh: FileCheck, part: PartFile, url: str) -> None:
    try:
        if not fresh.is_usable:
            raise DownloadError(
                f"what {url} sent for {part.target} is not the published file: {fresh.detail}. It "
                f"is kept as {part.reject().name}; run the same command again to fetch it again, "
                "and if that ends the same, get the file by hand."
            )
        if part.target.exists():
            part.target.replace(_backup(part.target))
        part.complete()
    except OSError as error:
        raise not_writable(part.target, error) from error


def _backup(target: Path) -> Path:
    return target.with_name(f"{target.name}.old")
