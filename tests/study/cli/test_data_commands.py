"""``data fetch`` and ``data check`` as a user types them, against a real server."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest

from study.data.http_download import RetryPolicy
from tests.study.cli.test_main import loaded_after
from tests.study.data.conftest import CONTENT, OTHER, md5
from tests.study.data.file_server import FileServer, Published, Reply, serving
from trainables.datasets import sources
from trainables.datasets.sources import DatasetSource, SourceFile

PATIENCE_S = 300.0


@pytest.fixture
def server(monkeypatch):
    """Publish two datasets, one of which requires the other, instead of the real ones."""
    with serving() as running:
        table = {"digits": DatasetSource()}
        for name, requires in (("words", ()), ("texts", ("words",))):
            path = f"{name}/{name}.gz"
            running.files[path] = Published(content=CONTENT)
            file = SourceFile(path=path, urls=(running.url(path),), checksum=md5(CONTENT))
            table[name] = DatasetSource(files=(file,), requires=requires)
        monkeypatch.setattr(sources, "SOURCES", table)
        yield running


def test_fetched_files_are_in_the_data_root_and_are_found_there(run_cli, server, tmp_path):
    ended = run_cli("data", "fetch", "texts", "--data-root", "data")
    root = tmp_path / "data"
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"texts/texts.gz: fetching from {server.url('texts/texts.gz')}.",
        "texts/texts.gz: fetched, 300.1 kB; md5 as published.",
        f"words/words.gz: fetching from {server.url('words/words.gz')}.",
        "words/words.gz: fetched, 300.1 kB; md5 as published.",
        f"texts: done; use them with --data-root {root}.",
    ]
    assert sorted(path for path in root.rglob("*") if path.is_file()) == [
        root / "texts" / "texts.gz",
        root / "words" / "words.gz",
    ]
    ended = run_cli("data", "check", "texts", "--data-root", "data")
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"texts/texts\.gz +│ 300\.1 kB +│ ok: md5 as published", ended.out)
    assert ended.out.splitlines()[-1] == "texts: usable."


def test_a_second_fetch_asks_for_nothing(run_cli, server, monkeypatch, tmp_path):
    monkeypatch.setenv("CHALLENGER_DATA", str(tmp_path / "data"))
    assert run_cli("data", "fetch", "words").code == 0
    server.seen.clear()
    ended = run_cli("data", "fetch", "words", "words")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == (
        "words/words.gz: there already, 300.1 kB; md5 as published."
    )
    assert server.seen == []


def test_all_are_fetched_and_checked_at_once(run_cli, server):
    ended = run_cli("data", "fetch", "all", "--data-root", "data")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == ("digits: part of the installation; nothing to fetch.")
    assert [seen.path for seen in server.seen] == ["words/words.gz", "texts/texts.gz"]
    ended = run_cli("data", "check", "all", "--data-root", "data")
    assert (ended.code, ended.out.splitlines()[-3:]) == (
        0,
        ["digits: usable.", "words: usable.", "texts: usable."],
    )
    assert ended.out.count("words/words.gz") == 1


@pytest.mark.usefixtures("server")
def test_digits_need_neither_a_fetch_nor_a_data_root(run_cli, tmp_path):
    ended = run_cli("data", "fetch", "digits")
    assert (ended.code, ended.err, ended.out) == (
        0,
        "",
        "digits: part of the installation; nothing to fetch.\n",
    )
    assert (run_cli("data", "check", "digits").out) == "digits: usable.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("what", ["fetch", "check"])
def test_without_a_data_root_the_message_names_the_option(run_cli, what, tmp_path):
    ended = run_cli("data", what, "words")
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        "Error: dataset 'words' is read from a data root, and none was given; name one with "
        "--data-root or CHALLENGER_DATA, or use dataset 'digits', which needs none.\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("what", ["fetch", "check"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [("word", "did you mean 'words'?"), ("x", "known: all, digits, texts, words.")],
)
def test_an_unknown_name_ends_with_2_and_the_closest_one(run_cli, what, name, hint, tmp_path):
    ended = run_cli("data", what, "words", name, "--data-root", "data")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == (
        f"Error: Invalid value for 'NAME...': there is no dataset {name!r}; {hint}"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_needed(run_cli):
    ended = run_cli("data", "fetch")
    assert (ended.code, ended.err.splitlines()[-1]) == (2, "Error: Missing argument 'NAME...'.")


def test_a_failed_fetch_ends_with_2_and_one_message(run_cli, server, tmp_path):
    server.files.pop("words/words.gz")
    ended = run_cli("data", "fetch", "words", "--data-root", "data")
    assert (ended.code, ended.err) == (
        2,
        f"Error: {tmp_path}/data/words/words.gz could not be fetched; "
        f"{server.url('words/words.gz')}: the server answers 404 Not Found. Run the same command "
        "again when the server can be reached, or put the file there by hand.\n",
    )


def test_a_server_that_stays_busy_ends_the_command_with_2_after_some_tries(
    run_cli, server, monkeypatch
):
    waited = []
    # By its name in the package, which is that of a function, the module cannot be had.
    module = importlib.import_module("study.data.fetch")
    monkeypatch.setattr(module, "RetryPolicy", partial(RetryPolicy, sleep=waited.append))
    server.always = Reply(status=503)
    ended = run_cli("data", "fetch", "words", "--data-root", "data")
    assert ended.code == 2
    assert "the server answers 503 Service Unavailable. Run the same" in ended.err
    assert waited == [1.0, 2.0, 4.0, 8.0]


def test_the_data_root_may_be_named_from_the_home(run_cli, server, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert run_cli("data", "fetch", "words", "--data-root=~/data").code == 0
    assert (tmp_path / "home" / "data" / "words" / "words.gz").read_bytes() == CONTENT
    assert server.ranges == [None]


@pytest.mark.usefixtures("server")
def test_a_check_as_json_equals_the_table(run_cli, tmp_path):
    folder = tmp_path / "data" / "words"
    folder.mkdir(parents=True)
    (folder / "words.gz").write_bytes(OTHER)
    (folder / "mine").write_bytes(b"")
    detail = (
        f"its md5 should be {md5(CONTENT).digest}, but is {md5(OTHER).digest} ({len(OTHER)} bytes)"
    )
    remedy = "fetch it with 'challenger-study data fetch words'."
    problem = f"words/words.gz is different: {detail}; {remedy}"
    ended = run_cli("data", "check", "words", "--json", "--data-root", "data")
    assert (ended.code, ended.err) == (2, "")
    assert json.loads(ended.out) == [
        {
            "is_usable": False,
            "name": "words",
            "files": [
                {
                    "path": "words/words.gz",
                    "state": "different",
                    "size": len(OTHER),
                    "detail": detail,
                }
            ],
            "others": ["words/mine"],
            "problem": problem,
        }
    ]
    ended = run_cli("data", "check", "words", "--data-root", "data")
    assert ended.code == 2
    assert f"different: {detail}" in ended.out
    assert re.search(r"words/mine +│ +│ not from the source", ended.out)
    assert ended.out.splitlines()[-1] == (f"words: not usable: {problem}")


def test_a_check_of_missing_files_creates_nothing(run_cli, tmp_path):
    ended = run_cli("data", "check", "mnist", "--data-root", "data")
    assert (ended.code, ended.err) == (2, "")
    assert len(re.findall(r"mnist/MNIST/raw/\S+\.gz +│ +│ missing", ended.out)) == 4
    last = ended.out.splitlines()[-1]
    assert last.startswith(f"mnist: not usable: {tmp_path}/data/mnist/MNIST/raw/")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["fetch", "--help"], ["fetch"]])
def test_help_loads_nothing_heavy(arguments, tmp_path):
    code = f"from study.cli.main import run; run({['data', *arguments]!r})"
    assert loaded_after(code, tmp_path) == set()


# The command of a process of its own, with the table of sources pointing at the test's server.
_PROCESS = """
    import sys
    from study.cli.main import run
    from trainables.datasets import sources
    from trainables.datasets.sources import Checksum, DatasetSource, SourceFile

    url, digest, *arguments = sys.argv[1:]
    checksum = Checksum(algorithm="md5", digest=digest)
    file = SourceFile(path="words/words.gz", urls=(url,), checksum=checksum)
    sources.SOURCES = {"words": DatasetSource(files=(file,))}
    sys.exit(run(arguments))
