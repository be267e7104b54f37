"""Downloads from a real server that cuts, stalls, lies and changes its mind."""

from __future__ import annotations

import importlib
import json
import shutil
import socket
import urllib.request
from pathlib import Path
from ssl import SSLCertVerificationError
from types import SimpleNamespace
from urllib.error import URLError

import pytest

from study.data import DownloadError, fetch
from study.data.http_download import PartFile
from tests.study.data.conftest import CONTENT, OTHER, PATH, md5
from tests.study.data.file_server import Published, Reply

N = len(CONTENT)
CUT = 100_000


def failure(setup, **retry_policy: object) -> str:
    with pytest.raises(DownloadError) as caught:
        setup.fetch(**retry_policy)
    return str(caught.value)


def cut_once(setup, at: int = CUT) -> None:
    """Leave a part of the file, as an attempt that was cut does."""
    setup.server.replies.append(Reply(cut_after=at))
    failure(setup, tries=1)
    assert setup.part.read_bytes() == setup.published.content[:at]
    setup.server.seen.clear()
    setup.user.said.clear()


def test_a_file_is_fetched_whole_and_nothing_is_left_beside_it(setup):
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.names() == ["numbers.gz"]
    assert setup.server.ranges == [None]
    assert setup.server.seen[0].encoding == "identity"
    assert setup.user.said == [
        f"set/numbers.gz (300.1 kB): fetching from {setup.server.url(PATH)}.",
        "set/numbers.gz: fetched, 300.1 kB; md5 as published.",
    ]
    assert setup.user.moved_to[-1] == N
    assert setup.user.waited == []


def test_a_cut_connection_is_taken_up_in_the_middle_of_the_file(setup):
    setup.server.replies.append(Reply(cut_after=CUT))
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [None, f"bytes={CUT}-"]
    assert setup.server.seen[1].if_range == '"first"'
    assert setup.user.said[1] == (
        "set/numbers.gz: the connection was cut after 100.0 kB of 300.1 kB; trying again in 1 s."
    )
    assert setup.user.moved_to == sorted(setup.user.moved_to)
    assert setup.user.waited == [1.0]
    assert setup.names() == ["numbers.gz"]


def test_cuts_that_bring_the_file_on_are_never_too_many(setup):
    setup.server.always = Reply(cut_after=10_000)
    setup.fetch(tries=2, step=10_000)
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [None, *(f"bytes={i}-" for i in range(10_000, N, 10_000))]


def test_cuts_that_bring_nothing_end_after_some_tries_and_waits_that_double(setup):
    setup.server.replies.append(Reply(cut_after=CUT))
    setup.server.always = Reply(cut_after=0)
    assert failure(setup, longest_wait_s=3.0) == (
        f"{setup.target} could not be fetched; {setup.server.url(PATH)}: the connection was cut "
        "after 100.0 kB of 300.1 kB. Run the same command again when the server can be reached "
        "(100.0 kB are kept), or put the file there by hand."
    )
    assert setup.user.waited == [1.0, 2.0, 3.0, 3.0]
    assert setup.names() == ["numbers.gz.part", "numbers.gz.part.json"]


def test_the_same_command_goes_on_where_the_last_one_gave_up(setup):
    cut_once(setup)
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [f"bytes={CUT}-"]
    assert setup.user.said[0] == (
        f"set/numbers.gz (300.1 kB): fetching from {setup.server.url(PATH)}, from 100.0 kB on."
    )


def test_a_server_that_knows_no_ranges_sends_all_again(setup):
    setup.server.always = Reply(ignores_range=True)
    setup.server.replies.append(Reply(cut_after=CUT))
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [None, f"bytes={CUT}-"]
    assert setup.user.said[2] == "set/numbers.gz: comes from its start again."


def test_a_server_that_sends_the_same_beginning_for_ever_is_given_up(setup):
    setup.server.always = Reply(ignores_range=True, cut_after=CUT)
    assert "the connection was cut after 100.0 kB of 300.1 kB" in failure(setup, step=1000)
    assert len(setup.server.seen) == 5


