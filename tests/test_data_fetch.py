"""Whole entries into the cache: verified, prepared, fetched once, and going on after a kill."""

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from ldarnet.data.cache import kept_names, read_receipt
from ldarnet.data.errors import DataError
from ldarnet.data.fetch import Fetching, get, verify
from ldarnet.genome import indexed, open_genome
from ldarnet.genome.streams import is_bgzf
from ldarnet.manifests import Checkpoint, Contig, Download, Genome, HubFiles, Located

from .data_server import serving

FASTA = b">chrA one\nACGTACGTNN\nacgt\n>chrB\nTTTT\n"
COMMON = {"description": "d", "licence": "CC0", "citation": "c", "checked": False}
BED = b"chrA\t0\t4\n"


def md5(data):
    return hashlib.md5(data).hexdigest()


def genome(**changes):
    values = {"name": "tiny", "url": "https://pub.org/g/tiny.fa.gz", "assembly": "T1", "accession": "GCA_1"}
    return Genome(**{**COMMON, **values, **changes})


LISTED = {"checksums": "https://pub.org/g/md5sum.txt", "checksum_format": "md5sum"}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with serving() as state:
        state.files["/pub.org/g/tiny.fa.gz"] = packed = gzip.compress(FASTA)
        state.files["/pub.org/g/md5sum.txt"] = f"{md5(packed)}  tiny.fa.gz\n{md5(b'')}  other.gz\n".encode()
        state.files["/pub.org/x.bed"] = BED
        yield state


@pytest.fixture
def how(server, tmp_path):
    def ready(**changes):
        return Fetching(
            root=tmp_path / "cache", say=ready.said.append, mirror=server.url, wait=lambda _: None, **changes
        )

    ready.said = []
    return ready


def bed(**changes):
    values = {"name": "x", "url": "https://pub.org/x.bed", "assembly": "T1", "family": "f"}
    return Located(**{**COMMON, "coordinates": "0-based half-open", **values, **changes})


def test_a_genome_comes_verified_as_bgzip_with_its_index(server, how, tmp_path, monkeypatch):
    monkeypatch.setattr(indexed, "KEPT_FROM_BYTES", 0)
    receipt = get(genome(**LISTED), how())
    path = tmp_path / "cache/data/tiny" / receipt.main
    assert is_bgzf(path.read_bytes()[:64])
    assert gzip.decompress(path.read_bytes()) == FASTA
    assert list((tmp_path / "cache/fai").iterdir())
    with open_genome(path, cache_dir=tmp_path / "cache/fai") as opened:
        assert (opened.notes, opened.contigs) == ((), (("chrA", 14), ("chrB", 4)))
    assert receipt.verified == (
        f"md5 {md5(server.files['/pub.org/g/tiny.fa.gz'])} as in {server.url}/pub.org/g/md5sum.txt",
    )
    assert receipt.urls == ("https://pub.org/g/tiny.fa.gz",)
    assert sorted(each.name for each in path.parent.iterdir()) == ["receipt.json", "tiny.fa.gz"]


def test_what_is_there_is_not_fetched_again(server, how):
    first = get(bed(), how())
    server.asked.clear()
    assert get(bed(), how()) == first
    assert server.asked == []
    assert "x: here since " in how.said[-1]
    get(bed(), how(again=True))
    assert len(server.asked) == 1


def test_what_is_whole_stays_until_the_new_one_is(server, how, tmp_path):
    first = get(bed(), how())
    body = server.files.pop("/pub.org/x.bed")
    with pytest.raises(DataError, match="404"):
        get(bed(), how(again=True))
    assert read_receipt(tmp_path / "cache", "x") == first
    assert verify(tmp_path / "cache", "x") == []
    server.files["/pub.org/x.bed"] = body + body
    assert get(bed(), how(again=True)).files[0].num_bytes == 2 * len(body)
    assert kept_names(tmp_path / "cache") == ["x"]
    assert sorted(path.name for path in (tmp_path / "cache/data").iterdir() if path.is_dir()) == ["x"]


def test_parts_of_a_new_copy_are_kept_for_the_next_try(server, how, tmp_path):
    first = get(bed(), how())
    server.files["/pub.org/x.bed"] = body = BED * 200
    server.script["/pub.org/x.bed"] = [("cut", 300), 404]
    with pytest.raises(DataError):
        get(bed(), how(again=True))
    assert read_receipt(tmp_path / "cache", "x") == first and verify(tmp_path / "cache", "x") == []
    server.script.clear()
    server.asked.clear()
    assert get(bed(), how(again=True)).files[0].num_bytes == len(body)
    assert server.ranges_asked()[0] is not None, "it went on where it was"


def test_another_address_in_the_manifest_is_fetched(server, how):
    get(bed(), how())
    server.files["/pub.org/v2.bed"] = b"chrA\t1\t2\n"
    assert get(bed(url="https://pub.org/v2.bed"), how()).main == "v2.bed"


