"""One file over the wire: what is kept, resumed, tried again, and refused."""

import errno
import json
import re
import shutil
import threading
from collections import namedtuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.data import addresses, transfer
from ldarnet.data.addresses import PassingError, mirrored, open_address
from ldarnet.data.errors import DataError
from ldarnet.data.transfer import MAX_TRIES, download

from .data_server import serving

BODY = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with serving() as state:
        state.files["/x.bin"] = BODY
        yield state


@pytest.fixture
def fetch(server, tmp_path):
    """Fetch /x.bin and give its bytes; `.said` and `.waits` hold what was said and how long was waited."""

    def run(path="/x.bin", **options):
        target = tmp_path / "x.bin"
        download(f"{server.url}{path}", target, say=run.said.append, wait=run.waits.append, **options)
        return target.read_bytes()

    run.said, run.waits, run.folder = [], [], tmp_path
    return run


def cut_once(server, fetch, num_bytes):
    """Leave a part of so many bytes, as a process that was killed does."""
    server.script["/x.bin"] = [("cut", num_bytes), 404]
    with pytest.raises(DataError):
        fetch()
    assert (fetch.folder / "x.bin.part").stat().st_size == num_bytes
    server.asked.clear()
    fetch.said.clear()
    fetch.waits.clear()


def test_a_file_arrives_and_nothing_else_is_left(server, fetch):
    assert fetch() == BODY
    assert [path.name for path in fetch.folder.iterdir()] == ["x.bin"]
    assert (fetch.said, server.ranges_asked()) == ([], [None])


def test_a_truncated_body_is_continued_where_it_ended(server, fetch):
    server.script["/x.bin"] = [("cut", 1000), ("cut", 500)]
    assert fetch() == BODY
    assert server.ranges_asked() == [None, "bytes=1000-", "bytes=1500-"]
    assert "the connection ended after 1,000 of 10,240 bytes; trying again in 1 s" in fetch.said[0]


def test_a_part_of_an_earlier_run_is_continued(server, fetch):
    cut_once(server, fetch, 3000)
    assert fetch() == BODY
    assert server.ranges_asked() == ["bytes=3000-"]


def test_a_changed_file_starts_over(server, fetch):
    cut_once(server, fetch, 3000)
    server.files["/x.bin"] = changed = BODY[::-1]
    assert fetch() == changed
    assert server.ranges_asked() == ["bytes=3000-"]


def test_a_server_without_ranges_starts_over(server, fetch):
    cut_once(server, fetch, 3000)
    server.ranges = False
    assert fetch() == BODY


def test_without_a_validator_nothing_is_continued(server, fetch):
    server.validators = False
    cut_once(server, fetch, 3000)
    assert fetch() == BODY
    assert server.ranges_asked() == [None]


def test_a_part_of_another_address_is_not_continued(server, fetch):
    cut_once(server, fetch, 3000)
    server.files["/y.bin"] = BODY[::-1]
    assert fetch("/y.bin") == BODY[::-1]
    assert server.ranges_asked() == [None]


def test_a_whole_part_only_gets_its_name(server, fetch):
    cut_once(server, fetch, 3000)
    (fetch.folder / "x.bin.part").write_bytes(BODY)
    assert fetch() == BODY
    assert server.asked == []


def test_a_part_longer_than_the_file_is_dropped(server, fetch):
    cut_once(server, fetch, 3000)
    (fetch.folder / "x.bin.part").write_bytes(BODY + b"more")
    assert fetch() == BODY
    assert server.ranges_asked() == [f"bytes={len(BODY) + 4}-", None]
    assert "the part that was kept, which is dropped" in fetch.said[0]


def test_a_part_never_stands_beside_the_note_of_another_file(server, fetch, monkeypatch):
    cut_once(server, fetch, 3000)
    server.files["/x.bin"] = BODY[::-1]

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer._Transfer, "_copy", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch()
    monkeypatch.undo()
    assert fetch() == BODY[::-1]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, len(BODY) - 1), max_size=4))