"""


def start(server: FileServer, folder: Path) -> subprocess.Popen[str]:
    url, digest = server.url("words/words.gz"), md5(CONTENT).digest
    command = [sys.executable, "-c", textwrap.dedent(_PROCESS), url, digest]
    return subprocess.Popen(
        [*command, "data", "fetch", "words", "--data-root", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
        start_new_session=True,
        # A shell that runs the tests in its background lets them, and so this, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL],
)
@pytest.mark.service
def test_a_fetch_that_is_interrupted_goes_on_where_it_stood(server, tmp_path, number):
    target = tmp_path / "words" / "words.gz"
    part = target.with_name("words.gz.part")
    server.replies.append(Reply(chunk=2000, pause_s=0.05))
    process = start(server, tmp_path)
    end = time.monotonic() + PATIENCE_S
    while not (part.exists() and part.stat().st_size > 20_000):
        assert process.poll() is None
        assert time.monotonic() < end, "waited in vain"
        assert not target.exists()
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    kept = part.stat().st_size
    assert not target.exists()
    assert 20_000 < kept < len(CONTENT)
    assert part.read_bytes() == CONTENT[:kept]
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert (process.returncode, err.strip()) == (130, "interrupted.")
        assert out.splitlines()[-1] == (
            f"words/words.gz: {kept / 1000:.1f} kB are kept; the same command goes on there."
        )
    again = start(server, tmp_path)
    out, err = again.communicate(timeout=PATIENCE_S)
    assert (again.returncode, err) == (0, "")
    assert server.ranges == [None, f"bytes={kept}-"]
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["words.gz"]
