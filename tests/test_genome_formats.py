"""The same genome in every format gives the same bases, however it is read."""

import gzip
import io
import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import Genome, GenomeError, genome, open_genome, spool, streams
from tests.genome_files import gzip_bytes, twobit_bytes, write_bgzf

RECORDS = {"chr2": "acgtNNNNACGTTGCATGCA" * 60 + "N", "chr1:1-9": "NNGATTACA", "M": "T"}
FORMATS = ["plain", "crlf", "bgzip", "gzip", "uneven", "uneven bgzip", "2bit", "2bit big-endian"]


def fasta(records, width=50, end="\n"):
    lines = []
    for name, letters in records.items():
        lines += [f">{name} words", *(letters[i : i + width] for i in range(0, len(letters), width))]
    return (end.join(lines) + end).encode()


def write(path, kind, records=RECORDS):
    even = fasta(records)
    uneven = even.replace(b"\n", b"\n\n", 3)
    if kind.endswith("bgzip"):
        write_bgzf(path, uneven if "uneven" in kind else even, block_bytes=97)
    else:
        data = {
            "plain": even,
            "crlf": fasta(records, end="\r\n"),
            "gzip": gzip_bytes(even[:100]) + gzip_bytes(even[100:]),
            "uneven": uneven,
            "2bit": twobit_bytes(records),
            "2bit big-endian": twobit_bytes(records, ">"),
        }
        path.write_bytes(data[kind])
    return path


def assert_is(genome: Genome, records):
    assert [(contig.name, contig.length_bp) for contig in genome.contigs] == [
        (name, len(letters)) for name, letters in records.items()
    ]
    for name, letters in records.items():
        assert np.array_equal(genome.ids(name, 0, len(letters)), vocab.encode(letters))


@pytest.mark.parametrize("kind", FORMATS)
def test_all_formats_hold_the_same_genome(tmp_path, kind):
    with (
        open_genome(write(tmp_path / "plain", "plain")) as plain,
        open_genome(write(tmp_path / "x", kind)) as other,
    ):
        assert_is(plain, RECORDS)
        assert_is(other, RECORDS)
        assert other.name == "x"
        for contig in plain.contigs:
            expected, got = plain.survey(contig.name), other.survey(contig.name)
            assert got[:3] == expected[:3]
            assert np.array_equal(got.n_runs, expected.n_runs)
            assert got.num_n_bp == RECORDS[contig.name].upper().count("N")
    assert len(other.notes) == (kind in ("gzip", "uneven", "uneven bgzip"))


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=60)
@given(spans=st.lists(st.tuples(st.integers(0, 1201), st.integers(0, 1201)).map(sorted), min_size=1, max_size=8))
def test_any_stretch_is_a_slice_of_the_whole(tmp_path_factory, kind, spans):
    path = tmp_path_factory.getbasetemp() / f"slices.{kind}"
    if not path.exists():
        write(path, kind)
    letters = RECORDS["chr2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(genome, "BLOCK_BP", 64)
        patch.setattr(genome, "NUM_BLOCKS_KEPT", 3)
        patch.setattr(streams, "BLOCK_BYTES", 70)
        with open_genome(path) as opened:
            for start, end in spans:
                ids = opened.ids("chr2", start, end)
                assert np.array_equal(ids, vocab.encode(letters[start:end]))
                ids[:] = vocab.PAD  # what the caller does with the ids is never seen by the next


@pytest.mark.parametrize("pack", [bytes, gzip_bytes])
def test_reads_standard_input(monkeypatch, pack):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(pack(fasta(RECORDS)))))
    with open_genome("-") as opened:
        assert opened.name == "stdin"
        assert_is(opened, RECORDS)


@pytest.mark.parametrize("pack", [bytes, gzip_bytes])
def test_reads_a_named_pipe(tmp_path, pack):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def trickle():
        with path.open("wb", buffering=0) as pipe:
            for byte in pack(fasta(RECORDS)):
                pipe.write(bytes([byte]))

    writer = threading.Thread(target=trickle)
    writer.start()
    with open_genome(path) as opened:
        assert_is(opened, RECORDS)
    writer.join()


def test_the_head_of_a_pipe_is_complete_however_it_comes():
    class Trickle(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 1))

    data = bytes(range(40))
    pipe = Trickle(data)
    head = streams.read_head(pipe)
    assert head == data[: streams.HEAD_BYTES]
    assert b"".join(streams.stream_blocks(pipe, head, "pipe")) == data
    assert streams.read_head(Trickle(b">a")) == b">a"


def test_asking_outside_the_genome_is_refused(tmp_path):
    with open_genome(write(tmp_path / "x.fa", "plain")) as opened:
        with pytest.raises(GenomeError, match=r"x\.fa: no contig 'chr3'; the contigs are chr2, chr1:1-9, M$"):
            opened.ids("chr3", 0, 1)
        with pytest.raises(GenomeError, match="no contig 'chr3'"):
            opened.survey("chr3")
        for start, end in [(-1, 3), (3, 2), (0, 10)]:
            with pytest.raises(GenomeError, match=rf"<= 9 in chr1:1-9, got {start}\.\.{end}"):
                opened.ids("chr1:1-9", start, end)
        assert opened.ids("M", 1, 1).size == 0


