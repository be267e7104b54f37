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
from study.data.part_file import PartFile
from tests.study.data.conftest import CONTENT, OTHER, PATH, md5
from tests.study.data.file_server import Published, Reply

N = len(CONTENT)
CUT = 100_000


def failure(desk, **patience: object) -> str:
    with pytest.raises(DownloadError) as caught:
        desk.fetch(**patience)
    return str(caught.value)


def cut_once(desk, at: int = CUT) -> None:
    """Leave a part of the file, as an attempt that was cut does."""
    desk.server.replies.append(Reply(cut_after=at))
    failure(desk, tries=1)
    assert desk.part.read_bytes() == desk.published.content[:at]
    desk.server.seen.clear()
    desk.user.said.clear()


def test_a_file_is_fetched_whole_and_nothing_is_left_beside_it(desk):
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.names() == ["numbers.gz"]
    assert desk.server.ranges == [None]
    assert desk.server.seen[0].encoding == "identity"
    assert desk.user.said == [
        f"set/numbers.gz (300.1 kB): fetching from {desk.server.url(PATH)}.",
        "set/numbers.gz: fetched, 300.1 kB; md5 as published.",
    ]
    assert desk.user.moved_to[-1] == N
    assert desk.user.waited == []


def test_a_cut_connection_is_taken_up_in_the_middle_of_the_file(desk):
    desk.server.replies.append(Reply(cut_after=CUT))
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [None, f"bytes={CUT}-"]
    assert desk.server.seen[1].if_range == '"first"'
    assert desk.user.said[1] == (
        "set/numbers.gz: the connection was cut after 100.0 kB of 300.1 kB; trying again in 1 s."
    )
    assert desk.user.moved_to == sorted(desk.user.moved_to)
    assert desk.user.waited == [1.0]
    assert desk.names() == ["numbers.gz"]


def test_cuts_that_bring_the_file_on_are_never_too_many(desk):
    desk.server.always = Reply(cut_after=10_000)
    desk.fetch(tries=2, step=10_000)
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [None, *(f"bytes={i}-" for i in range(10_000, N, 10_000))]


def test_cuts_that_bring_nothing_end_after_some_tries_and_waits_that_double(desk):
    desk.server.replies.append(Reply(cut_after=CUT))
    desk.server.always = Reply(cut_after=0)
    assert failure(desk, longest_wait_s=3.0) == (
        f"{desk.target} could not be fetched; {desk.server.url(PATH)}: the connection was cut "
        "after 100.0 kB of 300.1 kB. Run the same command again when the server can be reached "
        "(100.0 kB are kept), or put the file there by hand."
    )
    assert desk.user.waited == [1.0, 2.0, 3.0, 3.0]
    assert desk.names() == ["numbers.gz.part", "numbers.gz.part.json"]


def test_the_same_command_goes_on_where_the_last_one_gave_up(desk):
    cut_once(desk)
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [f"bytes={CUT}-"]
    assert desk.user.said[0] == (
        f"set/numbers.gz (300.1 kB): fetching from {desk.server.url(PATH)}, from 100.0 kB on."
    )


def test_a_server_that_knows_no_ranges_sends_all_again(desk):
    desk.server.always = Reply(ignores_range=True)
    desk.server.replies.append(Reply(cut_after=CUT))
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [None, f"bytes={CUT}-"]
    assert desk.user.said[2] == "set/numbers.gz: comes from its start again."


def test_a_server_that_sends_the_same_beginning_for_ever_is_given_up(desk):
    desk.server.always = Reply(ignores_range=True, cut_after=CUT)
    assert "the connection was cut after 100.0 kB of 300.1 kB" in failure(desk, step=1000)
    assert len(desk.server.seen) == 5


