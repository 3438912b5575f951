"""Laws that hold for every format: the cut into calls does not show, and what is written reads back."""

import gzip
import itertools
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ldarnet.genome.intervals import Contig
from ldarnet.tracks import TrackError, format_of, open_track, open_writer, round_values, writer

SUFFIXES = (".bw", ".npz", ".bedGraph", ".bedGraph.gz", ".bed", ".bed.gz")
VALUES = st.sampled_from([float("nan"), 0.0, -0.0, 0.25, 0.5, 0.5001, 1e-6, 0.9, 1.0])
RUNS = st.lists(st.tuples(VALUES, st.integers(1, 90)), min_size=1, max_size=8)
NAN = float("nan")


@st.composite
def genomes(draw):
    """Values of every base of up to four contigs, at least one of them a number."""
    genome = {}
    for name in draw(st.permutations(["chr2", "chr10", "chrM", "a|b"]))[: draw(st.integers(1, 4))]:
        runs = draw(RUNS)
        genome[name] = np.concatenate([np.full(length, value, np.float32) for value, length in runs])
    if all(np.isnan(values).all() for values in genome.values()):
        next(iter(genome.values()))[-1] = 0.75
    return genome


def write_genome(path, genome, borders=()):
    """Write the genome cut at these offsets; a piece without any value is sometimes simply not written."""
    contigs = [Contig(name, len(values)) for name, values in genome.items()]
    with open_writer(path, contigs) as track:
        for name, values in genome.items():
            cuts = sorted({0, len(values), *(border for border in borders if border < len(values))})
            for start, end in itertools.pairwise(cuts):
                if end % 2 or not np.isnan(values[start:end]).all():
                    track.write(name, start, values[start:end])
        track.commit()
    return track


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=25, deadline=None)
@given(genome=genomes(), borders=st.lists(st.integers(1, 500), max_size=12))
@example(genome={"chr1": np.array([NAN, 0.5], np.float32)}, borders=[1])
def test_the_cut_into_calls_does_not_show_in_the_bytes(suffix, genome, borders):
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(writer, "BLOCK_BP", 64):
        whole, pieces = Path(folder, f"whole{suffix}"), Path(folder, f"pieces{suffix}")
        write_genome(whole, genome)
        track = write_genome(pieces, genome, borders)
        assert whole.read_bytes() == pieces.read_bytes()
        assert track.num_values == sum(np.count_nonzero(~np.isnan(values)) for values in genome.values())
        assert sorted(file.name for file in Path(folder).iterdir()) == sorted([whole.name, pieces.name])


@pytest.mark.parametrize("suffix", SUFFIXES[:4])
@settings(max_examples=25, deadline=None)
@given(genome=genomes(), start=st.integers(0, 300), num_bases=st.integers(0, 300))
def test_what_is_written_reads_back(suffix, genome, start, num_bases):
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(writer, "BLOCK_BP", 64):
        path = Path(folder, f"track{suffix}")
        write_genome(path, genome)
        with open_track(path) as track:
            if "bedGraph" not in suffix:
                assert track.contigs == tuple(Contig(name, len(values)) for name, values in genome.items())
            for name, length_bp in track.contigs:
                np.testing.assert_array_equal(track.values(name, 0, length_bp), genome[name][:length_bp])
                assert np.isnan(genome[name][length_bp:]).all()
                window = slice(min(start, length_bp), min(start + num_bases, length_bp))
                found = track.values(name, window.start, window.stop)
                np.testing.assert_array_equal(found, genome[name][window])
                assert found.dtype == np.float32
            missing = set(genome) - {contig.name for contig in track.contigs}
            assert all(np.isnan(genome[name]).all() for name in missing)