def test_a_file_that_is_not_the_one_listed_is_removed(server, how, tmp_path):
    server.files["/pub.org/g/tiny.fa.gz"] = gzip.compress(FASTA.lower())
    with pytest.raises(DataError, match=r"/pub.org/g/tiny.fa.gz: md5 is \w+, expected \w+ \(http.*md5sum.txt\)"):
        get(genome(**LISTED), how())
    assert list((tmp_path / "cache/data/tiny").iterdir()) == []
    assert read_receipt(tmp_path / "cache", "tiny") is None


def test_size_and_sha256_of_the_manifest_come_first(server, how):
    known = {
        "checked": True,
        "checked_on": "2026-01-01",
        "num_bytes": len(BED),
        "sha256": hashlib.sha256(BED).hexdigest(),
    }
    assert "as in the manifest of ldarnet" in get(bed(**known), how()).verified[0]
    with pytest.raises(DataError, match=r"sha256 is .*, expected 0+ \(the manifest of ldarnet\)"):
        get(bed(**known | {"sha256": "0" * 64, "name": "y"}), how())


def test_a_list_that_cannot_be_had_stops_unless_told_otherwise(server, how):
    del server.files["/pub.org/g/md5sum.txt"]
    with pytest.raises(DataError, match=r"md5sum.txt: the server answers 404") as caught:
        get(genome(**LISTED), how())
    assert caught.value.__notes__ == ["tiny: its checksum cannot be had; --unverified goes on without it"]
    receipt = get(genome(**LISTED), how(unverified=True))
    assert "held against nothing" in receipt.verified[0]
    assert any("no checksum of the publisher could be had; compare sha256" in said for said in how.said)


def test_unverified_does_not_excuse_a_wrong_checksum(server, how):
    server.files["/pub.org/g/md5sum.txt"] = f"{md5(b'')}  tiny.fa.gz\n".encode()
    with pytest.raises(DataError, match=r"md5 is"):
        get(genome(**LISTED), how(unverified=True))


def test_damaged_gzip_is_seen_without_a_checksum(server, how, tmp_path):
    server.files["/pub.org/x.gtf.gz"] = gzip.compress(bytes(1000))[:-6]
    with pytest.raises(DataError, match=r"x.gtf.gz: damaged gzip data .*: the file is removed, fetch it again"):
        get(bed(url="https://pub.org/x.gtf.gz"), how())
    server.files["/pub.org/g/tiny.fa.gz"] = gzip.compress(FASTA)[:-6]
    with pytest.raises(DataError, match=r"tiny.fa.gz: damaged gzip data"):
        get(genome(), how())
    assert list((tmp_path / "cache/data/tiny").iterdir()) == []


def test_a_page_instead_of_packed_data_is_refused(server, how, tmp_path):
    server.files["/pub.org/x.gtf.gz"] = b"<html>log in first</html>"
    with pytest.raises(DataError, match=r"x.gtf.gz: expected gzip data, got b'<html>"):
        get(bed(url="https://pub.org/x.gtf.gz"), how())
    assert read_receipt(tmp_path / "cache", "x") is None


def test_a_page_instead_of_a_genome_is_refused(server, how):
    server.files["/pub.org/g/tiny.fa.gz"] = b"<html>sorry</html>"
    with pytest.raises(ValueError, match=r"tiny.fa.gz"):
        get(genome(), how())


def test_the_contigs_of_the_manifest_are_held_against_the_bases(how):
    good = (Contig("chrA", 14, md5(b"ACGTACGTNNACGT")), Contig("chrB", 4, md5(b"TTTT")))
    assert get(genome(contigs=good), how()).main == "tiny.fa.gz"
    assert get(genome(contigs=good[::-1]), how(again=True)).main == "tiny.fa.gz"  # whatever their order
    for bad in (good[:1], (good[0], Contig("chrB", 4, md5(b"TTTA")))):
        with pytest.raises(DataError, match=r"tiny.fa.gz: not the contigs of tiny in the manifest: "):
            get(genome(contigs=bad), how(again=True))