@pytest.mark.parametrize(
    "version",
    [
        {"etag": '"second"'},
        {"etag": None, "last_modified": "Tue, 02 Jan 2024 00:00:00 GMT"},
        {"etag": 'W/"second"', "last_modified": "Tue, 02 Jan 2024 00:00:00 GMT"},
    ],
)
@pytest.mark.parametrize("is_careless", [False, True])
def test_a_file_that_changes_between_two_tries_is_fetched_anew(desk, version, is_careless):
    # Of the same size, so that the version alone tells.
    changed = CONTENT[::-1]
    desk.change(checksum=md5(changed))
    desk.user.may_be = (changed,)
    first = {"etag": None, "last_modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    if version["etag"] is not None:
        first["etag"] = version["etag"].replace("second", "first")
    desk.publish(CONTENT, **first)
    desk.server.replies.append(Reply(cut_after=CUT))
    desk.server.before.extend([lambda: None, lambda: desk.publish(changed, **version)])
    desk.server.always = Reply(ignores_condition=is_careless)
    desk.fetch()
    assert desk.target.read_bytes() == changed
    if is_careless:
        assert desk.user.said[2] == (
            "set/numbers.gz: the file changed on the server; trying again in 2 s."
        )
        assert desk.server.ranges == [None, f"bytes={CUT}-", None]
    else:
        assert desk.server.ranges == [None, f"bytes={CUT}-"]


def test_a_file_of_another_size_is_another_file(desk):
    desk.change(size=None, checksum=md5(OTHER))
    desk.publish(CONTENT, etag=None)
    cut_once(desk)
    desk.publish(OTHER, etag=None)
    desk.fetch()
    assert desk.target.read_bytes() == OTHER
    assert desk.server.ranges == [f"bytes={CUT}-", None]


@pytest.mark.parametrize("has_checksum", [True, False])
def test_a_weak_name_of_a_version_is_compared_but_never_sent(desk, has_checksum):
    if not has_checksum:
        desk.change(checksum=None)
    desk.publish(CONTENT, etag='W/"first"')
    cut_once(desk)
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.seen[0].range == f"bytes={CUT}-"
    assert desk.server.seen[0].if_range is None


@pytest.mark.parametrize(("has_checksum", "expected"), [(True, f"bytes={CUT}-"), (False, None)])
def test_without_any_version_only_a_checksum_lets_two_parts_be_joined(
    desk, has_checksum, expected
):
    desk.publish(CONTENT, etag=None)
    if not has_checksum:
        desk.change(checksum=None)
    cut_once(desk)
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [expected]


def test_a_part_of_which_nothing_is_known_is_not_gone_on_with(desk):
    cut_once(desk)
    desk.part.with_name("numbers.gz.part.json").write_text("{", encoding="utf-8")
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [None]


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
def test_a_part_that_was_not_asked_for_is_never_joined(desk, reply, reason):
    cut_once(desk)
    desk.server.replies.append(reply)
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [f"bytes={CUT}-", None]
    assert desk.user.said[1] == f"set/numbers.gz: {reason}; trying again in 1 s."


def test_a_part_that_is_whole_already_is_only_checked(desk):
    cut_once(desk)
    desk.part.write_bytes(CONTENT)
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.seen == []
    assert desk.names() == ["numbers.gz"]


def test_content_that_is_not_what_was_published_never_gets_the_name(desk):
    desk.change(size=None)
    desk.publish(OTHER)
    expected = (
        f"what {desk.server.url(PATH)} sent for {desk.target} is not the published file: its md5 "
        f"should be {md5(CONTENT).digest}, but is {md5(OTHER).digest} ({len(OTHER)} bytes). It is "
        "kept as numbers.gz.rejected; run the same command again to fetch it anew, and if that "
        "ends the same, get the file by hand."
    )
    assert failure(desk) == expected
    assert desk.names() == ["numbers.gz.rejected"]
    assert desk.target.with_name("numbers.gz.rejected").read_bytes() == OTHER
    desk.publish(CONTENT)
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [None, None]


def test_a_page_in_the_place_of_the_file_never_gets_the_name(desk):
    desk.change(size=None, checksum=None)
    desk.publish(b"<html>log in</html>")
    assert failure(desk) == (
        f"what {desk.server.url(PATH)} sent for {desk.target} is not the published file: it "
        "cannot be read to its end: Not a gzipped file (b'<h') (19 bytes). It is kept as "
        "numbers.gz.rejected; run the same command again to fetch it anew, and if that ends the "
        "same, get the file by hand."
    )
    assert desk.names() == ["numbers.gz.rejected"]


def test_a_file_without_a_published_checksum_is_read_to_its_end_and_that_is_said(desk):
    desk.change(size=None, checksum=None)
    desk.fetch()
    assert desk.user.said[-1] == (
        "set/numbers.gz: fetched, 300.1 kB; no checksum is published; readability checked."
    )


def test_a_server_that_says_no_length_is_believed_only_if_the_file_is_whole(desk):
    desk.change(size=None, checksum=None)
    desk.server.replies.append(Reply(says_length=False, cut_after=CUT))
    assert "it cannot be read to its end: Compressed file ended before" in failure(desk)
    desk.server.replies.append(Reply(says_length=False))
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT


def test_a_file_of_another_size_than_published_is_not_even_begun(desk):
    desk.publish(OTHER)
    assert failure(desk) == (
        f"{desk.target} could not be fetched; {desk.server.url(PATH)}: the server offers a file "
        f"of {len(OTHER)} bytes instead of the {N} published. Run the same command again when the "
        "server can be reached, or put the file there by hand."
    )
    assert desk.user.moved_to == []
    assert desk.names() == []


def test_a_file_that_is_not_there_is_asked_for_once(desk):
    desk.server.files.clear()
    assert failure(desk) == (
        f"{desk.target} could not be fetched; {desk.server.url(PATH)}: the server answers 404 Not "
        "Found. Run the same command again when the server can be reached, or put the file there "
        "by hand."
    )
    assert len(desk.server.seen) == 1
    assert desk.names() == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [(500, "Internal Server Error"), (503, "Service Unavailable"), (429, "Too Many Requests")],
)
def test_a_server_that_stumbles_is_asked_again(desk, status, reason):
    desk.server.replies.append(Reply(status=status))
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.user.said[1] == (
        f"set/numbers.gz: the server answers {status} {reason}; trying again in 1 s."
    )