@pytest.mark.parametrize(
    "version",
    [
        {"etag": '"second"'},
        {"etag": None, "last_modified": "Tue, 02 Jan 2024 00:00:00 GMT"},
        {"etag": 'W/"second"', "last_modified": "Tue, 02 Jan 2024 00:00:00 GMT"},
    ],
)
@pytest.mark.parametrize("is_careless", [False, True])
def test_a_file_that_changes_between_two_tries_is_fetched_anew(setup, version, is_careless):
    # Of the same size, so that the version alone tells.
    changed = CONTENT[::-1]
    setup.change(checksum=md5(changed))
    setup.user.is_compatible = (changed,)
    first = {"etag": None, "last_modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    if version["etag"] is not None:
        first["etag"] = version["etag"].replace("second", "first")
    setup.publish(CONTENT, **first)
    setup.server.replies.append(Reply(cut_after=CUT))
    setup.server.before.extend([lambda: None, lambda: setup.publish(changed, **version)])
    setup.server.always = Reply(ignores_condition=is_careless)
    setup.fetch()
    assert setup.target.read_bytes() == changed
    if is_careless:
        assert setup.user.said[2] == (
            "set/numbers.gz: the file changed on the server; trying again in 2 s."
        )
        assert setup.server.ranges == [None, f"bytes={CUT}-", None]
    else:
        assert setup.server.ranges == [None, f"bytes={CUT}-"]


def test_a_file_of_another_size_is_another_file(setup):
    setup.change(size=None, checksum=md5(OTHER))
    setup.publish(CONTENT, etag=None)
    cut_once(setup)
    setup.publish(OTHER, etag=None)
    setup.fetch()
    assert setup.target.read_bytes() == OTHER
    assert setup.server.ranges == [f"bytes={CUT}-", None]


@pytest.mark.parametrize("has_checksum", [True, False])
def test_a_weak_name_of_a_version_is_compared_but_never_sent(setup, has_checksum):
    if not has_checksum:
        setup.change(checksum=None)
    setup.publish(CONTENT, etag='W/"first"')
    cut_once(setup)
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.seen[0].range == f"bytes={CUT}-"
    assert setup.server.seen[0].if_range is None


@pytest.mark.parametrize(("has_checksum", "expected"), [(True, f"bytes={CUT}-"), (False, None)])
def test_without_any_version_only_a_checksum_lets_two_parts_be_joined(
    setup, has_checksum, expected
):
    setup.publish(CONTENT, etag=None)
    if not has_checksum:
        setup.change(checksum=None)
    cut_once(setup)
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [expected]


def test_a_part_of_which_nothing_is_known_is_not_gone_on_with(setup):
    cut_once(setup)
    setup.part.with_name("numbers.gz.part.json").write_text("{", encoding="utf-8")
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [None]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            Reply(content_range=f"bytes {CUT + 1}-{N - 1}/{N}"),
            "the server sends another part than was asked for",
        ),
        (Reply(content_range="bytes */9"), "the server sends a part without saying which"),
        (Reply(status=416), "the server answers 416 Requested Range Not Satisfiable"),
    ],
)
def test_a_part_that_was_not_asked_for_is_never_joined(setup, reply, reason):
    cut_once(setup)
    setup.server.replies.append(reply)
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [f"bytes={CUT}-", None]
    assert setup.user.said[1] == f"set/numbers.gz: {reason}; trying again in 1 s."


def test_a_part_that_is_whole_already_is_only_checked(setup):
    cut_once(setup)
    setup.part.write_bytes(CONTENT)
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.seen == []
    assert setup.names() == ["numbers.gz"]


def test_content_that_is_not_what_was_published_never_gets_the_name(setup):
    setup.change(size=None)
    setup.publish(OTHER)
    expected = (
        f"what {setup.server.url(PATH)} sent for {setup.target} is not the published file: its "
        f"md5 should be {md5(CONTENT).digest}, but is {md5(OTHER).digest} ({len(OTHER)} bytes). "
        "It is kept as numbers.gz.rejected; run the same command again to fetch it again, and if "
        "that ends the same, get the file by hand."
    )
    assert failure(setup) == expected
    assert setup.names() == ["numbers.gz.rejected"]
    assert setup.target.with_name("numbers.gz.rejected").read_bytes() == OTHER
    setup.publish(CONTENT)
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [None, None]


def test_a_page_in_the_place_of_the_file_never_gets_the_name(setup):
    setup.change(size=None, checksum=None)
    setup.publish(b"<html>log in</html>")
    assert failure(setup) == (
        f"what {setup.server.url(PATH)} sent for {setup.target} is not the published file: it "
        "cannot be read to its end: Not a gzipped file (b'<h') (19 bytes). It is kept as "
        "numbers.gz.rejected; run the same command again to fetch it again, and if that ends the "
        "same, get the file by hand."
    )
    assert setup.names() == ["numbers.gz.rejected"]


def test_a_file_without_a_published_checksum_is_read_to_its_end_and_that_is_said(setup):
    setup.change(size=None, checksum=None)
    setup.fetch()
    assert setup.user.said[-1] == (
        "set/numbers.gz: fetched, 300.1 kB; no checksum is published; readability checked."
    )


def test_a_server_that_says_no_length_is_believed_only_if_the_file_is_whole(setup):
    setup.change(size=None, checksum=None)
    setup.server.replies.append(Reply(says_length=False, cut_after=CUT))
    assert "it cannot be read to its end: Compressed file ended before" in failure(setup)
    setup.server.replies.append(Reply(says_length=False))
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT


