"""Fill the data root: every published file whole and checked, or not there at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.filesize import decimal

from study.data.download import Patience, download
from study.data.errors import DownloadError, not_writable
from study.data.finding import Finding, examine
from study.data.part_file import PartFile
from study.data.progress import Watcher
from study.data.request import RequestError
from trainables.datasets.sources import SourceFile

# A check of so many bytes takes seconds, in which a user would wonder.
_LONG_TO_CHECK = 100_000_000


def fetch(
    files: Iterable[SourceFile], root: Path, watcher: Watcher, patience: Patience | None = None
) -> None:
    """Fetch the files that the data root does not hold as they were published.

    A file gets its name when it is whole and has the published checksum. One that was in its
    place and is not what was published is kept beside it as ``NAME.old``. After an interruption
    the same call goes on in the middle of the file.

    Raises:
        DownloadError: If one cannot be fetched, is not what was published, or cannot be kept.
    """
    for source in dict.fromkeys(files):
        _fetch_one(source, root / source.path, watcher, patience or Patience())


def _fetch_one(source: SourceFile, target: Path, watcher: Watcher, patience: Patience) -> None:
    found = examine(target, source)
    if found.is_usable:
        watcher.say(f"{source.path}: there already, {found.shown_size}; {found.detail}.")
        return
    if found.state != "missing":
        watcher.say(
            f"{source.path}: {found.detail}; fetching the published file, after which this one is "
            f"kept as {_old(target).name}."
        )
    part = PartFile(target)
    with part.held():
        try:
            url = _download(source, part, watcher, patience)
            if part.size >= _LONG_TO_CHECK:
                watcher.say(f"{source.path}: checking {decimal(part.size)}.")
            fresh = examine(part.path, source)
        except KeyboardInterrupt:
            watcher.say(
                f"{source.path}: {decimal(part.size)} are kept; the same command goes on there."
            )
            raise
        _put_into_place(fresh, part, url)
    watcher.say(f"{source.path}: fetched, {fresh.shown_size}; {fresh.detail}.")


def _download(source: SourceFile, part: PartFile, watcher: Watcher, patience: Patience) -> str:
    # The address that a part came from is asked first: it alone can go on with it.
    begun = part.version
    problems = []
    for url in sorted(source.urls, key=lambda url: begun is None or url != begun.url):
        size = "" if source.size is None else f" ({decimal(source.size)})"
        onward = f", from {decimal(part.size)} on" if begun and url == begun.url else ""
        watcher.say(f"{source.path}{size}: fetching from {url}{onward}.")
        try:
            download(url, source, part, patience, watcher)
        except RequestError as error:
            problems.append(f"{url}: {error.reason}")
        else:
            return url
    kept = f" ({decimal(part.size)} are kept)" if part.size else ""
    raise DownloadError(
        f"{part.target} could not be fetched; {'; '.join(problems)}. Run the same command again "
        f"when the server can be reached{kept}, or put the file there by hand."
    )


def _put_into_place(fresh: Finding, part: PartFile, url: str) -> None:
    try:
        if not fresh.is_usable:
            raise DownloadError(
                f"what {url} sent for {part.target} is not the published file: {fresh.detail}. It "
                f"is kept as {part.reject().name}; run the same command again to fetch it anew, "
                "and if that ends the same, get the file by hand."
            )
        if part.target.exists():
            part.target.replace(_old(part.target))
        part.complete()
    except OSError as error:
        raise not_writable(part.target, error) from error


def _old(target: Path) -> Path:
    return target.with_name(f"{target.name}.old")