def test_an_archive_is_kept_unpacked(server, how, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("set/train.csv", "a,b")
        archive.writestr("set/test.csv", "a")
    server.files["/pub.org/set.zip"] = buffer.getvalue()
    receipt = get(Download(**COMMON, name="set", url="https://pub.org/set.zip", unpack=True), how())
    assert (receipt.main, [file.path for file in receipt.files]) == (
        "files",
        ["files/set/test.csv", "files/set/train.csv"],
    )
    assert not (tmp_path / "cache/data/set/set.zip").exists()


def hub(server, files, **changes):
    """Put files of a hub's repository on the server: large ones have a SHA-256, small ones git's SHA-1."""
    rows = [{"type": "directory", "path": "data"}]
    for path, body in files.items():
        git = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        large = {"lfs": {"oid": hashlib.sha256(body).hexdigest()}} if path.endswith(".pt") else {}
        rows.append({"type": "file", "path": path, "size": len(body), "oid": git, **large, **changes})
        server.files[f"/huggingface.co/datasets/o/n/resolve/main/{path}"] = body
        server.files[f"/huggingface.co/o/n/resolve/main/{path}"] = body
    for kind in ("models", "datasets"):
        server.files[f"/huggingface.co/api/{kind}/o/n/tree/main"] = json.dumps(rows).encode()


def test_files_of_the_hub_are_held_against_its_list(server, how, tmp_path):
    hub(server, {"data/a.csv": b"1", "data/b.csv": b"22", "README.md": b"r", "model.pt": b"weights"})
    entry = HubFiles(**COMMON, name="set", hub_id="o/n", hub_kind="datasets", files=("*.csv",))
    receipt = get(entry, how())
    assert (receipt.main, [file.path for file in receipt.files]) == (".", ["data/a.csv", "data/b.csv"])
    assert receipt.verified[0].startswith("git-sha1 ")
    weights = get(Checkpoint(**COMMON, name="w", hub_id="o/n", file="model.pt", code_licence="MIT"), how())
    assert weights.main == "model.pt"
    assert weights.verified[0].startswith("sha256 ")
    server.files["/huggingface.co/datasets/o/n/resolve/main/data/a.csv"] = b"2"
    with pytest.raises(DataError, match=r"a.csv: git-sha1 is"):
        get(entry, how(again=True))


@pytest.mark.parametrize("path", ["../x.csv", "/x.csv", "a/../../x.csv"])
def test_a_path_of_the_hub_that_leads_out_is_refused(server, how, path):
    hub(server, {path: b"1"})
    with pytest.raises(DataError, match=r"is no name of a file inside a folder, so it is not fetched"):
        get(HubFiles(**COMMON, name="set", hub_id="o/n", hub_kind="datasets", files=("*.csv",)), how())


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (b"<html>", "expected the hub's list of files, got something else"),
        (b'{"error": 1}', "expected the hub's list of files, got something else"),
        (b"[]", "expected files like [*].csv for set, found none of 0 files"),
    ],
)
def test_a_list_of_the_hub_that_is_none(server, how, listing, message):
    server.files["/huggingface.co/api/datasets/o/n/tree/main"] = listing
    with pytest.raises(DataError, match=message):
        get(HubFiles(**COMMON, name="set", hub_id="o/n", hub_kind="datasets", files=("*.csv",)), how())


def test_verify_names_what_was_changed_and_what_is_missing(how, tmp_path):
    root = tmp_path / "cache"
    get(bed(), how())
    assert verify(root, "x") == []
    (root / "data/x/x.bed").write_bytes(BED[::-1])
    assert "x.bed: sha256 is" in verify(root, "x")[0]
    assert "run ldarnet data get --again x" in verify(root, "x")[0]
    (root / "data/x/x.bed").unlink()
    assert verify(root, "x") == [f"x: not whole in {root / 'data/x'}: run ldarnet data get x"]


@pytest.mark.parametrize("text", ["", "[]", '{"files": [1]}', '{"name": "x", "files": []}'])
def test_a_broken_receipt_is_none(how, tmp_path, text):
    get(bed(), how())
    (tmp_path / "cache/data/x/receipt.json").write_text(text)
    assert read_receipt(tmp_path / "cache", "x") is None
    assert get(bed(), how()).main == "x.bed"


def test_a_cache_folder_that_cannot_be_made(how, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cannot make the cache folder .*: choose another one with --cache"):
        get(bed(), how())


PROCESS = """
import sys
from pathlib import Path
from ldarnet.data.fetch import Fetching, get
from ldarnet.manifests import Located
entry = Located(name="x", url="https://pub.org/x.bed", assembly="T1", family="f", coordinates="0-based half-open",
                description="d", licence="CC0", citation="c", checked=False)
say = lambda text: print(text, flush=True)
get(entry, Fetching(root=Path(sys.argv[1]), say=say, mirror=sys.argv[2]))
"""


def spawn(root, server):
    return subprocess.Popen([sys.executable, "-c", PROCESS, root, server.url], stdout=subprocess.PIPE, text=True)


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_processes_fetch_a_file_once(server, tmp_path):
    server.gate = threading.Event()
    first = spawn(tmp_path, server)
    until(lambda: server.asked)
    second = spawn(tmp_path, server)
    assert second.stdout.readline() == "x: another process is fetching it; waiting for that\n"
    server.gate.set()
    said = second.communicate()[0]
    assert (first.wait(), second.returncode) == (0, 0)
    first.stdout.close()
    assert "x: here since " in said
    assert len(server.asked) == 1


def test_a_killed_process_is_continued_by_the_next(server, how, tmp_path):
    server.files["/pub.org/x.bed"] = body = BED * 5000
    server.gate = threading.Event()
    part = tmp_path / "cache/data/x/x.bed.part"
    with spawn(tmp_path / "cache", server) as process:
        until(lambda: part.exists() and part.stat().st_size == len(body) // 2)
        os.kill(process.pid, signal.SIGKILL)
    server.gate.set()
    assert read_receipt(tmp_path / "cache", "x") is None
    get(bed(), how())
    assert server.ranges_asked() == [None, f"bytes={len(body) // 2}-"]
    assert (tmp_path / "cache/data/x/x.bed").read_bytes() == body
