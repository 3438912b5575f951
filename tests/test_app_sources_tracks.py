"""Windows of tracks: every format gives the same bins, and gaps stay gaps."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pybigtools")

from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.genome import Contig
from ldarnet.tracks import TrackError, open_writer
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.sources.tracks import (
    MAX_BASES_DRAWN,
    MAX_BINS,
    all_tracks,
    bin_width_bp,
    binned,
    is_probability,
    place_with_values,
    read_window,
)

CONTIGS = (Contig("chr1", 70_001), Contig("chr2", 40))
SUFFIXES = (".bw", ".BIGWIG", ".npz", ".bedGraph.gz")


def _values(seed=0):
    """Probabilities of chr1 with a long gap, a short one and none at base 0."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 1, CONTIGS[0].length_bp).astype(np.float32)
    values[[0, 5000]] = np.nan
    values[20_000:30_000] = np.nan
    return values


def _write(path, values, contigs=CONTIGS):
    with open_writer(path, contigs) as writer:
        writer.write("chr1", 0, values)
        writer.commit()
    return TrackFile("p", path)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracks")
    return {suffix: _write(folder / f"p{suffix}", _values()) for suffix in SUFFIXES}


@settings(max_examples=15, deadline=None)
@given(start=st.integers(0, 69_000), span=st.sampled_from([20, 3_999, 4_000, 4_001, 25_000, 70_001]))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bins_of_every_format_are_those_of_the_values(tracks, suffix, start, span):
    length = CONTIGS[0].length_bp
    end = min(start + span, length)
    window = read_window(tracks[suffix], CONTIGS[0], start, end)

    values = _values()
    assert window.starts[0] <= start < window.ends[0]
    assert window.starts[-1] < end <= window.ends[-1]
    assert window.ends[-1] <= length
    assert (window.starts[1:] == window.ends[:-1]).all()
    pieces = [values[low:high] for low, high in zip(window.starts, window.ends, strict=True)]
    gaps = np.array([np.isnan(piece).all() for piece in pieces])
    assert (np.isnan(window.mean) == gaps).all()
    assert (np.isnan(window.top) == gaps).all()
    full = [piece for piece, gap in zip(pieces, gaps, strict=True) if not gap]
    np.testing.assert_allclose(window.mean[~gaps], [np.nanmean(piece) for piece in full], rtol=1e-5)
    np.testing.assert_array_equal(window.top[~gaps], [np.nanmax(piece) for piece in full])


@given(st.integers(1, 300_000_000))
def test_no_view_has_more_points_than_can_be_drawn(span_bp):
    width = bin_width_bp(span_bp)
    assert width & (width - 1) == 0
    assert (width == 1) == (span_bp <= MAX_BASES_DRAWN)
    # one more, as bins begin at multiples of their width
    assert -(-span_bp // width) + 1 <= max(MAX_BASES_DRAWN, MAX_BINS) + 1


def test_bins_without_values_have_none():
    mean, top = binned(np.array([np.nan, np.nan, 0.25, np.nan], dtype=np.float32), 2)
    np.testing.assert_array_equal(mean, [np.nan, 0.25])
    np.testing.assert_array_equal(top, [np.nan, 0.25])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_contig_that_the_track_does_not_have_has_no_values(tracks, suffix):
    other = Contig("chrUn", 10_000)
    for end in (100, 10_000):
        assert np.isnan(read_window(tracks[suffix], other, 0, end).mean).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cuts_are_above_one_half_and_only_probabilities_have_them(tmp_path, suffix):
    values = np.full(CONTIGS[0].length_bp, 0.25, dtype=np.float32)
    values[3:6] = 0.5, 0.5001, 1.0
    track = _write(tmp_path / f"p{suffix}", values)
    assert np.flatnonzero(read_window(track, CONTIGS[0], 0, 20).has_cut).tolist() == [4, 5]
    assert is_probability(track.path)
    first_is_empty = _write(tmp_path / "part.npz", np.array([0.5], np.float32), (Contig("chr0", 9), Contig("chr1", 9)))
    assert is_probability(first_is_empty.path)
    residual = _write(tmp_path / f"residual{suffix}", values - np.float32(0.3))
    assert not is_probability(residual.path)
    assert not read_window(residual, CONTIGS[0], 0, 20).is_probability


def test_a_changed_file_is_read_again(tmp_path):
    track = _write(tmp_path / "p.bw", _values(1))
    before = read_window(track, CONTIGS[0], 100, 200).mean
    _write(tmp_path / "p.bw", _values(2))
    assert not np.array_equal(read_window(track, CONTIGS[0], 100, 200).mean, before)


def test_the_start_lies_among_values(tracks):
    middle = place_with_values(tracks[".bw"], CONTIGS[0])
    assert not np.isnan(_values()[middle])
    assert abs(middle - 35_000) < 200


def test_the_start_avoids_the_gap_in_the_middle(tmp_path):
    values = _values()
    values[10_000:60_000] = np.nan
    place = place_with_values(_write(tmp_path / "p.bw", values), CONTIGS[0])
    assert not np.isnan(values[place - 32 : place + 32]).all()
    assert not 10_100 < place < 59_900


def test_no_bigwig_is_told_as_such(tmp_path):
    path = tmp_path / "p.bw"
    path.write_text("chr1\t0\t10\t0.5\n")
    with pytest.raises(TrackError, match="expected a bigWig"):
        read_window(TrackFile("p", path), CONTIGS[0], 0, 100)


def test_the_residual_of_the_results_is_a_track_unless_it_is_one_already(tmp_path, tracks):
    results = tmp_path / "results"
    results.mkdir()
    given_tracks = (tracks[".bw"],)
    inputs = Inputs(given_tracks, Path("g.fa"), results=results)
    assert all_tracks(inputs) == given_tracks
    residual = _write(results / "residual.bw", _values() - np.float32(0.3))
    assert [track.label for track in all_tracks(inputs)] == ["p", "residual"]
    twice = Inputs((*given_tracks, TrackFile("mine", residual.path)), Path("g.fa"), results=results)
    assert [track.label for track in all_tracks(twice)] == ["p", "mine"]
