"""The k-mer look-up null, held to a look-up in dictionaries of letters."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import Interval, merge_intervals
from ldarnet.stitch import from_reverse_complement
from ldarnet.tracks import open_track
from ldarnet_analysis.crossfit import cross_fit
from ldarnet_analysis.kmer_cells import KmerLevels
from ldarnet_analysis.kmer_means import KAPPAS, choose_kappas, r2_table, shrunk_means, squared_errors
from ldarnet_analysis.kmer_sums import sum_track
from ldarnet_analysis.kmer_table import KmerLookup
from ldarnet_analysis.residual import write_residual
from tests.array_tracks import ArrayTrack, noise_track, planted_4mer, track_of, whole
from tests.genome_arrays import genome_of, random_ids, reversed_genome

NAN = np.float32("nan")
some_ks = st.sets(st.sampled_from([2, 4, 6, 8]), min_size=1).map(sorted).map(tuple)
some_letters = st.text(st.sampled_from("ACGTACGTACGTN"), max_size=60)


def kmer_around(letters, cut, k):
    """The letters, or None where the k-mer leaves the contig or holds N."""
    if cut - k // 2 < 0 or cut + k // 2 > len(letters):
        return None
    kmer = letters[cut - k // 2 : cut + k // 2]
    return None if "N" in kmer else kmer


class SlowLookup:
    """Sums in a dictionary by k-mer, where the k-mer of k = 0 is the empty text."""

    def __init__(self, track, genome, regions, ks, kappas):
        self.depths, self.kappas = (0, *ks), (None, *kappas)
        self.seen = defaultdict(list)
        cuts = {(chrom, cut) for chrom, start, end in regions for cut in range(start, end)}
        for chrom, cut in cuts:
            letters = vocab.decode(genome.ids(chrom, 0, dict(genome.contigs)[chrom]))
            value = float(track.arrays[chrom][cut])
            for k in self.depths:
                kmer = kmer_around(letters, cut, k)
                if kmer is not None and not math.isnan(value):
                    self.seen[kmer].append(value)

    def mean(self, kmer, level):
        values = self.seen.get(kmer, [])
        if level == 0:
            return sum(values) / len(values)
        cut = (self.depths[level] - self.depths[level - 1]) // 2
        inner = self.mean(kmer[cut : len(kmer) - cut], level - 1)
        weight = len(values) + self.kappas[level]
        return (sum(values) + self.kappas[level] * inner) / weight if weight else inner

    def expected(self, letters, cut, k):
        for level in range(self.depths.index(k), -1, -1):
            kmer = kmer_around(letters, cut, self.depths[level])
            if kmer is not None:
                return self.mean(kmer, level)
        raise AssertionError("the empty k-mer always fits")


@given(some_letters, some_ks, st.data())
@settings(deadline=None)
def test_cells_are_the_deepest_kmers_without_n(letters, ks, data):
    levels = KmerLevels(ks)
    k = data.draw(st.sampled_from(ks))
    cells = levels.cells(vocab.encode(letters), k)
    assert cells.dtype == np.int32
    for cut, cell in enumerate(cells):
        depth = max(each for each in (0, *ks) if each <= k and kmer_around(letters, cut, each) is not None)
        code = int(cell) - levels.slices[levels.depths.index(depth)].start
        spelled = "".join("ACGT"[code // 4**i % 4] for i in range(depth))[::-1]
        assert spelled == kmer_around(letters, cut, depth)


@given(some_letters.filter(bool), some_ks, st.data())
@settings(deadline=None)
def test_cells_do_not_depend_on_where_reading_starts(letters, ks, data):
    genome, levels = genome_of({"a": letters}), KmerLevels(ks)
    start = data.draw(st.integers(0, len(letters)))
    end = data.draw(st.integers(start, len(letters)))
    found = levels.cells_at(genome, genome.contigs[0], start, end)
    np.testing.assert_array_equal(found, levels.cells(vocab.encode(letters))[start:end])


@given(some_ks, st.integers(0, 2**32), st.lists(st.integers(0, 120), min_size=2, max_size=6, unique=True))
@settings(deadline=None, max_examples=40)
def test_means_are_those_of_dictionaries(ks, seed, borders):
    genome = genome_of({"b": random_ids(120, seed, n_share=0.02), "a": random_ids(40, seed + 1)})
    track = noise_track(genome, seed)
    regions = [Interval("b", start, end) for start, end in zip(sorted(borders), sorted(borders)[1:], strict=False)]
    regions += [Interval("a", 3, 30), Interval("a", 20, 40)]
    lookup = KmerLookup.fit(track, genome, regions, ks)
    assert set(lookup.kappas) <= set(KAPPAS)
    unshrunk = shrunk_means(sum_track(track, genome, merge_intervals(regions, "ba"), lookup.levels), [0.0] * len(ks))
    for kappas, means in ((lookup.kappas, lookup.means), ([0.0] * len(ks), unshrunk)):
        slow = SlowLookup(track, genome, regions, ks, kappas)
        for name, length_bp in genome.contigs:
            letters = vocab.decode(genome.ids(name, 0, length_bp))
            for k in ks:
                wanted = [slow.expected(letters, cut, k) for cut in range(length_bp)]
                found = means[lookup.levels.cells(vocab.encode(letters), k)]
                np.testing.assert_allclose(found, wanted, atol=1e-6)
    ids = genome.ids("b", 0, 120)
    np.testing.assert_array_equal(lookup.expected(ids), lookup.means[lookup.levels.cells(ids, ks[-1])])


@given(some_ks, st.integers(0, 2**32), st.lists(st.sampled_from(KAPPAS), min_size=4, max_size=4))
@settings(deadline=None, max_examples=40)
def test_errors_from_sums_are_those_from_values(ks, seed, kappas):
    genome = genome_of({"a": random_ids(300, seed, n_share=0.03), "b": random_ids(100, seed + 1, n_share=0.03)})
    track, levels = noise_track(genome, seed), KmerLevels(ks)
    fitted, tried = (sum_track(track, genome, [region], levels) for region in whole(genome))
    means = shrunk_means(fitted, kappas[: len(ks)])
    values = track.arrays["b"].astype(np.float64)
    known = values[~np.isnan(values)]
    errors = [np.nansum((values - means[levels.cells(genome.ids("b", 0, 100), k)]) ** 2) for k in ks]
    np.testing.assert_allclose(squared_errors(tried, means), errors, rtol=1e-9)
    table = r2_table(levels, squared_errors(tried, means), tried)
    assert table["k"].tolist() == list(ks)
    assert table["num_positions"].tolist() == [known.size] * len(ks)
    np.testing.assert_allclose(table["r2"], 1 - np.array(errors) / ((known - known.mean()) ** 2).sum(), rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_shrinkage_is_the_one_that_errs_least_on_held_out_values(seed):
    genome = genome_of({"a": random_ids(3000, seed, n_share=0.01), "b": random_ids(3000, seed + 9)})
    track, levels = track_of(genome, planted_4mer, noise=0.4), KmerLevels((2, 4, 6))
    rest, held_out = (sum_track(track, genome, [region], levels) for region in whole(genome))
    chosen = choose_kappas(rest, held_out)
    for level in range(3):
        errors = {}
        for kappa in KAPPAS:
            means = shrunk_means(rest, (*chosen[:level], kappa, *chosen[level + 1 :]))
            errors[kappa] = squared_errors(held_out, means)[level]
        assert chosen[level] == min(errors, key=errors.get)
    assert 0 < chosen[1] < chosen[2]


def test_noise_is_shrunk_to_nothing_and_law_not_at_all():
    genome = genome_of({"a": random_ids(20_000, 5)})
    noise = KmerLookup.fit(noise_track(genome, 3), genome, ks=(2, 4, 6))
    assert noise.kappas[2] >= 100
    assert np.ptp(noise.means) < 0.1
    law = KmerLookup.fit(track_of(genome, planted_4mer), genome, ks=(2, 4))
    assert law.kappas[1] == 0


def test_a_track_that_follows_4mers_has_no_residual(tmp_path):
    genome = genome_of({"a": random_ids(40_000, 0, n_share=1e-3), "b": random_ids(9_000, 1), "c": random_ids(9_000, 2)})
    track = track_of(genome, planted_4mer)
    lookup = KmerLookup.fit(track, genome, [Interval("a", 0, 40_000)])
    r2 = lookup.r2(track, genome, [Interval("b", 0, 9_000), Interval("c", 0, 9_000)]).set_index("k")["r2"]
    assert 0 < r2[2] < 0.5
    np.testing.assert_allclose(r2[[4, 6, 8, 10]], 1, atol=1e-9)

    written = write_residual(track, genome, lookup, tmp_path / "residual.bw")
    assert written.num_values == sum(np.count_nonzero(~np.isnan(each)) for each in track.arrays.values())
    with open_track(tmp_path / "residual.bw") as found:
        assert list(found.contigs) == list(track.contigs)
        for name, length_bp in genome.contigs:
            values = found.values(name, 0, length_bp)
            np.testing.assert_array_equal(np.isnan(values), np.isnan(track.arrays[name]))
            assert np.nanmax(np.abs(values)) < 1e-6


def test_a_track_that_follows_bases_further_off_keeps_its_residual(tmp_path):
    genome = genome_of({name: random_ids(20_000, seed) for seed, name in enumerate("abc")})
    track = track_of(genome, lambda letters, cut: float(letters[cut - 20] in "GC") if cut >= 20 else None)
    fitted = cross_fit(track, genome, ks=(2, 4))
    assert fitted.r2["r2"].abs().max() < 0.01
    write_residual(track, genome, fitted, tmp_path / "residual.npz")
    with open_track(tmp_path / "residual.npz") as found:
        values = np.concatenate([found.values(name, 20, 20_000) for name in "abc"])
    wanted = np.concatenate([track.arrays[name][20:] for name in "abc"])
    assert np.corrcoef(values, wanted)[0, 1] > 0.99
    assert values.min() < -0.4
    assert values.max() > 0.4


def test_the_other_strand_gives_the_same_means_of_the_kmers_turned_round():
    genome = genome_of({"a": random_ids(500, 8, n_share=0.01)})
    track, levels = noise_track(genome, 2), KmerLevels((2, 4))
    turned = ArrayTrack({"a": from_reverse_complement(track.arrays["a"])})
    means, turned_means = (
        shrunk_means(sum_track(each, of, whole(of), levels), (3.0, 10.0))
        for each, of in ((track, genome), (turned, reversed_genome(genome)))
    )
    letters = np.array(np.meshgrid(*[np.arange(4)] * 4, indexing="ij"), dtype=np.uint8).reshape(4, -1).T
    for ids in letters:
        # the k-mer of four bases is around the cut left of base 2, on either strand
        cell, turned_cell = levels.cells(ids)[2], levels.cells(vocab.reverse_complement(ids))[2]
        assert means[cell] == pytest.approx(turned_means[turned_cell], abs=1e-12)