def test_a_file_of_another_size_than_published_is_not_even_begun(setup):
    setup.publish(OTHER)
    assert failure(setup) == (
        f"{setup.target} could not be fetched; {setup.server.url(PATH)}: the server offers a file "
        f"of {len(OTHER)} bytes instead of the {N} published. Run the same command again when the "
        "server can be reached, or put the file there by hand."
    )
    assert setup.user.moved_to == []
    assert setup.names() == []


def test_a_file_that_is_not_there_is_asked_for_once(setup):
    setup.server.files.clear()
    assert failure(setup) == (
        f"{setup.target} could not be fetched; {setup.server.url(PATH)}: the server answers 404 "
        "Not Found. Run the same command again when the server can be reached, or put the file "
        "there by hand."
    )
    assert len(setup.server.seen) == 1
    assert setup.names() == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [(500, "Internal Server Error"), (503, "Service Unavailable"), (429, "Too Many Requests")],
)
def test_a_server_that_stumbles_is_asked_again(setup, status, reason):
    setup.server.replies.append(Reply(status=status))
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.user.said[1] == (
        f"set/numbers.gz: the server answers {status} {reason}; trying again in 1 s."
    )


def test_an_answer_that_is_no_file_is_not_taken_for_one(setup):
    setup.change(size=None, checksum=None)
    setup.server.always = Reply(status=202)
    assert ": the server answers 202 Accepted. Run" in failure(setup)
    assert setup.names() == []