@pytest.mark.parametrize("suffix", SUFFIXES[:4])
def test_blocks_of_the_real_size_read_back(tmp_path, suffix):
    rng = np.random.default_rng(1)
    values = round_values(rng.random(3 * writer.BLOCK_BP + 17, dtype=np.float32), 4)
    values[0] = np.nan
    values[70_000:140_000] = np.nan
    values[150_000:160_000:2] = np.nan
    path = tmp_path / f"track{suffix}"
    write_genome(path, {"chr1": values, "chr2": values[:1].copy(), "chr3": values[:5].copy()}, [999, 65_536, 150_001])
    with open_track(path) as track:
        np.testing.assert_array_equal(track.values("chr1", 0, values.size), values)
        np.testing.assert_array_equal(track.values("chr3", 0, 5), values[:5])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_track_without_a_value_is_an_error_and_no_file(tmp_path, suffix):
    path = tmp_path / f"track{suffix}"
    with open_writer(path, [Contig("chr1", 9)]) as track:
        track.write("chr1", 0, np.full(9, np.nan, np.float32))
        with pytest.raises(TrackError, match=r"no base has a value: .*was not written"):
            track.commit()
    assert list(tmp_path.iterdir()) == []


def test_wrong_calls_are_named(tmp_path):
    one = np.ones(2, np.float32)
    with open_writer(tmp_path / "t.npz", [Contig("chr2", 10), Contig("chr1", 5)]) as track:
        track.write("chr2", 4, one)
        with pytest.raises(ValueError, match="no contig 'chrX' among the 2 of this track: chr2, chr1"):
            track.write("chrX", 0, one)
        with pytest.raises(ValueError, match="expected bases of chr2 within 6-10, got 5-7"):
            track.write("chr2", 5, one)
        with pytest.raises(ValueError, match="expected bases of chr2 within 6-10, got 9-11"):
            track.write("chr2", 9, one)
        with pytest.raises(ValueError, match=r"expected float32 values of one dimension, got float64 \(2,\)"):
            track.write("chr2", 6, one.astype(float))
        with pytest.raises(ValueError, match="expected finite values or NaN on chr2, got an infinite one"):
            track.write("chr2", 6, one * np.inf)
        track.write("chr1", 0, one)
        with pytest.raises(ValueError, match="expected contigs in their order, got 'chr2' after 'chr1'"):
            track.write("chr2", 8, one)
        track.commit()
    with open_track(tmp_path / "t.npz") as track:
        np.testing.assert_array_equal(track.values("chr2", 3, 7), [NAN, 1, 1, NAN])


@pytest.mark.parametrize(
    ("contigs", "message"),
    [
        ([], "expected at least one contig, got none"),
        ([Contig("a", 1), Contig("a", 2)], "expected every contig once, got 'a' twice"),
        ([Contig("a b", 1)], "without blanks or control characters, got 'a b'"),
        ([Contig("", 1)], "without blanks or control characters, got ''"),
        ([Contig("a", 0)], "expected contigs of at least 1 bp, got a of 0 bp"),
    ],
)
def test_contigs_no_format_could_hold_are_refused(tmp_path, contigs, message):
    with pytest.raises(TrackError, match=message):
        open_writer(tmp_path / "t.bw", contigs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (Path("a/x.bw"), "bigwig"), (Path("x.BIGWIG"), "bigwig"), (Path("x.bed.bedGraph.gz"), "bedgraph"),
        (Path("x.bg"), "bedgraph"), (Path("x.npz"), "npz"), (Path("x.bed.gz"), "bed"),
        ("bw", "bigwig"), (".bedgraph", "bedgraph"), ("bedGraph.gz", "bedgraph"), ("bigwig", "bigwig"),
    ],
)  # fmt: skip
def test_suffixes(name, expected):
    assert format_of(name) == expected


@pytest.mark.parametrize("name", [Path("x.wig"), Path("bw"), Path("x.bw.gz"), Path("x"), "wig", Path("npz/x")])
def test_unknown_suffixes_list_the_known_ones(name):
    with pytest.raises(
        TrackError, match=r"no track format has the suffix of .*; expected one of \.bw, \.bigWig, .*\.bed\.gz"
    ):
        format_of(name)


def test_gzip_holds_no_time_and_no_name(tmp_path):
    write_genome(tmp_path / "x.bedGraph.gz", {"chr1": np.ones(3, np.float32)})
    head = (tmp_path / "x.bedGraph.gz").read_bytes()[:10]
    assert head[3:8] == bytes(5)
    assert gzip.decompress((tmp_path / "x.bedGraph.gz").read_bytes()) == b"chr1\t0\t3\t1\n"
