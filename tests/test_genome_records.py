"""The FASTA parser against a slow one that is obviously right, and every refusal it can make."""

import hashlib
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import GenomeError
from ldarnet.genome.records import MAX_HEADER_BYTES, read_records

LETTERS = "ACGTUNRYXacgtun"
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=6)
LINE_ENDS = ["\n", "\r\n", "\r"]


@st.composite
def fasta_texts(draw):
    """FASTA as bytes, with everything that is accepted: any line ends, widths, blanks, blank lines."""
    text = draw(st.sampled_from(["", "\n", " \r\n"]))
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        ends = st.sampled_from(draw(st.sampled_from([LINE_ENDS, ["\n"], ["\r\n"], ["\r"]])))
        text += ">" + name + draw(st.sampled_from(["", " some words", "\t>x"])) + draw(ends)
        lines = draw(st.lists(st.text(LETTERS, max_size=9), min_size=1, max_size=5))
        for line in [*lines, draw(st.text(LETTERS, min_size=1, max_size=5))]:
            text += line + draw(st.sampled_from(["", "", " ", "\t "])) + draw(ends)
    return (text.rstrip("\r\n") if draw(st.booleans()) else text).encode()


@st.composite
def even_fasta_texts(draw):
    """FASTA as bytes whose lines all have the same length, but for the last of each record."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r", " \n"]))
    text = ""
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        width = draw(st.integers(1, 9))
        letters = draw(st.text(LETTERS, min_size=1, max_size=40))
        lines = [letters[i : i + width] for i in range(0, len(letters), width)]
        text += ">" + name + "\n" + end.join(lines) + draw(st.sampled_from(["\n", "\r\n", "\n\n \n"]))
    return text.encode()


def split_lines(text):
    return re.split("\r\n|\r|\n", text)


def parse_slowly(data):
    records = {}
    for line in split_lines(data.decode()):
        if line.startswith(">"):
            name = line[1:].split()[0]
            records[name] = ""
        elif line.strip():
            records[name] += line.strip().upper()
    return records


def blocks_of(data, size):
    return (data[i : i + size] for i in range(0, len(data), size))


def fails(data, match, size=1 << 18):
    with pytest.raises(GenomeError, match=match):
        list(read_records(blocks_of(data, size), "x.fa"))


@given(fasta_texts() | even_fasta_texts(), st.integers(1, 30))
def test_equals_the_slow_parser_wherever_blocks_end(data, size):
    ids = bytearray()
    records = list(read_records(blocks_of(data, size), "x.fa", ids.extend))
    expected = parse_slowly(data)
    assert [(record.name, record.length_bp) for record in records] == [
        (name, len(letters)) for name, letters in expected.items()
    ]
    assert bytes(ids) == vocab.encode("".join(expected.values())).tobytes()
    for record, letters in zip(records, expected.values(), strict=True):
        is_n = vocab.encode(letters) == vocab.N
        covered = np.zeros(len(letters), dtype=bool)
        for start, end in record.survey.n_runs:
            covered[start:end] = True
        assert np.array_equal(covered, is_n)
        runs = record.survey.n_runs
        assert (runs[1:, 0] > runs[:-1, 1]).all(), "runs are maximal"
        assert record.survey.num_n_bp == letters.count("N")
        assert record.survey.num_iupac_bp == is_n.sum() - letters.count("N")
        assert record.survey.md5 == hashlib.md5(letters.encode()).hexdigest()


@given(fasta_texts(), st.integers(1, 30))
def test_a_layout_finds_every_base(data, size):
    for record, letters in zip(read_records(blocks_of(data, size), "x.fa"), parse_slowly(data).values(), strict=True):
        if record.layout:
            found = bytes(data[record.layout.byte_of(i)] for i in range(record.length_bp))
            assert found.decode().upper() == letters


@given(even_fasta_texts(), st.integers(1, 30))
def test_even_lines_have_a_layout(data, size):
    for record, letters in zip(read_records(blocks_of(data, size), "x.fa"), parse_slowly(data).values(), strict=True):
        assert record.layout is not None
        assert bytes(data[record.layout.byte_of(i)] for i in range(len(letters))).decode().upper() == letters


@pytest.mark.parametrize(
    "sequence",
    [
        b"ACGT\nAC\nACGT\n",
        b"ACGT\nACGTACGT\n",
        b"ACGT\n\nACGT\nAC\n",
        b"ACGT \nACGT\nACGT\n",
        b"ACGT\nACGT\r\nACGT",
        b"ACGT\nAC GT\nAC",
    ],
)
def test_uneven_lines_have_none(sequence):
    for size in range(1, 30):
        (record,) = read_records(blocks_of(b">a\n" + sequence, size), "x.fa")
        assert record.layout is None


@given(fasta_texts(), st.sampled_from("EFILPQ-.*1>"), st.integers(1, 30), st.data())
def test_names_the_line_of_a_foreign_letter(data, letter, size, draw):
    text = data.decode()
    lines = [match for match in re.finditer(r"[^\r\n]+", text) if match[0].strip() and match[0][0] != ">"]
    places = [at for match in lines for at in range(match.start() + 1, match.end() + 1)]
    at = draw.draw(st.sampled_from(places))
    broken = text[:at] + letter + text[at:]
    line = len(split_lines(text[:at]))
    fails(broken.encode(), rf"^x\.fa, line {line}, record .*got '{re.escape(letter)}'", size)


def test_a_line_end_split_between_blocks_is_one():
    for size in range(1, 16):
        fails(b">a\r\nAC\r\nG-T\r\n", "line 3, record 'a'", size)


def test_a_byte_order_mark_is_no_base():
    (record,) = read_records([b"\xef\xbb\xbf>a\nACGT\nAC\n"], "x.fa")
    assert (record.name, record.length_bp) == ("a", 6)
    assert record.layout == (6, 4, 5)


def test_a_name_may_follow_a_blank():
    assert [record.name for record in read_records([b"> 4214020\nACGT\n"], "x.fa")] == ["4214020"]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", r"x\.fa: expected FASTA records, got an empty file"),
        (b"\n \r\n", "got an empty file"),
        (b"\nACGT\n", r"x\.fa, line 2: expected a FASTA header starting with '>', got 'ACGT'"),
        (b";comment\n>a\nACGT\n", "line 1: expected a FASTA header .* got ';comment'"),
        (b"@read\nACGT\n+\nIIII\n", "line 1: .* looks like FASTQ"),
        (b"\x00\x01\x02", "line 1: .* got binary data"),
        (b"\xff\xfe>\x00a\x00", "line 1: .* got binary data"),
        (b"\x0b", "line 1: .* got "),
        (b"BZh91AY", "got bzip2 data: unpack it"),
        (b"PK\x03\x04..", "got a zip archive"),
        (b"\x1f\x8b\x08\x00", "gzip data inside gzip data"),
        (b"BAM\x01", "got a BAM file"),
        (b"\x43\x27\x41\x1a\x00", "2bit file through a pipe"),
        (
            b">a\n>b\nACGT\n",
            r"x\.fa, line 1: expected a sequence under every header, got none for record 'a'",
        ),
        (b">a\nACGT\n>b\n", "line 3: .* got none for record 'b'"),
        (b">a\nACGT\n>b", "line 3: .* got none for record 'b'"),
        (
            b">a\nACGT\n\n>b\nAC\n>a x\nAC\n",
            r"line 6: expected every record name once, got 'a' again \(first on line 1",
        ),
        (b">a\nACGT\n>\nACGT\n", "line 3: expected a record name after '>', got none"),
        (b">a\nACGT\n> \t\nACGT\n", "line 3: expected a record name after '>', got none"),
        (b">a\nACGT\n>b\x00c\nACGT\n", r"line 3: expected contig names without blanks or control .* got 'b\\x00c'"),
        (b">a\x1b[2J x\nACGT\n", r"line 1: expected contig names without blanks or control"),
        (b">a\xc2\xa0b x\nACGT\n", r"line 1: expected contig names without blanks or control .* got 'a\\xa0b'"),
        (b" \t>a\nACGT\n", "line 1: expected a FASTA header starting with '>', got blanks before it: remove them"),
        (b"\n\n >a\nACGT\n", "line 3: expected a FASTA header starting with '>', got blanks before it"),
        (b">a\nACGT\nMKVLAT\n", "line 3, record 'a': .* got 'L': is this a protein"),
        (b">a\nAC\r\nG-T\r\n", "line 3, record 'a': .* got '-': is this an alignment"),
        (b">a\nACGT>b\nACGT\n", "line 2, record 'a': .* got '>' inside a line"),
        (b">a\nACGT\n+\nIIII\n", r"line 3, record 'a': .* got '\+': is this FASTQ"),
        (b">a\nAC\x00GT\n", "line 2, record 'a': .* got the byte 0x00"),
        (b">a\nAC\xc3\xa9GT\n", "line 2, record 'a': .* got the byte 0xc3"),
    ],
)
def test_refusals_name_the_place(data, match):
    fails(data, match)
    for size in (1, 2, 3):
        fails(data, r"^x\.fa[:,]", size)


def test_a_file_that_is_one_long_header_is_refused():
    fails(b">" + b"a" * (MAX_HEADER_BYTES + 1), "line 1: expected a header of at most")


def test_memory_stays_flat_in_a_long_contig():
    line = b"ACGTNACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTAC\n"
    block = line.replace(b"N", b"A") * 4000
    num_blocks = 80
    tracemalloc.start()
    try:
        (record,) = read_records((b">a\n" if i == 0 else block for i in range(num_blocks + 1)), "x.fa")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert record.length_bp == num_blocks * 4000 * (len(line) - 1)
    assert peak_bytes < 3_000_000
