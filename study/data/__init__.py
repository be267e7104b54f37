"""Fill the data root from the official sources, and see what it holds."""

from study.data.check import DatasetCheck, check
from study.data.errors import DownloadError
from study.data.fetch import fetch
from study.data.progress import watching

__all__ = ["DatasetCheck", "DownloadError", "check", "fetch", "watching"]
