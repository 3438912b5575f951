"""Regions as users write them, and the messages for those that cannot be used."""

import gzip
import os
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.genome import Contig, Interval, merge_intervals, parse_regions

CONTIGS = [Contig("chr2", 2_000_000), Contig("chr1", 50), Contig("chr17:1-1000000", 1_000_000)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("chr2:10-20", ("chr2", 10, 20)),
        ("chr2:1,000-1,000,000", ("chr2", 1000, 1_000_000)),
        ("chr2:0-2000000", ("chr2", 0, 2_000_000)),
        ("chr1", ("chr1", 0, 50)),
        ("chr17:1-1000000", ("chr17:1-1000000", 0, 1_000_000)),
        ("chr17:1-1000000:5-9", ("chr17:1-1000000", 5, 9)),
    ],
)
def test_reads_a_region_from_the_command_line(spec, expected):
    assert parse_regions(spec, CONTIGS) == ((Interval(*expected),), 0)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("chr1:10-51", r"region 'chr1:10-51': expected an end inside chr1 \(50 bases\), got 51"),
        ("chr1:10-10", "region 'chr1:10-10': expected start < end, got 10 and 10"),
        ("chr1:20-10", "expected start < end, got 20 and 10"),
        ("chr1:-5-10", "expected 0 or more, got the negative number -5"),
        ("chr1:a-b", "expected chrom:start-end with whole numbers, got 'a-b' after the colon"),
        ("chr1:5", "expected chrom:start-end with whole numbers, got '5'"),
        ("chr1:1_0-20", "got '1_0-20'"),
        ("chr1:", "got '' after the colon"),
        ("chr3:1-2", "does not have: chr3; contigs in the FASTA: chr2, chr1, chr17:1-1000000$"),
        ("1", "does not have: 1; contigs in the FASTA: chr2, .*names start with 'chr': add it"),
        ("nowhere.bed", "nowhere.bed: expected a BED file, there is no such file"),
        ("nowhere/x", "nowhere/x: expected a BED file, there is no such file"),
        ("", "does not have"),
        ("a\0b", "does not have"),
    ],
)
def test_refuses_a_region_that_is_none(spec, match):
    with pytest.raises(ValueError, match=match):
        parse_regions(spec, CONTIGS)


BED = (
    b"\xef\xbb\xbf#chrom\tstart\tend\r\ntrack name=x\nbrowser position chr1:1-2\n\n"
    b"chr1\t5\t10\tname with words\r\nchr1 8 20\nchr1\t20\t30\n   \nchr2\t7\t9"
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_bed_in_contig_order_and_counts_merged_regions(tmp_path, pack):
    path = tmp_path / "regions.txt"
    path.write_bytes(pack(BED))
    regions = parse_regions(str(path), CONTIGS)
    assert regions.intervals == (("chr2", 7, 9), ("chr1", 5, 30))
    assert regions.num_merged == 2


def test_reads_bed_from_a_named_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(BED,))
    writer.start()
    assert len(parse_regions(str(path), CONTIGS).intervals) == 2
    writer.join()


@pytest.mark.parametrize(
    ("bed", "match"),
    [
        (b"", "expected regions in BED format, got a file without any"),
        (b"# nothing\n\n", "got a file without any"),
        (b"#c\nchr1\t5\n", r"r\.bed, line 2: expected the BED columns chrom, start, end, got 2"),
        (b"chr1\t5\tx\n", r"r\.bed, line 1: expected start and end as whole numbers, got 'x'"),
        (b"chr1\t5\t1,000\n", "whole numbers, got '1,000'"),
        (b"chr1\t5.0\t6\n", "whole numbers, got '5.0'"),
        (b"chr1\t5\t9\nchr1\t-1\t6\n", r"r\.bed, line 2: expected 0 or more, got the negative number -1"),
        (b"chr1\t6\t6\n", "line 1: expected start < end, got 6 and 6"),
        (b"chr1\t6\t51\n", r"line 1: expected an end inside chr1 \(50 bases\), got 51"),
        (
            b"chr1\t1\t2\n" + b"".join(b"u%d\t1\t2\n" % i for i in range(11)),
            "u0, u1, .* u7 and 3 more; contigs in",
        ),
        (gzip.compress(BED, mtime=0)[:-12], r"r\.bed: expected complete gzip data, got an early end"),
        (
            gzip.compress(BED, mtime=0)[:30] + b"\xff" * 9 + gzip.compress(BED, mtime=0)[39:],
            r"r\.bed: expected a readable BED file",
        ),
    ],
)
def test_refuses_bed_and_names_the_line(tmp_path, bed, match):
    path = tmp_path / "r.bed"
    path.write_bytes(bed)
    with pytest.raises(ValueError, match=match):
        parse_regions(str(path), CONTIGS)


def test_hints_at_the_chr_prefix_both_ways():
    with pytest.raises(ValueError, match="contigs in the FASTA: 1; the FASTA's names do not start with 'chr'"):
        parse_regions("chr1:0-5", [Contig("1", 9)])


def test_a_folder_is_no_bed(tmp_path):
    with pytest.raises(ValueError, match="expected a BED file, got a folder"):
        parse_regions(str(tmp_path), CONTIGS)


@given(st.lists(st.tuples(st.sampled_from("ba"), st.integers(0, 30), st.integers(1, 9)), max_size=9))
def test_merged_intervals_cover_the_same_bases_and_leave_gaps(spans):
    intervals = [Interval(chrom, start, start + length_bp) for chrom, start, length_bp in spans]
    merged = merge_intervals(intervals, ["b", "a"])

    def bases(some):
        return [(each.chrom, base) for each in some for base in range(each.start, each.end)]

    assert sorted(set(bases(intervals))) == sorted(bases(merged))
    assert list(merged) == sorted(merged, key=lambda each: ("ba".index(each.chrom), each.start))
    for left, right in pairwise(merged):
        assert left.chrom != right.chrom or left.end < right.start
