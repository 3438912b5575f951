"""The laws of the window plan: cores tile, keep their halo, and depend on the FASTA and the sizes only."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.genome import Contig, Interval, plan_batches, plan_windows, reverse_cut, select_batches


@st.composite
def sizes(draw):
    halo_bp = draw(st.integers(1, 6))
    return draw(st.integers(2 * halo_bp + 1, 40)), halo_bp


CONTIGS = st.lists(st.integers(1, 120), min_size=1, max_size=6).map(
    lambda lengths: [Contig(f"c{i}", length_bp) for i, length_bp in enumerate(lengths)]
)


@given(st.integers(1, 400), sizes())
def test_cores_tile_the_contig_and_keep_their_halo(length_bp, window_and_halo):
    window_bp, halo_bp = window_and_halo
    windows = list(plan_windows(Contig("c", length_bp), window_bp, halo_bp))
    step = window_bp - 2 * halo_bp
    assert windows[0].core_start == 0
    assert windows[-1].core_end == windows[-1].end == length_bp
    for left, right in pairwise(windows):
        assert left.core_end == right.core_start
        assert left.end < length_bp, "the last window is the first that reaches the end"
    for k, window in enumerate(windows):
        assert window.start == k * step
        assert window.end == min(k * step + window_bp, length_bp)
        assert window.start <= window.core_start < window.core_end <= window.end
        if window is not windows[0]:
            assert window.core_start == k * step + halo_bp
        if window is not windows[-1]:
            assert window.core_end == k * step + window_bp - halo_bp


def test_a_contig_of_one_window_needs_no_halo():
    assert list(plan_windows(Contig("c", 8), 8, 0)) == [("c", 0, 8, 0, 8)]
    assert list(plan_windows(Contig("c", 9), 8, 1)) == [("c", 0, 8, 0, 7), ("c", 6, 9, 7, 9)]


@pytest.mark.parametrize(
    ("window_bp", "halo_bp", "match"),
    [
        (8, 0, r"--halo: expected 1 or more, got 0, while --window 8 is shorter than c \(9 bases\)"),
        (8, -1, "--halo: expected 0 or more bases, got -1"),
        (8, 4, "--window and --halo: expected a window longer than two halos, got --window 8 and --halo 4"),
        (0, 0, "got --window 0 and --halo 0"),
    ],
)
def test_refuses_sizes_that_cannot_work(window_bp, halo_bp, match):
    with pytest.raises(ValueError, match=match):
        plan_windows(Contig("c", 9), window_bp, halo_bp)
    with pytest.raises(ValueError, match=match):
        list(plan_batches([Contig("c", 9)], window_bp, halo_bp, 100))


def test_refuses_empty_contigs_and_batches():
    with pytest.raises(ValueError, match="c: expected a contig of 1 base or more, got 0"):
        plan_windows(Contig("c", 0), 8, 1)
    with pytest.raises(ValueError, match="--batch-tokens: expected 1 or more, got 0"):
        plan_batches([Contig("c", 9)], 8, 1, 0)
    with pytest.raises(ValueError, match="at least one region"):
        select_batches([], [])


@given(CONTIGS, sizes(), st.integers(1, 200))
def test_batches_hold_all_windows_in_order_and_are_packed_greedily(contigs, window_and_halo, batch_tokens):
    batches = list(plan_batches(contigs, *window_and_halo, batch_tokens))
    expected = [window for contig in contigs for window in plan_windows(contig, *window_and_halo)]
    assert [window for batch in batches for window in batch.windows] == expected
    assert [batch.index for batch in batches] == list(range(len(batches)))

    def num_tokens(windows):
        return len(windows) * max(window.end - window.start for window in windows)

    for batch in batches:
        assert len(batch.windows) == 1 or num_tokens(batch.windows) <= batch_tokens
    for batch, following in pairwise(batches):
        assert num_tokens((*batch.windows, following.windows[0])) > batch_tokens


@given(CONTIGS, sizes(), st.integers(1, 200), st.data())
def test_selected_batches_are_those_that_report_a_base_of_a_region(contigs, window_and_halo, tokens, data):
    batches = list(plan_batches(contigs, *window_and_halo, tokens))
    regions = []
    for contig in data.draw(st.lists(st.sampled_from(contigs), min_size=1, max_size=4)):
        start = data.draw(st.integers(0, contig.length_bp - 1))
        regions.append(Interval(contig.name, start, data.draw(st.integers(start + 1, contig.length_bp))))
    wanted = {(region.chrom, base) for region in regions for base in range(region.start, region.end)}
    expected = [
        batch
        for batch in batches
        if any(
            (window.chrom, base) in wanted
            for window in batch.windows
            for base in range(window.core_start, window.core_end)
        )
    ]
    assert list(select_batches(batches, regions)) == expected


def test_a_plan_of_a_large_genome_takes_seconds():
    started = time.perf_counter()
    scaffolds = (Contig(f"s{i}", 500) for i in range(100_000))
    assert sum(len(batch.windows) for batch in plan_batches(scaffolds, 4096, 512, 65536)) == 100_000
    chromosome = plan_batches([Contig("chr1", 300_000_000)], 4096, 512, 65536)
    assert sum(len(batch.windows) for batch in chromosome) == 97_656
    assert time.perf_counter() - started < 5


@given(st.integers(1, 60), st.data())
def test_reverse_cut_is_where_the_reverse_complement_puts_the_cut(length_bp, data):
    cut = data.draw(st.integers(0, length_bp))
    left, right = list(range(cut)), list(range(cut, length_bp))
    assert reverse_cut(cut, length_bp) == len(right[::-1]) == length_bp - len(left)
    assert reverse_cut(reverse_cut(cut, length_bp), length_bp) == cut