def test_wherever_it_is_cut_the_same_bytes_come(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("cuts")
    with serving() as server:
        server.files["/x.bin"] = BODY
        server.script["/x.bin"] = [("cut", each) for each in cuts]
        download(f"{server.url}/x.bin", folder / "x", say=lambda _: None, wait=lambda _: None)
    assert (folder / "x").read_bytes() == BODY


def test_a_server_error_is_tried_again_with_longer_and_longer_waits(server, fetch):
    server.script["/x.bin"] = [500, 503, 502]
    assert fetch() == BODY
    assert fetch.waits == [1, 2, 4]
    assert "the server answers 500 Internal Server Error; trying again in 1 s" in fetch.said[0]


def test_it_does_not_give_up_while_bytes_arrive(server, fetch):
    server.script["/x.bin"] = [("cut", 500)] * (2 * MAX_TRIES)
    assert fetch() == BODY
    assert set(fetch.waits) == {1}


def test_it_gives_up_where_the_same_bytes_arrive_again_and_again(server, fetch):
    server.ranges = False
    server.script["/x.bin"] = [("cut", 500)] * (2 * MAX_TRIES)
    with pytest.raises(DataError, match="5 times in a row"):
        fetch()


def test_it_gives_up_in_the_end_and_says_what_is_kept(server, fetch):
    cut_once(server, fetch, 3000)
    server.script["/x.bin"] = [500] * MAX_TRIES
    with pytest.raises(DataError, match=r"/x.bin: the server answers 500.*, 5 times in a row: .*3.0 kB are kept"):
        fetch()
    assert len(fetch.waits) == MAX_TRIES - 1
    assert not (fetch.folder / "x.bin").exists()


def test_a_missing_file_is_not_tried_again(server, fetch):
    with pytest.raises(DataError, match=r"/no.bin: the server answers 404 Not Found; expected a file; it may have"):
        fetch("/no.bin")
    assert (len(server.asked), fetch.waits) == (1, [])


def test_another_size_than_expected_is_refused_before_it_is_fetched(server, fetch):
    with pytest.raises(DataError, match=r"the server has 10,240 bytes, expected 9: the file was changed"):
        fetch(num_bytes=9)
    assert not (fetch.folder / "x.bin.part").exists()


def test_a_redirect_is_followed_and_keeps_the_range(server, fetch):
    server.script["/x.bin"] = [(302, "/moved.bin")] * 2
    server.files["/moved.bin"] = BODY
    server.script["/moved.bin"] = [("cut", 2000)]
    assert fetch() == BODY
    assert server.asked[-1] == ("/moved.bin", "bytes=2000-")


def test_a_redirect_in_a_circle_ends(server, fetch):
    server.script["/x.bin"] = [(302, "/y.bin")] * 99
    server.script["/y.bin"] = [(302, "/x.bin")] * 99
    with pytest.raises(DataError, match=r"/x.bin: redirects in a circle"):
        fetch()
    assert len(server.asked) == 2


def test_endless_redirects_end(server, fetch):
    server.script |= {f"/{i}": [(302, f"/{i + 1}")] for i in range(99)}
    with pytest.raises(DataError, match="more than 10 times"):
        fetch("/0")


@pytest.mark.parametrize("where", ["file:///etc/hosts", "ftp://x/y", "data:,x"])
def test_a_redirect_to_another_scheme_is_refused(server, fetch, where):
    server.script["/x.bin"] = [(302, where)]
    with pytest.raises(DataError, match=rf"/x.bin: redirects to {re.escape(where)}; expected an http:// or https://"):
        fetch()


def test_a_redirect_from_https_to_http_is_refused():
    headers = {"Location": "http://x/y"}
    with pytest.raises(DataError, match="redirects from https to http://x/y, which anybody on the way"):
        addresses._next_address("https://x/y", "https://x/y", headers)


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://x/y", "x.fa", "http:///x"])
def test_only_http_addresses_are_opened(url):
    with pytest.raises(DataError, match="expected an http:// or https:// address"):
        open_address(url)


def test_no_connection_may_pass():
    with pytest.raises(PassingError, match="no connection"):
        open_address("http://127.0.0.1:1/x")


def test_a_server_that_falls_silent_is_asked_again_for_the_rest(server, fetch, monkeypatch):
    monkeypatch.setattr(addresses, "TIMEOUT_S", 0.1)
    server.gate = threading.Event()
    fetch.waits = type("Waits", (list,), {"append": lambda self, _: server.gate.set()})()
    assert fetch() == BODY
    assert server.ranges_asked() == [None, f"bytes={len(BODY) // 2}-"]
    assert "no answer in time; trying again in 1 s" in fetch.said[0]


def test_a_full_disk_is_seen_before_anything_is_written(fetch, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 5000))
    with pytest.raises(DataError, match=r"/x.bin: needs 10.2 kB, free are 5.0 kB in .*: make room, or choose"):
        fetch()
    assert not (fetch.folder / "x.bin.part").exists()


def test_a_part_counts_for_the_room_that_is_needed(server, fetch, monkeypatch):
    cut_once(server, fetch, 9000)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 5000))
    assert fetch() == BODY


def test_a_disk_that_fills_up_meanwhile_says_so(fetch, monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    real = transfer._Transfer._write
    monkeypatch.setattr(transfer._Transfer, "_write", lambda self, file, block: real(self, Full(), block))
    with pytest.raises(DataError, match=r"/x.bin: the disk is full after 0 B in .*: make room, and the same command"):
        fetch()


def test_a_broken_note_is_no_note(server, fetch):
    cut_once(server, fetch, 3000)
    (fetch.folder / "x.bin.part.json").write_text(json.dumps([1]))
    assert fetch() == BODY
    assert server.ranges_asked() == [None]


def test_a_mirror_has_the_hosts_as_folders():
    assert mirrored("https://a.org/b/c?d=1", "http://m/x/") == "http://m/x/a.org/b/c?d=1"
    assert mirrored("https://a.org/b", None) == "https://a.org/b"
    with pytest.raises(DataError, match="ftp://m: expected an http:// or https:// address"):
        mirrored("https://a.org/b", "ftp://m")
