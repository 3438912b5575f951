"""The .2bit reader against py2bit, and on files that are damaged."""

import os
import struct

import numpy as np
import py2bit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import GenomeError, genome, open_genome
from tests.genome_files import twobit_bytes

RECORDS = {"chr2": "NNNNACGTTGCANNNacgtnACGTA", "chr1": "G"}


SEQUENCES = st.lists(st.sampled_from(["A", "CG", "gat", "TACA", "NNN", "nNnNn"]), min_size=1, max_size=30).map("".join)


@settings(max_examples=50)
@given(st.lists(SEQUENCES, min_size=1, max_size=3), st.data())
def test_equals_py2bit(tmp_path_factory, sequences, data):
    path = tmp_path_factory.getbasetemp() / "oracle.2bit"
    path.write_bytes(twobit_bytes({f"c{i}": letters for i, letters in enumerate(sequences)}))
    oracle = py2bit.open(str(path))
    with pytest.MonkeyPatch.context() as patch, open_genome(path) as opened:
        patch.setattr(genome, "BLOCK_BP", data.draw(st.sampled_from([1, 2, 5, 7, 16, 100])))
        assert dict(opened.contigs) == oracle.chroms()
        for chrom, length_bp in opened.contigs:
            start = data.draw(st.integers(0, length_bp - 1))
            for span in [(start, length_bp), (0, length_bp)]:
                assert vocab.decode(opened.ids(chrom, *span)) == oracle.sequence(chrom, *span)
    oracle.close()


def refuses(path, data, match):
    path.write_bytes(data)
    with pytest.raises(GenomeError, match=match):
        open_genome(path)


def with_number(data, offset, number):
    return data[:offset] + struct.pack("<I", number) + data[offset + 4 :]


def test_every_truncation_is_refused(tmp_path):
    data = twobit_bytes(RECORDS)
    for num_bytes in range(4, len(data)):
        refuses(tmp_path / "x.2bit", data[:num_bytes], r"x\.2bit: .*truncated or damaged")


def test_damaged_headers_are_refused(tmp_path):
    path, data = tmp_path / "x.2bit", twobit_bytes(RECORDS)
    first = 16 + sum(len(name) + 5 for name in RECORDS)
    refuses(path, with_number(data, 4, 1), "expected .2bit version 0, got 1")
    refuses(path, with_number(data, 8, 0), "expected sequences, got a .2bit file without any")
    refuses(path, with_number(data, 8, 2**31), "expected ")
    refuses(path, with_number(data, 21, 10**9), "the header of sequence 'chr2' at bytes 1,000,000,000")
    refuses(path, with_number(data, first, 0), "expected bases in every sequence, got none in 'chr2'")
    refuses(path, with_number(data, first, 2**32 - 1), "the bases of sequence 'chr2'|runs of N")
    refuses(path, with_number(data, first + 4, 2**32 - 1), "the header of sequence 'chr2'")
    refuses(path, with_number(data, first + 8, 14), "expected ordered runs of N inside sequence 'chr2'")
    refuses(path, twobit_bytes({"a": "ACGT", "b": "ACGT"}).replace(b"\x01b", b"\x01a"), "'a' again")
    for name in ("a\tb", "a b", "a\n", "\0", "\x1b[2J"):
        refuses(path, twobit_bytes({name: "ACGT"}), r"x\.2bit: expected contig names without blanks or control")


def test_any_damage_is_refused_or_gives_bases(tmp_path):
    data = twobit_bytes(RECORDS)
    path = tmp_path / "x.2bit"
    for at in range(4, len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x81]) + data[at + 1 :])
        try:
            with open_genome(path) as opened:
                for chrom, length_bp in opened.contigs:
                    assert np.all(opened.ids(chrom, 0, length_bp) <= vocab.N)
        except GenomeError as error:
            assert "x.2bit" in str(error)


@pytest.mark.parametrize("kept_size", [True, False])
def test_a_file_that_changes_while_open_is_noticed(tmp_path, kept_size, monkeypatch):
    monkeypatch.setattr(genome, "NUM_BLOCKS_KEPT", 0)
    path = tmp_path / "x.2bit"
    path.write_bytes(twobit_bytes(RECORDS))
    with open_genome(path) as opened:
        opened.ids("chr2", 0, 4)
        changed = twobit_bytes(RECORDS | {"chr1": "T"}) + (b"" if kept_size else b"\0")
        path.write_bytes(changed)
        later = path.stat().st_mtime_ns + 1_000_000_000
        os.utime(path, ns=(later, later))
        for read in (lambda: opened.ids("chr2", 0, 4), lambda: opened.survey("chr1")):
            with pytest.raises(GenomeError, match=r"x\.2bit: expected the file to stay as it was .*changed file"):
                read()
