"""Addresses of MLflow: credentials are taken out, and no message shows a password."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.records.errors import TrackingError, mask_passwords
from study.tracking.tracking_uri import TrackingUri, secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ada:pw@host:5000/x failed", "http://ada:***@host:5000/x failed"),
        ("postgresql+psycopg://ada:p:w@db/m", "postgresql+psycopg://ada:***@db/m"),
        ("(https://ada:p@w@host)", "(https://ada:***@host)"),
        (
            "postgresql://db/m?user=ada&password=pw&x=1",
            "postgresql://db/m?user=ada&password=***&x=1",
        ),
        ("http://host:5000 and me@home", "http://host:5000 and me@home"),
        ("sqlite:////tmp/a@b.db", "sqlite:////tmp/a@b.db"),
    ],
)
def test_passwords_in_addresses_are_masked(text: str, shown: str) -> None:
    assert mask_passwords(text) == shown


@given(st.text("abcdefgh:@%", min_size=4, max_size=12))
def test_a_known_password_is_masked_wherever_it_stands(password: str) -> None:
    text = f"login of ZYX with {password} at HOST"
    assert mask_passwords(text, [password]) == "login of ZYX with *** at HOST"


def test_credentials_are_taken_out_of_a_web_address() -> None:
    address = TrackingUri.parse("https://ada:p%40ss@host:5000/prefix?x=1")
    assert address == TrackingUri(uri="https://host:5000/prefix?x=1", user="ada", password="p@ss")
    assert "p@ss" not in repr(address)
    assert TrackingUri.parse("http://[::1]:5000") == TrackingUri(uri="http://[::1]:5000")


def test_a_database_keeps_its_password_which_is_known_as_a_secret() -> None:
    address = TrackingUri.parse("postgresql+psycopg://ada:p%40ss@db/mlflow")
    assert address.uri == "postgresql+psycopg://ada:p%40ss@db/mlflow"
    found = secrets(address, {"MLFLOW_TRACKING_TOKEN": "token-1", "MLFLOW_TRACKING_PASSWORD": "x"})
    assert set(found) == {"p%40ss", "p@ss", "token-1"}


def test_an_unusable_address_is_refused_without_its_password() -> None:
    with pytest.raises(TrackingError) as raised:
        TrackingUri.parse("ftp://ada:pw@host")
    assert str(raised.value) == (
        "tracking: the address must be http(s)://host[:port], sqlite:////file or a database URI "
        "of MLflow, got 'ftp://ada:***@host'; correct it, or leave it out for a local store"
    )
