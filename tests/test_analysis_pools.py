"""Candidates of controls: where they may lie, what they share with sites, and what is known about them."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from ldarnet import vocab
from ldarnet_analysis import decoys as decoys_module
from ldarnet_analysis import positions as positions_module
from ldarnet_analysis.covariates import ALL, covariates
from ldarnet_analysis.decoys import NO_CODE, centred_span, decoys, literal_codes
from ldarnet_analysis.pools import allow_cuts, regions_around, shuffled_genome_pool
from ldarnet_analysis.positions import positions_of
from ldarnet_analysis.repeats import read_soft_mask
from ldarnet_analysis.sites import make_sites
from tests.genome_arrays import (
    EVERYWHERE,
    all_cuts,
    as_set,
    genome_of,
    random_ids,
    reversed_genome,
    reversed_table,
    sense,
    some_sites,
)

letters = st.text("ACGT" * 4 + "N", min_size=1, max_size=60)
genomes = st.lists(letters, min_size=1, max_size=3).map(
    lambda texts: genome_of({f"c{i}": text for i, text in enumerate(texts)})
)


# Where controls may lie


@given(genomes, st.integers(0, 6), st.integers(0, 9), st.integers(0, 5), st.data())
@settings(max_examples=50, deadline=None)
def test_allowed_cuts_are_those_that_pass_every_rule_one_by_one(genome, flank_bp, exclusion_bp, num_sites, data):
    sites = some_sites(genome, num_sites, data.draw(st.integers(0, 99)))
    region = data.draw(st.tuples(st.integers(0, 40), st.integers(0, 10)))
    regions = pd.DataFrame([("c0", region[0], sum(region))], columns=["chrom", "start", "end"])
    allowed = allow_cuts(
        genome,
        flank_bp,
        avoid=positions_of(sites, genome.contigs),
        exclusion_bp=exclusion_bp,
        exclude_regions=regions,
    )
    expected = set()
    length_of = dict(genome.contigs)
    for chrom, cut, strand in all_cuts(genome).itertuples(index=False):
        start, end = cut - flank_bp - 1, cut + flank_bp + 1
        if start < 0 or end > length_of[chrom] or (genome.ids(chrom, start, end) == vocab.N).any():
            continue
        near = (sites["chrom"] == chrom) & ((sites["cut"] - cut).abs() <= exclusion_bp)
        in_region = chrom == "c0" and min(region[0], length_of[chrom]) <= cut <= min(sum(region), length_of[chrom])
        if not near.any() and not in_region:
            expected.add((chrom, cut, strand))
    table = all_cuts(genome)
    assert as_set(table[allowed.contains(positions_of(table, genome.contigs))]) == expected
    assert 2 * allowed.num_cuts == len(expected)
    forbidden = {
        (chrom, cut) for chrom, start, end in allowed.forbidden().itertuples(index=False) for cut in range(start, end)
    }
    assert forbidden == {(chrom, cut) for chrom, cut, _ in as_set(table) - expected}


def test_random_positions_are_uniform_over_allowed_cuts_and_strands_and_never_twice():
    genome = genome_of({"a": "ACGTNACGTACG", "b": "AC", "c": "ACGTACGTA"})
    allowed = allow_cuts(genome, 1)
    rng, counts = np.random.default_rng(3), {}
    for _ in range(700):
        drawn = allowed.draw(3, rng).table(genome.contigs)
        assert not drawn.duplicated(["chrom", "cut"]).any()
        for row in as_set(drawn):
            counts[row] = counts.get(row, 0) + 1
    assert len(counts) == 2 * allowed.num_cuts == 22
    assert chisquare(list(counts.values())).pvalue > 1e-3
    everything = allowed.draw(10**9, rng)
    assert len(everything.cut) == allowed.num_cuts


def test_few_cuts_out_of_very_many_cost_no_memory_for_the_rest():
    genome = genome_of({"a": np.zeros(1_000_000, np.uint8)})
    drawn = allow_cuts(genome, 100).draw(1000, np.random.default_rng(0))
    assert len(np.unique(drawn.cut)) == 1000
    assert binomtest(int((drawn.cut < 500_000).sum()), 1000).pvalue > 1e-3


def test_regions_around_sites_follow_the_strand():
    sites = make_sites(chrom="a", cut=[100, 200], strand=["+", "-"], site_class="TSS")
    assert regions_around(sites, -40, -18)[["start", "end"]].to_numpy().tolist() == [[60, 82], [218, 240]]


# Decoys


@given(genomes, st.integers(-4, 3), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_decoys_are_all_allowed_places_with_the_letters_of_a_site(genome, first, width, seed):
    span = (first, first + width)
    sites = some_sites(genome, 3, seed)
    own = positions_of(sites, genome.contigs)
    codes = literal_codes(genome, own, span)
    expected = [sense(genome, *row, span) for row in sites[list(EVERYWHERE)].itertuples(index=False)]
    assert [code == NO_CODE for code in codes] == [text is None or "N" in text for text in expected]
    allowed = allow_cuts(genome, 2, avoid=own)
    rng = np.random.default_rng(0)
    found, found_codes = decoys(genome, allowed, np.unique(codes[codes != NO_CODE]), span, num_per_code=None, rng=rng)
    letters_of = {code: text for code, text in zip(codes, expected, strict=True) if code != NO_CODE}
    table = all_cuts(genome)
    wanted = {
        row
        for row in as_set(table[allowed.contains(positions_of(table, genome.contigs))])
        if sense(genome, *row, span) in letters_of.values()
    }
    assert as_set(found.table(genome.contigs)) == wanted
    for row, code in zip(found.table(genome.contigs).itertuples(index=False), found_codes, strict=True):
        assert sense(genome, *row, span) == letters_of[code]


@given(st.integers(0, 10**6), st.integers(1, 31), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_blocks_are_seamless(seed, width, block_bp):
    genome = genome_of({"a": random_ids(90, seed, n_share=0.02), "b": random_ids(7, seed)})
    sites, span = some_sites(genome, 8, 1), centred_span(width)
    results = []
    for size in (block_bp, 1 << 22):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(positions_module, "BLOCK_BP", size)
            own = positions_of(sites, genome.contigs)
            codes = literal_codes(genome, own, span)
            wanted = np.unique(codes[codes != NO_CODE])
            rng = np.random.default_rng(0)
            found, found_codes = decoys(genome, allow_cuts(genome, 0), wanted, span, num_per_code=None, rng=rng)
            inside = allow_cuts(genome, 3)
            values = covariates(genome, inside.draw(10**6, np.random.default_rng(0)), 3, ("gc_upstream", "cpg"))
        results.append((codes, found.table(genome.contigs), found_codes, values))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_a_sample_of_decoys_is_uniform_however_often_it_is_thinned(monkeypatch):
    monkeypatch.setattr(decoys_module._Sample, "MIN_WAITING", 7)
    monkeypatch.setattr(positions_module, "BLOCK_BP", 10)
    genome = genome_of({"a": "ACGTGTACCGTTTACGTCGTACGTGACGTAA"})
    allowed, rng = allow_cuts(genome, 0), np.random.default_rng(4)
    codes = np.array([4 * vocab.G + vocab.T, 4 * vocab.T + vocab.A])
    everything, code_of = decoys(genome, allowed, codes, (0, 2), num_per_code=None, rng=rng)
    for code, num in zip(codes, (3, 1), strict=True):
        counts = dict.fromkeys(as_set(everything.take(code_of == code).table(genome.contigs)), 0)
        for _ in range(300):
            drawn, drawn_codes = decoys(genome, allowed, codes, (0, 2), num_per_code=np.array([3, 1]), rng=rng)
            rows = as_set(drawn.take(drawn_codes == code).table(genome.contigs))
            assert len(rows) == num
            for row in rows:
                counts[row] += 1
        assert chisquare(list(counts.values())).pvalue > 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_thinning_early_changes_nothing(monkeypatch, seed):
    monkeypatch.setattr(positions_module, "BLOCK_BP", 50)
    genome = genome_of({"a": random_ids(3000, seed)})
    codes, results = np.array([1, 6, 11]), []
    for num_waiting in (1, 1 << 20):
        monkeypatch.setattr(decoys_module._Sample, "MIN_WAITING", num_waiting)
        limits, rng = np.array([1, 40, 7]), np.random.default_rng(seed)
        found, _ = decoys(genome, allow_cuts(genome, 0), codes, (0, 2), num_per_code=limits, rng=rng)
        assert len(found.cut) == 48
        results.append(as_set(found.table(genome.contigs)))
    assert results[0] == results[1]


def test_n_is_no_letter_of_a_decoy():
    genome = genome_of({"a": "CCAAAACCNAAACCANAACCAAANCCTTNTTTCC"})
    own = positions_of(pd.DataFrame({"chrom": "a", "cut": [2], "strand": "+"}), genome.contigs)
    codes = literal_codes(genome, own, (0, 4))
    rng = np.random.default_rng(0)
    found, _ = decoys(genome, allow_cuts(genome, 0), codes, (0, 4), num_per_code=None, rng=rng)
    assert as_set(found.table(genome.contigs)) == {("a", 2, "+")}


# Reverse complement: the same pool on the turned genome


@given(genomes, st.integers(1, 5), st.integers(0, 6), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_pools_of_the_reversed_genome_are_the_reversed_pools(genome, flank_bp, exclusion_bp, seed):
    turned, sites = reversed_genome(genome), some_sites(genome, 4, seed)
    span, tables = (-1, 2), []
    for each, own in ((genome, sites), (turned, reversed_table(sites, genome))):
        avoid = positions_of(own, each.contigs)
        allowed = allow_cuts(each, flank_bp, avoid=avoid, exclusion_bp=exclusion_bp)
        rng = np.random.default_rng(0)
        uniform = allowed.draw(10**6, rng).table(each.contigs).assign(strand="+")
        codes = literal_codes(each, avoid, span)
        wanted = np.unique(codes[codes != NO_CODE])
        found, _ = decoys(each, allow_cuts(each, flank_bp), wanted, span, num_per_code=None, rng=rng)
        values = covariates(each, found, flank_bp, tuple(name for name in ALL if name != "repeat_share"), tss=avoid)
        tables.append((codes, uniform, found.table(each.contigs).join(values.round(9))))
    (codes, uniform, found), (codes_turned, uniform_turned, found_turned) = tables
    assert np.array_equal(codes, codes_turned)
    assert as_set(reversed_table(uniform, genome).assign(strand="+")) == as_set(uniform_turned)
    assert set(reversed_table(found, genome).itertuples(index=False, name=None)) == set(
        found_turned.itertuples(index=False, name=None)
    )


# Covariates


@given(letters.filter(lambda text: len(text) > 8), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_covariates_are_what_counting_letters_gives(text, flank_bp, seed):
    genome = genome_of({"z": "ACGT", "a": text, "empty": "ACGTACGTAACC"})
    positions = allow_cuts(genome, flank_bp).draw(10**6, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(text), 4)
    repeats = pd.DataFrame(
        {"chrom": "a", "start": starts, "end": np.minimum(starts + rng.integers(0, 6, 4), len(text))}
    )
    tss = some_sites(genome_of({"a": text}), 2, seed)
    found = covariates(genome, positions, flank_bp, ALL, repeats=repeats, tss=positions_of(tss, genome.contigs))
    table = positions.table(genome.contigs)
    for (chrom, cut, strand), row in zip(table.itertuples(index=False), found.itertuples(), strict=True):
        up, down = (sense(genome, chrom, cut, strand, span) for span in ((-flank_bp, 0), (0, flank_bp)))
        window = up + down
        num = {base: window.count(base) for base in "CG"}
        expected = num["C"] * num["G"] / len(window)
        assert row.gc == pytest.approx((num["C"] + num["G"]) / len(window))
        assert row.gc_upstream == pytest.approx((up.count("C") + up.count("G")) / flank_bp)
        assert row.gc_downstream == pytest.approx((down.count("C") + down.count("G")) / flank_bp)
        assert row.cpg == pytest.approx(window.count("CG") / expected if expected else 0)
        masked = {base for start, end in repeats[["start", "end"]].to_numpy() for base in range(start, end)}
        share = len(masked & set(range(cut - flank_bp, cut + flank_bp))) / len(window) if chrom == "a" else 0
        assert row.repeat_share == pytest.approx(share)
        near = (tss["cut"] - cut).abs().min() if chrom == "a" else dict(genome.contigs)[chrom]
        assert row.log_tss_distance == pytest.approx(np.log10(1 + near))


@pytest.mark.parametrize("packed", [False, True])
def test_lower_case_letters_are_runs_across_lines(tmp_path, packed):
    path, text = tmp_path / "x.fa", b">a text\nACgt\r\nacG\n\n>b\nNNnn\n>c\nACGT\n"
    path.write_bytes(gzip.compress(text) if packed else text)
    expected = [("a", 2, 6), ("b", 2, 4)]
    assert list(read_soft_mask(path).itertuples(index=False, name=None)) == expected
    path.write_bytes(b"acgt\n")
    with pytest.raises(ValueError, match="expected a FASTA file, got no record"):
        read_soft_mask(path)


# The pool that bedtools places


def test_bedtools_places_cuts_uniformly_where_they_are_allowed():
    pytest.importorskip("pybedtools")
    genome = genome_of({"a": "ACGTNACGTACGNNNNACGTACGT", "b": "ACGTA", "tiny": "AC"})
    allowed = allow_cuts(genome, 1, avoid=positions_of(all_cuts(genome).iloc[[6]], genome.contigs))
    counts = np.zeros(0)
    for seed in range(250):
        positions = shuffled_genome_pool(genome, allowed, 1, seed=seed)
        assert allowed.contains(positions).all()
        number = allowed.axis.numbers(positions.contig, positions.cut)
        counts = np.append(counts, number)
    numbers, times = np.unique(counts, return_counts=True)
    assert len(numbers) == allowed.num_cuts
    assert chisquare(times).pvalue > 1e-3
