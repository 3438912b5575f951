"""bedGraph and BED line by line, against implementations that go base by base."""

import itertools
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.genome.intervals import Contig
from ldarnet.tracks import open_writer, round_values, writer
from ldarnet.tracks.bedgraph import value_text

NAN = float("nan")
BASES = st.lists(st.sampled_from([NAN, 0.0, 0.5, 0.5001, 1.0]), min_size=1, max_size=200)


def lines_of(contig_values, suffix, **options):
    """Fields of each line of the file, written in one call per contig."""
    contigs = [Contig(f"chr{number}", len(values)) for number, values in enumerate(contig_values)]
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(writer, "BLOCK_BP", 64):
        path = Path(folder, f"t{suffix}")
        with open_writer(path, contigs, **options) as track:
            for contig, values in zip(contigs, contig_values, strict=True):
                track.write(contig.name, 0, np.array(values, np.float32))
            track.commit()
        text = path.read_text()
    assert text.endswith("\n")
    return [tuple(line.split("\t")) for line in text.splitlines()]


def plain_chunks(values):
    """(start, end, score) of the chunks of one contig, walking from base to base."""
    has_value = [not np.isnan(value) for value in values]
    if len(values) > 1 and has_value[1]:
        has_value[0] = True
    chunks = []
    for base, value in enumerate(values):
        if not has_value[base]:
            continue
        if value > 0.5 or base == 0 or not has_value[base - 1]:
            chunks.append([base, base + 1, round(1000 * float(np.float32(value))) if value > 0.5 else 0])
        else:
            chunks[-1][1] = base + 1
    return chunks


@settings(max_examples=60, deadline=None)
@given(st.lists(BASES, min_size=1, max_size=3))
def test_chunks_against_the_walk_from_base_to_base(contig_values):
    contig_values[0].append(0.5)
    expected = [
        (f"chr{number}", str(start), str(end), str(score), "-")
        for number, values in enumerate(contig_values)
        for start, end, score in plain_chunks(values)
    ]
    found = lines_of(contig_values, ".bed", strand="-")
    assert [(chrom, start, end, score, strand) for chrom, start, end, _, score, strand in found] == expected
    assert [fields[3] for fields in found] == [f"chunk_{number}" for number in range(1, len(found) + 1)]


def test_chunks_of_one_small_contig():
    assert lines_of([[NAN, 0.1, 0.7, 0.5, NAN, NAN, 0.9, 0.2]], ".bed") == [
        ("chr0", "0", "2", "chunk_1", "0", "."),
        ("chr0", "2", "4", "chunk_2", "700", "."),
        ("chr0", "6", "8", "chunk_3", "900", "."),
    ]


def test_base_0_joins_only_a_run_that_reaches_it():
    assert lines_of([[NAN, NAN, 0.2], [NAN], [NAN, 0.9]], ".bed") == [
        ("chr0", "2", "3", "chunk_1", "0", "."),
        ("chr2", "0", "1", "chunk_2", "0", "."),
        ("chr2", "1", "2", "chunk_3", "900", "."),
    ]


def test_a_chunk_ends_where_the_next_call_leaves_a_gap(tmp_path):
    with open_writer(tmp_path / "t.bed", [Contig("chr1", 400_000)]) as track:
        for start in (0, 131_072, 393_216):
            track.write("chr1", start, np.full(writer.BLOCK_BP if start == 0 else 5, 0.25, np.float32))
        track.commit()
    rows = [line.split("\t")[1:3] for line in (tmp_path / "t.bed").read_text().splitlines()]
    assert rows == [["0", "65536"], ["131072", "131077"], ["393216", "393221"]]


def test_bed_refuses_another_strand(tmp_path):
    with pytest.raises(ValueError, match=r"expected strand '\+', '-' or '\.', got 'both-mean'"):
        open_writer(tmp_path / "t.bed", [Contig("chr1", 4)], strand="both-mean")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(BASES, min_size=1, max_size=3))
def test_bedgraph_lines_are_the_longest_runs_of_equal_values(contig_values):
    contig_values[0].append(0.25)
    found = lines_of(contig_values, ".bedGraph")
    rebuilt = [np.full(len(values), np.nan) for values in contig_values]
    for chrom, start, end, value in found:
        rebuilt[int(chrom[3:])][int(start) : int(end)] = float(value)
    for values, again in zip(contig_values, rebuilt, strict=True):
        np.testing.assert_array_equal(again.astype(np.float32), np.array(values, np.float32))
    for left, right in itertools.pairwise(found):
        assert (left[0], left[2], left[3]) != (right[0], right[1], right[3])


@given(st.floats(0, 1, width=32), st.integers(1, 7))
def test_value_text_has_no_more_digits_than_asked_for(value, decimals):
    rounded = float(round_values(np.array([value], np.float32), decimals)[0])
    text = value_text(rounded)
    assert "e" not in text
    assert len(text.partition(".")[2]) <= decimals
    assert np.float32(text) == np.float32(rounded)


def test_value_text_of_unrounded_values():
    assert [value_text(float(np.float32(value))) for value in (0.5001, 1, 0, 1e-7, 1 / 3)] == [
        "0.5001", "1", "0", "0.0000001", "0.33333334"
    ]  # fmt: skip
