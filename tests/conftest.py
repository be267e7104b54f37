"""What all tests share: where real data is, a Ray, and a reproducible Hypothesis."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cluster.session import prepare_environment

# Before any module imports Ray, as doctests' collection does.
prepare_environment()

# `uv run` sets it, and the program then says "uv run" before the commands that it proposes.
os.environ.pop("UV", None)

# The same examples everywhere; a deadline would be an assertion about time.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def challenger_data() -> Path:
    """Give the root of the real data, or skip."""
    root = os.environ.get("CHALLENGER_DATA")
    if not root:
        pytest.skip("reads real data: set CHALLENGER_DATA to the data root")
    return Path(root).resolve()


@pytest.fixture(scope="session")
def ray_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give Ray a token and a folder of its own; nothing of the user's home is touched."""
    # Paths of sockets have at most 107 characters, so that pytest's folder is too deep.
    home = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    token = tmp_path_factory.mktemp("ray") / "auth_token"
    token.write_text(secrets.token_hex(32), encoding="utf-8")
    token.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        patch.setenv("RAY_TMPDIR", str(home))
        yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def ray_address(ray_home: Path) -> Iterator[str]:  # noqa: ARG001 (its token)
    """Start one Ray with two CPUs for all tests that need one, and give its address."""
    from ray.cluster_utils import Cluster

    node = {
        "num_cpus": 2,
        "num_gpus": 0,
        "include_dashboard": False,
        "object_store_memory": 100_000_000,
    }
    cluster = Cluster(initialize_head=True, head_node_args=node)
    yield str(cluster.address)
    cluster.shutdown()
