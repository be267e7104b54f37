from __future__ import annotations

import pytest

from trainables.names import suggestion


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("adma", ["sgd", "adam"], "did you mean 'adam'?"),
        ("x", ["sgd", "adam"], "known: adam, sgd."),
        ("x", [], "known: none."),
    ],
)
def test_the_closest_name_is_suggested_or_all_are_listed_in_order(name, known, said):
    assert suggestion(name, known) == said
