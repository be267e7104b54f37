"""Fill the data root from the official sources, and see what it holds."""

from study.data.dataset_check import DatasetCheck, check_dataset
from study.data.download_progress import show_progress
from study.data.fetch import fetch
from study.data.http_download import DownloadError

__all__ = ["DatasetCheck", "DownloadError", "check_dataset", "fetch", "show_progress"]
