from __future__ import annotations

import pytest

from study.config.yaml_reader import read_text, read_yaml
from study.records.errors import SpecError


def refusal(path) -> str:
    with pytest.raises(SpecError) as caught:
        read_text(path)
    return str(caught.value)


def test_text_is_read_as_utf_8_whatever_the_locale(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_bytes("name: ä".encode())
    assert read_text(path) == "name: ä"


def test_what_cannot_be_read_is_refused_with_what_to_do(tmp_path):
    missing = tmp_path / "missing.yaml"
    assert refusal(missing) == (
        f"{missing} cannot be read: No such file or directory; name a study file."
    )
    assert refusal(tmp_path) == f"{tmp_path} cannot be read: Is a directory; name a study file."
    binary = tmp_path / "s.yaml"
    binary.write_bytes(b"name: \xe4")
    assert refusal(binary) == f"{binary} is no UTF-8 text; name a study file (YAML)."


def test_a_file_that_is_larger_than_any_study_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "s.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    text = read_text(path)
    assert len(text) == (1 << 20) + 1
    with pytest.raises(SpecError, match="must be a study file, of at most 1 MiB"):
        read_yaml(text, "s.yaml")