@pytest.mark.parametrize("kind", FORMATS)
def test_a_closed_genome_reads_nothing(tmp_path, kind):
    with open_genome(write(tmp_path / "x", kind)) as opened:
        opened.ids("M", 0, 1)
    opened.close()
    with pytest.raises(ValueError, match="closed file"):
        opened.ids("M", 0, 1)


def test_missing_files_folders_and_locked_files(tmp_path, monkeypatch):
    with pytest.raises(GenomeError, match=r"no\.fa: expected a genome file, there is no such file"):
        open_genome(tmp_path / "no.fa")
    with pytest.raises(GenomeError, match="expected a genome file, got a folder"):
        open_genome(tmp_path)

    def locked(*_args, **_named):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.open", locked)
    with pytest.raises(GenomeError, match=r"x\.fa: expected a readable file, got no permission"):
        open_genome(tmp_path / "x.fa")


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzip"])
@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", r"x\.fa: expected FASTA records, got an empty file"),
        (b"@read\nACGT\n+\nIIII\n", r"x\.fa, line 1: .*FASTQ"),
        (b">a\nACGT\nACEF\n", r"x\.fa, line 3, record 'a': .*protein"),
        (b">a\nAC\n>a\nAC\n", r"x\.fa, line 3: .*'a' again"),
        (b">a\nAC\nACGT\nAC\n>b\nAC-\n", r"x\.fa, line 6, record 'b': .*alignment"),
    ],
)
def test_refusals_are_the_same_in_every_packing(tmp_path, kind, data, match):
    path = tmp_path / "x.fa"
    if kind == "bgzip":
        write_bgzf(path, data)
    else:
        path.write_bytes(gzip_bytes(data) if kind == "gzip" else data)
    with pytest.raises(GenomeError, match=match):
        open_genome(path)


def damaged(data, at):
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@pytest.mark.parametrize("at", [2, 20, 60, -6, -2])
def test_damaged_gzip_is_refused(tmp_path, at):
    path = tmp_path / "x.fa.gz"
    data = gzip_bytes(fasta(RECORDS))
    path.write_bytes(damaged(data, at % len(data)))
    with pytest.raises(GenomeError, match=r"x\.fa\.gz"):
        open_genome(path)


@pytest.mark.parametrize("num_bytes_kept", [0.3, 0.9, -1, -9])
def test_truncated_gzip_is_refused(tmp_path, num_bytes_kept):
    path = tmp_path / "x.fa.gz"
    data = gzip_bytes(fasta(RECORDS))
    path.write_bytes(data[: int(num_bytes_kept * len(data)) if num_bytes_kept > 0 else num_bytes_kept])
    with pytest.raises(GenomeError, match=r"x\.fa\.gz: expected complete gzip data, got an early end"):
        open_genome(path)


def test_truncated_and_damaged_bgzip_is_refused(tmp_path):
    path = write(tmp_path / "x.fa.gz", "bgzip")
    data = path.read_bytes()
    path.write_bytes(data[:-28])  # ends between two blocks: plain gzip would not notice
    with pytest.raises(GenomeError, match=r"x\.fa\.gz: expected a bgzip end marker .*truncated download"):
        open_genome(path)
    for at in range(16, len(data) - 28, 41):
        path.write_bytes(damaged(data, at))
        try:
            with open_genome(path) as opened:
                assert_is(opened, RECORDS)  # a header byte without a meaning
        except GenomeError as error:
            assert "x.fa.gz: expected bgzip data, got damaged data" in str(error)


def test_a_full_disk_names_the_temporary_folder(tmp_path, monkeypatch):
    path = write(tmp_path / "x.fa.gz", "gzip")
    full = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115, PTH123 - closed by the genome
    monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda **_: full)
    monkeypatch.setattr(spool.tempfile, "gettempdir", lambda: "/small")
    with pytest.raises(GenomeError, match=r"^/small: expected room for a temporary copy .* set TMPDIR"):
        open_genome(path)
    assert full.closed


def test_a_disk_that_takes_part_of_a_write_loses_nothing(tmp_path, monkeypatch):
    class Reluctant(io.FileIO):
        def write(self, data):
            return super().write(data[: 1 + len(data) // 2])

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda **_: Reluctant(tmp_path / "copy", "w+"))
    with open_genome(write(tmp_path / "x.fa.gz", "gzip")) as opened:
        assert_is(opened, RECORDS)


def test_forked_processes_share_a_genome(tmp_path):
    letters = "".join(np.random.default_rng(0).choice(list("ACGT"), 3_000_000))
    write_bgzf(tmp_path / "x", fasta({"a": letters}, 60))
    expected = vocab.encode(letters)
    with open_genome(tmp_path / "x") as opened:
        children = []
        for seed in range(3):
            child = os.fork()
            if not child:
                starts = np.random.default_rng(seed).integers(0, 2_990_000, 30).tolist()
                right = all(
                    np.array_equal(opened.ids("a", start, start + 9000), expected[start : start + 9000])
                    for start in starts
                )
                os._exit(0 if right else 1)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]


def test_the_gzip_note_says_what_to_do(tmp_path):
    with open_genome(write(tmp_path / "x.fa.gz", "gzip")) as opened:
        assert opened.notes == (
            "x.fa.gz is plain gzip: read through once into a temporary copy; compress it with bgzip for random access",
        )
    assert gzip.decompress((tmp_path / "x.fa.gz").read_bytes()) == fasta(RECORDS)