def test_a_slow_server_is_waited_for_as_long_as_something_comes(setup):
    setup.server.always = Reply(chunk=N // 8, pause_s=0.2)
    setup.fetch(timeout_s=1.5)
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [None]


def test_a_server_that_falls_silent_is_asked_for_the_rest(setup):
    setup.server.replies.append(Reply(cut_after=CUT, stall_s=5.0))
    setup.fetch(timeout_s=1.0)
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [None, f"bytes={CUT}-"]
    assert setup.user.said[1] == "set/numbers.gz: the server fell silent; trying again in 1 s."


def test_without_a_network_the_message_says_so(setup):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/numbers.gz"
        setup.change(urls=(url,))
        assert failure(setup) == (
            f"{setup.target} could not be fetched; {url}: no connection (Connection refused). Run "
            "the same command again when the server can be reached, or put the file there by hand."
        )
    assert setup.user.waited == [1.0, 2.0, 4.0, 8.0]
    assert setup.names() == []


def test_a_server_with_a_wrong_certificate_is_asked_once(setup, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise URLError(SSLCertVerificationError(1, "certificate verify failed: self-signed"))

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    assert ": no connection (certificate verify failed: self-signed). Run" in failure(setup)
    assert setup.user.waited == []


def test_a_long_check_is_announced(setup, monkeypatch):
    monkeypatch.setattr(importlib.import_module("study.data.fetch"), "_SLOW_CHECK_BYTES", N)
    setup.fetch()
    assert setup.user.said[1] == "set/numbers.gz: checking 300.1 kB."


def test_a_redirection_keeps_the_range(setup):
    cut_once(setup)
    setup.server.files["elsewhere"] = setup.published
    setup.server.replies.append(Reply(redirect="elsewhere"))
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert [(seen.path, seen.range) for seen in setup.server.seen] == [
        (PATH, f"bytes={CUT}-"),
        ("elsewhere", f"bytes={CUT}-"),
    ]


def test_the_next_address_is_asked_where_one_fails(setup):
    gone = setup.server.url("gone")
    setup.change(urls=(gone, setup.server.url(PATH)))
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    setup.target.unlink()
    setup.change(urls=(gone, setup.server.url("lost")))
    assert failure(setup) == (
        f"{setup.target} could not be fetched; {gone}: the server answers 404 Not Found; "
        f"{setup.server.url('lost')}: the server answers 404 Not Found. Run the same command "
        "again when the server can be reached, or put the file there by hand."
    )


def test_the_address_that_a_part_came_from_is_asked_first(setup):
    cut_once(setup)
    mirror = "mirror.gz"
    setup.server.files[mirror] = Published(content=CONTENT)
    setup.change(urls=(setup.server.url(mirror), *setup.source.urls))
    setup.fetch()
    assert [(seen.path, seen.range) for seen in setup.server.seen] == [(PATH, f"bytes={CUT}-")]


def test_a_part_from_one_address_is_not_gone_on_with_from_another(setup):
    cut_once(setup)
    mirror = "mirror.gz"
    setup.server.files[mirror] = Published(content=CONTENT)
    setup.change(urls=(setup.server.url(mirror),))
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.server.ranges == [None]


def test_a_file_that_is_there_is_not_fetched_again(setup):
    setup.fetch()
    setup.server.seen.clear()
    setup.fetch()
    assert setup.server.seen == []
    assert setup.user.said[-1] == "set/numbers.gz: there already, 300.1 kB; md5 as published."


def test_a_file_that_is_named_twice_is_fetched_once(setup):
    setup.user.is_compatible = (CONTENT,)
    fetch([setup.source, setup.source], setup.root, setup.user)
    assert [line.split(": ")[1].split()[0] for line in setup.user.said] == ["fetching", "fetched,"]


def test_a_damaged_file_is_replaced_when_the_new_one_is_whole_and_is_kept(setup):
    damaged = CONTENT[:1000]
    setup.target.parent.mkdir(parents=True)
    setup.target.write_bytes(damaged)
    setup.user.is_compatible = (damaged,)
    setup.server.replies.append(Reply(status=404))
    failure(setup)
    assert setup.target.read_bytes() == damaged
    assert setup.user.said[0] == (
        "set/numbers.gz: it cannot be read to its end: Compressed file ended before the "
        "end-of-stream marker was reached (1000 bytes); fetching the published file, after which "
        "this one is kept as numbers.gz.old."
    )
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT
    assert setup.names() == ["numbers.gz", "numbers.gz.old"]
    assert setup.target.with_name("numbers.gz.old").read_bytes() == damaged


def test_an_interruption_keeps_what_came_and_says_so(setup):
    def interrupt(done: int) -> None:
        if done >= CUT:
            raise KeyboardInterrupt

    setup.user.on_move = interrupt
    with pytest.raises(KeyboardInterrupt):
        setup.fetch()
    kept = setup.part.stat().st_size
    assert CUT <= kept < N
    assert setup.part.read_bytes() == CONTENT[:kept]
    assert setup.user.said[-1] == (
        f"set/numbers.gz: {kept / 1000:.1f} kB are kept; the same command goes on there."
    )
    setup.user.on_move = lambda _: None
    setup.fetch()
    assert setup.server.ranges == [None, f"bytes={kept}-"]
    assert setup.target.read_bytes() == CONTENT


def test_two_processes_never_write_one_part(setup):
    with PartFile(setup.target).locked():
        assert failure(setup) == (
            f"{setup.target} is being fetched by another process; wait for it, or stop it."
        )
    assert setup.server.seen == []
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT


def test_a_part_that_another_process_finished_meanwhile_is_not_taken_for_one(setup, monkeypatch):
    setup.target.parent.mkdir(parents=True)
    part = PartFile(setup.target)
    is_at_its_place = PartFile._is_current
    answers = []

    def finish_first(self, file) -> bool:
        if not answers:
            setup.part.replace(setup.target)
        answers.append(is_at_its_place(self, file))
        return answers[-1]

    monkeypatch.setattr(PartFile, "_is_current", finish_first)
    with part.locked():
        part.append(b"x")
    assert answers == [False, True]
    assert setup.target.read_bytes() == b""


def test_a_full_disk_is_said_and_nothing_gets_the_name(setup):
    # The kernel's own full disk.
    setup.target.parent.mkdir(parents=True)
    setup.part.symlink_to("/dev/full")
    assert failure(setup) == (
        f"{setup.part} must be writable, but is not (No space left on device); free it or name "
        "another folder with --data-root or CHALLENGER_DATA."
    )
    assert not setup.target.exists()


def test_a_file_that_does_not_fit_is_not_begun(setup, monkeypatch):
    cut_once(setup)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=200_000))
    assert failure(setup) == (
        f"{setup.target} needs 200.1 kB more, but {setup.target.parent} has 200.0 kB free; free "
        "some or name another folder with --data-root or CHALLENGER_DATA."
    )
    assert setup.part.stat().st_size == CUT
    # What is thrown away makes room.
    setup.published.etag = '"second"'
    setup.server.always = Reply(ignores_range=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=N - CUT))
    setup.fetch()
    assert setup.target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_said(setup):
    setup.root.write_text("", encoding="utf-8")
    assert failure(setup) == (
        f"{setup.part} must be writable, but is not (Not a directory); free it or name another "
        "folder with --data-root or CHALLENGER_DATA."
    )


def test_a_folder_that_is_read_only_is_said(setup, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert failure(setup) == (
        f"{setup.part} must be writable, but is not (Read-only file system); free it or name "
        "another folder with --data-root or CHALLENGER_DATA."
    )
    assert setup.server.seen == []


def test_the_part_remembers_what_it_is_a_part_of(setup):
    setup.publish(CONTENT, last_modified="Mon, 01 Jan 2024 00:00:00 GMT")
    cut_once(setup)
    memo = setup.part.with_name("numbers.gz.part.json")
    assert json.loads(memo.read_text(encoding="utf-8")) == {
        "url": setup.server.url(PATH),
        "etag": '"first"',
        "last_modified": "Mon, 01 Jan 2024 00:00:00 GMT",
        "size": N,
    }
