"""The hosts of the tests of a cluster on several machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.errors import ClusterError
from cluster.postgres import find_programs
from tests.hosts.host import skip_reason
from tests.hosts.testbed import HostTestbed, make_testbed


@pytest.fixture(scope="module")
def testbed() -> Iterator[HostTestbed]:
    """Start a service on the head with two workers, and print the measured times in the end."""
    if (reason := skip_reason()) is not None:
        pytest.skip(reason)
    try:
        find_programs()
    except ClusterError as error:
        pytest.skip(str(error))
    made = make_testbed()
    try:
        with made.timings.measured("'cluster up' with PostgreSQL, until all of it answers"):
            made.up()
        with made.timings.measured("'ray start' on two workers, one after the other"):
            made.join("one")
            made.join("two")
        made.copy_token(made.laptop)
        yield made
    finally:
        made.remove()
        print(f"\n{made.timings.table()}")