def test_an_answer_that_is_no_file_is_not_taken_for_one(desk):
    desk.change(size=None, checksum=None)
    desk.server.always = Reply(status=202)
    assert ": the server answers 202 Accepted. Run" in failure(desk)
    assert desk.names() == []


def test_a_slow_server_is_waited_for_as_long_as_something_comes(desk):
    desk.server.always = Reply(chunk=N // 8, pause_s=0.2)
    desk.fetch(timeout_s=1.5)
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [None]


def test_a_server_that_falls_silent_is_asked_for_the_rest(desk):
    desk.server.replies.append(Reply(cut_after=CUT, stall_s=5.0))
    desk.fetch(timeout_s=1.0)
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [None, f"bytes={CUT}-"]
    assert desk.user.said[1] == "set/numbers.gz: the server fell silent; trying again in 1 s."


def test_without_a_network_the_message_says_so(desk):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/numbers.gz"
        desk.change(urls=(url,))
        assert failure(desk) == (
            f"{desk.target} could not be fetched; {url}: no connection (Connection refused). Run "
            "the same command again when the server can be reached, or put the file there by hand."
        )
    assert desk.user.waited == [1.0, 2.0, 4.0, 8.0]
    assert desk.names() == []


def test_a_stranger_in_the_place_of_the_publisher_is_asked_once(desk, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise URLError(SSLCertVerificationError(1, "certificate verify failed: self-signed"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert ": no connection (certificate verify failed: self-signed). Run" in failure(desk)
    assert desk.user.waited == []


def test_a_long_check_is_announced(desk, monkeypatch):
    monkeypatch.setattr(importlib.import_module("study.data.fetch"), "_LONG_TO_CHECK", N)
    desk.fetch()
    assert desk.user.said[1] == "set/numbers.gz: checking 300.1 kB."


def test_a_redirection_keeps_the_range(desk):
    cut_once(desk)
    desk.server.files["elsewhere"] = desk.published
    desk.server.replies.append(Reply(redirect="elsewhere"))
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert [(seen.path, seen.range) for seen in desk.server.seen] == [
        (PATH, f"bytes={CUT}-"),
        ("elsewhere", f"bytes={CUT}-"),
    ]


def test_the_next_address_is_asked_where_one_fails(desk):
    gone = desk.server.url("gone")
    desk.change(urls=(gone, desk.server.url(PATH)))
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    desk.target.unlink()
    desk.change(urls=(gone, desk.server.url("lost")))
    assert failure(desk) == (
        f"{desk.target} could not be fetched; {gone}: the server answers 404 Not Found; "
        f"{desk.server.url('lost')}: the server answers 404 Not Found. Run the same command again "
        "when the server can be reached, or put the file there by hand."
    )


def test_the_address_that_a_part_came_from_is_asked_first(desk):
    cut_once(desk)
    mirror = "mirror.gz"
    desk.server.files[mirror] = Published(content=CONTENT)
    desk.change(urls=(desk.server.url(mirror), *desk.source.urls))
    desk.fetch()
    assert [(seen.path, seen.range) for seen in desk.server.seen] == [(PATH, f"bytes={CUT}-")]


def test_a_part_from_one_address_is_not_gone_on_with_from_another(desk):
    cut_once(desk)
    mirror = "mirror.gz"
    desk.server.files[mirror] = Published(content=CONTENT)
    desk.change(urls=(desk.server.url(mirror),))
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.server.ranges == [None]


def test_a_file_that_is_there_is_not_fetched_again(desk):
    desk.fetch()
    desk.server.seen.clear()
    desk.fetch()
    assert desk.server.seen == []
    assert desk.user.said[-1] == "set/numbers.gz: there already, 300.1 kB; md5 as published."


def test_a_file_that_is_named_twice_is_fetched_once(desk):
    desk.user.may_be = (CONTENT,)
    fetch([desk.source, desk.source], desk.root, desk.user)
    assert [line.split(": ")[1].split()[0] for line in desk.user.said] == ["fetching", "fetched,"]


def test_a_damaged_file_is_replaced_when_the_new_one_is_whole_and_is_kept(desk):
    damaged = CONTENT[:1000]
    desk.target.parent.mkdir(parents=True)
    desk.target.write_bytes(damaged)
    desk.user.may_be = (damaged,)
    desk.server.replies.append(Reply(status=404))
    failure(desk)
    assert desk.target.read_bytes() == damaged
    assert desk.user.said[0] == (
        "set/numbers.gz: it cannot be read to its end: Compressed file ended before the "
        "end-of-stream marker was reached (1000 bytes); fetching the published file, after which "
        "this one is kept as numbers.gz.old."
    )
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT
    assert desk.names() == ["numbers.gz", "numbers.gz.old"]
    assert desk.target.with_name("numbers.gz.old").read_bytes() == damaged


def test_an_interruption_keeps_what_came_and_says_so(desk):
    def interrupt(done: int) -> None:
        if done >= CUT:
            raise KeyboardInterrupt

    desk.user.on_move = interrupt
    with pytest.raises(KeyboardInterrupt):
        desk.fetch()
    kept = desk.part.stat().st_size
    assert CUT <= kept < N
    assert desk.part.read_bytes() == CONTENT[:kept]
    assert desk.user.said[-1] == (
        f"set/numbers.gz: {kept / 1000:.1f} kB are kept; the same command goes on there."
    )
    desk.user.on_move = lambda _: None
    desk.fetch()
    assert desk.server.ranges == [None, f"bytes={kept}-"]
    assert desk.target.read_bytes() == CONTENT


def test_two_processes_never_write_one_part(desk):
    with PartFile(desk.target).held():
        assert failure(desk) == (
            f"{desk.target} is being fetched by another process; wait for it, or stop it."
        )
    assert desk.server.seen == []
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT


def test_a_part_that_another_process_finished_meanwhile_is_not_taken_for_one(desk, monkeypatch):
    desk.target.parent.mkdir(parents=True)
    part = PartFile(desk.target)
    is_at_its_place = PartFile._is_at_its_place
    answers = []

    def finish_first(self, file) -> bool:
        if not answers:
            desk.part.replace(desk.target)
        answers.append(is_at_its_place(self, file))
        return answers[-1]

    monkeypatch.setattr(PartFile, "_is_at_its_place", finish_first)
    with part.held():
        part.append(b"x")
    assert answers == [False, True]
    assert desk.target.read_bytes() == b""


def test_a_full_disk_is_said_and_nothing_gets_the_name(desk):
    # The kernel's own full disk.
    desk.target.parent.mkdir(parents=True)
    desk.part.symlink_to("/dev/full")
    assert failure(desk) == (
        f"{desk.part} must be writable, but is not (No space left on device); free it or name "
        "another folder with --data-root or CHALLENGER_DATA."
    )
    assert not desk.target.exists()


def test_a_file_that_does_not_fit_is_not_begun(desk, monkeypatch):
    cut_once(desk)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=200_000))
    assert failure(desk) == (
        f"{desk.target} needs 200.1 kB more, but {desk.target.parent} has 200.0 kB free; free "
        "some or name another folder with --data-root or CHALLENGER_DATA."
    )
    assert desk.part.stat().st_size == CUT
    # What is thrown away makes room.
    desk.published.etag = '"second"'
    desk.server.always = Reply(ignores_range=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=N - CUT))
    desk.fetch()
    assert desk.target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_said(desk):
    desk.root.write_text("", encoding="utf-8")
    assert failure(desk) == (
        f"{desk.part} must be writable, but is not (Not a directory); free it or name another "
        "folder with --data-root or CHALLENGER_DATA."
    )


def test_a_folder_that_is_read_only_is_said(desk, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert failure(desk) == (
        f"{desk.part} must be writable, but is not (Read-only file system); free it or name "
        "another folder with --data-root or CHALLENGER_DATA."
    )
    assert desk.server.seen == []


def test_the_part_remembers_what_it_is_a_part_of(desk):
    desk.publish(CONTENT, last_modified="Mon, 01 Jan 2024 00:00:00 GMT")
    cut_once(desk)
    memo = desk.part.with_name("numbers.gz.part.json")
    assert json.loads(memo.read_text(encoding="utf-8")) == {
        "url": desk.server.url(PATH),
        "etag": '"first"',
        "last_modified": "Mon, 01 Jan 2024 00:00:00 GMT",
        "size": N,
    }
