"""Messages of databases that cannot be opened, and transient errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from study.records.errors import StoreError
from study.storage.database import error_message, is_transient, open_database
from study.storage.lease_table import lease_holder, open_lease_row

OPENERS: dict[str, Callable[[str], object]] = {
    "trial store": open_database,
    "lease": lambda url: open_lease_row(url, "tiny").__enter__(),
    "lease holder": lambda url: lease_holder(url, "tiny"),
}
every_opener = pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)


@every_opener
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql+psycopg://me:sesame@127.0.0.1:1/studies", "connection failed:"),
        ("postgresql+nonsense://me:sesame@db/studies", ""),
        ("mysql+pymysql://me:sesame@db/studies", ""),
        ("postgresql+psycopg://me:sesame@db:port/studies", ""),
        ("no url at all", "Could not parse"),
    ],
)
def test_a_url_that_cannot_be_opened_is_named_without_its_password(
    opener: Callable[[str], object], url: str, reason: str
) -> None:
    with pytest.raises(StoreError) as refused:
        opener(url)
    text = str(refused.value)
    shown = url.replace("sesame", "***")
    assert text.startswith(f"the Optuna database {shown} cannot be opened: {reason}")
    assert text.endswith("; name another with --database.")
    assert "sesame" not in text


@every_opener
def test_a_file_that_is_no_database_is_named(
    opener: Callable[[str], object], tmp_path: Path
) -> None:
    path = tmp_path / "optuna.db"
    path.write_text("this is not SQLite, but long enough to have a header of it\n" * 20)
    with pytest.raises(StoreError) as refused:
        opener(f"sqlite:///{path}")
    assert str(refused.value) == (
        f"the Optuna database {path} cannot be opened: file is not a database; restore it, or "
        "name another with --database."
    )


@pytest.mark.parametrize("opener", [OPENERS["trial store"], OPENERS["lease"]])
def test_a_folder_that_cannot_be_created_is_named(opener: Callable[[str], object]) -> None:
    with pytest.raises(StoreError, match=r"optuna\.db cannot be opened: \[Errno"):
        opener("sqlite:////dev/null/optuna.db")


def test_a_message_has_one_line_and_no_password() -> None:
    error = OperationalError("SELECT", {}, Exception("no postgresql://ann:sesame@db\nsecond line"))
    assert error_message(error) == "no postgresql://ann:***@db"
    assert is_transient(error)
