"""Laws of the comparison: overlap, rates, chunk lengths, tokens per motif, cuts at sites."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import Contig, Interval, reverse_cut
from ldarnet.tracks import open_track
from ldarnet_analysis.compare_axis import Axis, common_axis
from ldarnet_analysis.compare_cuts import CutsOnAxis, highest, shuffled_chunks, write_cuts
from ldarnet_analysis.compare_fragmentation import PUBLISHED_TOKENS, expected_tokens, implied_chunks
from ldarnet_analysis.compare_intervals import BlockDraws
from ldarnet_analysis.compare_lengths import chunk_lengths, length_row
from ldarnet_analysis.compare_letters import kmer_size, kmers_around
from ldarnet_analysis.compare_motifs import ALL_MOTIFS, Occurrences, find_occurrences, motif_rows
from ldarnet_analysis.compare_overlap import agreement_matrix, overlap_sums, overlap_table
from ldarnet_analysis.compare_sites import SiteClass, site_rows, site_table
from ldarnet_analysis.motifs import CountMatrix
from ldarnet_analysis.positions import CutAxis
from ldarnet_analysis.primary import primary_test
from ldarnet_analysis.sites import make_sites
from tests.genome_arrays import genome_of, reversed_genome

RNG = np.random.default_rng


def axis_of(*lengths, block_bp=500):
    """All inner cuts of contigs without N."""
    genome = genome_of({f"c{i}": np.zeros(length, dtype=np.uint8) for i, length in enumerate(lengths)})
    return common_axis(genome, [Interval(name, 0, n) for name, n in genome.contigs], [], block_bp)[0]


def random_cuts(axis, rate, seed):
    return RNG(seed).random(axis.size) < rate


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), tolerance=st.integers(0, 4), rate=st.floats(0.02, 0.6))
def test_widened_reaches_to_the_end_of_a_stretch_and_no_farther(seed, tolerance, rate):
    axis = axis_of(30, 3, 2, 41, block_bp=100)
    cuts = random_cuts(axis, rate, seed)
    near = np.zeros(axis.size, dtype=bool)
    stretch = axis.stretch_of(np.arange(axis.size))
    for i in range(axis.size):
        for j in np.flatnonzero(cuts):
            near[i] |= abs(i - j) <= tolerance and stretch[i] == stretch[j]
    np.testing.assert_array_equal(axis.widened(cuts, tolerance), near)


def test_blocks_are_bins_of_contigs_and_stretches_end_at_n():
    letters = vocab.encode("A" * 1200)
    letters[700:703] = vocab.N
    genome = genome_of({"a": letters, "b": "C" * 300})
    axis, notes = common_axis(genome, [Interval("a", 100, 1200), Interval("b", 0, 300)], [], 500)
    contig, cut = axis.line.split(axis.numbers)
    assert cut[axis.stretches].tolist() == [101, 704, 1] and contig[axis.blocks].tolist() == [0, 0, 0, 1]
    assert cut[axis.blocks].tolist() == [101, 500, 1000, 1] and axis.block_sizes.sum() == axis.size
    assert axis.index_of(axis.numbers[[3, 700]]).tolist() == [3, 700]
    assert axis.index_of(np.array([0, 702, 10**9])).tolist() == [-1, -1, -1]
    assert notes == [f"{axis.size:,} of {axis.size:,} cuts between known bases of the regions are compared"]


def test_regions_without_bases_are_an_error():
    genome = genome_of({"a": "N" * 50 + "ACGT" * 20})
    with pytest.raises(ValueError, match="nothing to compare in a:0-50"):
        common_axis(genome, [Interval("a", 0, 50)], [])
    with pytest.raises(ValueError, match="nothing to compare"):
        common_axis(genome, [], [])


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_a_segmenter_overlaps_with_itself_wholly(tolerance):
    axis = axis_of(30_000)
    cuts = random_cuts(axis, 0.2, 0)
    both, expected, num = (sums.sum() for sums in overlap_sums(axis, cuts, cuts, tolerance))
    assert both == num and 0 < expected < num
    table = overlap_table(axis, [CutsOnAxis("a", cuts, None), CutsOnAxis("b", cuts, None)], 0.2, BlockDraws(60, 0))
    row = table[table["tolerance"] == tolerance].iloc[0]
    assert row["overlap"] == 1 and row["agreement"] == 1 and row["rates"] == "matched"
    assert row["agreement_lo"] == row["agreement_hi"] == 1


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_expected_overlap_is_the_mean_over_all_moves_round_a_block(tolerance):
    axis = axis_of(301, block_bp=1000)
    a, b = random_cuts(axis, 0.2, 1), random_cuts(axis, 0.35, 2)
    near_a, near_b = axis.widened(a, tolerance), axis.widened(b, tolerance)
    moved = [np.sum(np.roll(a, shift) & near_b) + np.sum(b & np.roll(near_a, shift)) for shift in range(axis.size)]
    assert overlap_sums(axis, a, b, tolerance).expected.sum() == pytest.approx(np.mean(moved))


def test_random_cuts_agree_with_random_ones_by_chance_only():
    axis = axis_of(200_000, block_bp=2000)
    draws = BlockDraws(len(axis.blocks), 0)
    covered = 0
    for seed in range(20):
        each = [CutsOnAxis(name, None, RNG([seed, i]).random(axis.size)) for i, name in enumerate("ab")]
        table = overlap_table(axis, each, 0.25, draws)
        assert (table["rate_a"] - 0.25).abs().max() < 1e-5 and (table["ratio"] - 1).abs().max() < 0.03
        covered += (table["ratio_lo"] < 1).iloc[0] and (table["ratio_hi"] > 1).iloc[0]
    assert covered >= 16, "95 % intervals"


def test_a_graded_segmenter_cuts_at_the_rate_of_a_hard_one():
    axis = axis_of(20_000)
    graded = [CutsOnAxis(name, None, RNG(i).random(axis.size).astype(np.float32)) for i, name in enumerate(("p", "q"))]
    hard = [CutsOnAxis(f"every {n}", np.arange(axis.size) % n == 0, None) for n in (4, 10)]
    table = overlap_table(axis, [*graded, *hard], 0.3, BlockDraws(len(axis.blocks), 0), tolerances=(0,))
    rates = table.set_index(["a", "b"])[["rate_a", "rate_b", "rates"]]
    assert rates.loc[("p", "q"), "rate_a"] == pytest.approx(0.3, abs=1e-4)
    assert rates.loc[("p", "every 10"), "rate_a"] == pytest.approx(rates.loc[("p", "every 10"), "rate_b"])
    assert rates.loc[("every 4", "every 10"), "rates"] == "as they are"
    assert set(rates["rates"].iloc[:5]) == {"matched"}
    matrix = agreement_matrix(table, ["p", "q", "every 4", "every 10"], 0)
    assert (np.diag(matrix) == 1).all() and (matrix.to_numpy() == matrix.to_numpy().T).all()


def test_a_segmenter_with_too_few_places_cuts_at_its_own_rate():
    axis = axis_of(20_000)
    places = np.arange(axis.size) % 9 == 0
    sparse = CutsOnAxis("stage 1", places & (np.arange(axis.size) % 18 == 0), np.where(places, 0.4, -1))
    assert sparse.for_rate(0.1) is sparse
    with pytest.raises(ValueError, match=r"places for 0\.1112 cuts per base"):
        sparse.at_rate(0.3)
    dense = CutsOnAxis("p", None, RNG(0).random(axis.size))
    nothing = CutsOnAxis("none", np.zeros(axis.size, dtype=bool), None)
    each = [sparse.for_rate(0.3), dense.for_rate(0.3), nothing]
    table = overlap_table(axis, each, 0.3, BlockDraws(len(axis.blocks), 0), tolerances=(0,)).set_index(["a", "b"])
    row = table.loc[("stage 1", "p")]
    assert row["rates"] == "matched" and row["rate_b"] == pytest.approx(1 / 18, rel=0.01)
    assert table.loc[("p", "none"), "status"] == "no common rate"
    assert table.loc[("p", "none"), "reason"] == "none has no cut in the regions"


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), rate=st.floats(0.01, 0.9), num_levels=st.integers(2, 50))
def test_the_highest_values_are_cut_at_exactly_the_rate(seed, rate, num_levels):
    scores = RNG(seed).integers(0, num_levels, 1000) / num_levels
    found = highest(scores, rate, seed)
    assert found.cuts.sum() == round(rate * 1000)
    assert scores[found.cuts].min() == found.threshold >= scores[~found.cuts].max()
    assert found.num_drawn in (0, np.sum(scores[found.cuts] == found.threshold))


def test_shuffled_chunks_have_the_same_lengths_elsewhere():
    axis = axis_of(8000, 3000)
    cuts = random_cuts(axis, 0.2, 3) | (np.arange(axis.size) % 100 == 0)
    moved = shuffled_chunks(axis, cuts, 5)
    assert moved.sum() == cuts.sum() and (moved & cuts).sum() < 0.5 * cuts.sum()
    for first, last in ((0, axis.stretches[1]), (axis.stretches[1], axis.size)):
        lengths = (np.sort(np.diff(np.flatnonzero(each[first:last]))).tolist() for each in (cuts, moved))
        assert next(lengths) == next(lengths)


def test_lengths_of_grid_and_random_chunks():
    axis = axis_of(100_000, 60_000, block_bp=2000)
    draws = BlockDraws(len(axis.blocks), 0)
    grid = length_row(axis, np.arange(axis.size) % 5 == 0, draws)
    assert (grid["mean"], grid["sd"], grid["median"]) == (5, 0, 5) and grid["single_base_share"] == 0
    row = length_row(axis, random_cuts(axis, 0.2, 1), draws)
    assert row["cv"] == pytest.approx(row["cv_random"], rel=0.02) and row["mean"] == pytest.approx(5, rel=0.02)
    assert row["rate_lo"] < 0.2 < row["rate_hi"] and row["single_base_share"] == pytest.approx(0.2, abs=0.01)
    two = np.zeros(axis.size, dtype=bool)
    two[[axis.stretches[1] - 10, axis.stretches[1] + 10, axis.stretches[1] + 17]] = True
    assert chunk_lengths(axis, two).tolist() == [7], "no chunk reaches over the end of a contig"
    assert length_row(axis, two, draws)["num_cut_off"] == 4


def test_cuts_are_written_as_a_track(tmp_path):
    axis = axis_of(50, 20)
    cuts = random_cuts(axis, 0.3, 0)
    write_cuts(axis, cuts, tmp_path / "x.bw")
    with open_track(tmp_path / "x.bw") as track:
        first, second = track.values("c0", 0, 50), track.values("c1", 0, 20)
    assert np.isnan(first[0]) and np.isnan(second[0])
    np.testing.assert_array_equal(np.concatenate([first[1:], second[1:]]), cuts.astype(np.float32))


# ---- motifs


def occurrences(axis, width, num, seed=0, names=("m",)):
    left = np.sort(RNG(seed).integers(0, axis.size - width, num))
    left = left[axis.block_of(left) == axis.block_of(left + width)]
    number = RNG(seed).integers(0, len(names), left.size)
    return Occurrences(left, np.full(left.size, width), number, names, {}, {})


def rows_of(axis, cuts, found, letters=None, **settings):
    draws = BlockDraws(len(axis.blocks), 0)
    letters = np.zeros(axis.size, dtype=np.int32) if letters is None else letters
    return {row["motif"]: row for row in motif_rows(axis, cuts, found, draws, letters, seed=1, **settings)}


@pytest.mark.parametrize("rate", [0.03, 0.2, 0.6])
def test_the_formula_holds_for_stationary_random_cuts(rate):
    axis = axis_of(400_000, block_bp=5000)
    row = rows_of(axis, random_cuts(axis, rate, 1), occurrences(axis, 11, 4000))["m"]
    assert row["tokens"] == pytest.approx(row["expected"], rel=0.02) == pytest.approx(1 + 10 * rate, rel=0.02)
    assert row["shifted_lo"] < row["expected"] < row["shifted_hi"]
    assert row["ratio_lo"] < 1 < row["ratio_hi"] and row["uncut"] == pytest.approx((1 - rate) ** 10, abs=0.02)
    assert row["own_token_shifted"] == pytest.approx(rate**2 * (1 - rate) ** 10, abs=0.01)


def test_the_formula_holds_for_chunks_of_any_lengths():
    """Chunks of 2 and 30 bases in turn; the formula asks for their mean only."""
    axis = axis_of(400_000, block_bp=5000)
    cuts = np.zeros(axis.size, dtype=bool)
    cuts[::32] = cuts[2::32] = True
    row = rows_of(axis, cuts, occurrences(axis, 9, 6000))["m"]
    assert row["tokens"] == pytest.approx(1 + 8 / 16, rel=0.03)


def test_motifs_cut_at_both_edges_are_tokens_of_their_own():
    axis = axis_of(100_000, block_bp=1000)
    left = np.arange(20, axis.size - 40, 200)
    found = Occurrences(left, np.full(left.size, 12), np.zeros(left.size, dtype=int), ("m",), {}, {})
    cuts = random_cuts(axis, 0.25, 2)
    for offset in range(1, 12):
        cuts[left + offset] = False
    cuts[left] = cuts[left + 12] = True
    row = rows_of(axis, cuts, found)["m"]
    assert (row["tokens"], row["uncut"], row["own_token"], row["ratio"]) == (1, 1, 1, 0)
    assert row["own_token_shifted"] < 0.1 and row["shifted"] > 3
    cuts[left + 1] = True  # the first place inside
    row = rows_of(axis, cuts, found)["m"]
    assert (row["tokens"], row["own_token"]) == (2, 0)


def test_a_motif_whose_letters_are_seldom_cut_is_no_more_whole_than_its_letters():
    """Cuts follow the dinucleotide alone: the ratio is far from 1, that at the same letters is 1."""
    rng = RNG(0)
    ids = rng.integers(0, 4, 300_000).astype(np.uint8)
    left = np.arange(100, 299_000, 150)
    for at in left:
        ids[at : at + 8] = vocab.G
    genome = genome_of({"a": ids})
    axis, _ = common_axis(genome, [Interval("a", 0, ids.size)], [], 5000)
    letters = kmers_around(axis, genome, 2)
    cuts = rng.random(axis.size) < rng.random(17)[letters] * np.where(letters == 4 * vocab.G + vocab.G, 0.1, 1)
    index = axis.index_of(left)
    index = index[axis.block_of(index) == axis.block_of(index + 8)]
    found = Occurrences(index, np.full(index.size, 8), np.zeros(index.size, dtype=int), ("G8",), {}, {})
    row = rows_of(axis, cuts, found, letters, num_shifts=2)["G8"]
    assert row["ratio_hi"] < 0.5 and row["letters_ratio_lo"] < 1 < row["letters_ratio_hi"]
    assert row["letters"] == pytest.approx(row["tokens"], rel=0.05)
    cuts[(index[:, None] + np.arange(1, 8)).ravel()] = False
    assert rows_of(axis, cuts, found, letters, num_shifts=2)["G8"]["letters_ratio"] == 0


def test_shifted_cuts_are_counted_as_if_the_block_were_a_ring():
    axis = axis_of(41, block_bp=100)
    cuts = random_cuts(axis, 0.4, 4)
    found = occurrences(axis, 7, 6, seed=3)
    row = rows_of(axis, cuts, found, num_shifts=4000)["m"]
    inside, own = [], []
    for shift in range(1, axis.size):
        moved = np.roll(cuts, shift)
        counts = np.array([moved[at + 1 : at + 7].sum() for at in found.left])
        inside.append(counts.mean())
        own.append(np.mean((counts == 0) & moved[found.left] & moved[found.left + 7]))
    assert row["shifted"] == pytest.approx(1 + np.mean(inside), abs=0.02)
    assert row["own_token_shifted"] == pytest.approx(np.mean(own), abs=0.01)
    assert row["status"] == "too few blocks" and "1 blocks" in row["reason"]


MATRIX = CountMatrix(
    "M1", "caat", tuple((97, 1, 1, 1) if c == "A" else (1, 97, 1, 1) if c == "C" else (1, 1, 1, 97) for c in "CCAATCA")
)


def test_hits_are_found_and_tokens_are_the_same_on_the_other_strand():
    genome = genome_of({"a": RNG(0).integers(0, 4, 600_000).astype(np.uint8), "b": "ACGTN" * 20})
    turned = reversed_genome(genome)
    lengths = dict(genome.contigs)
    rows, counts = [], []
    for number, each in enumerate((genome, turned)):
        regions = [Interval(name, 0, n) for name, n in each.contigs]
        axis, _ = common_axis(each, regions, [], 600_000)
        found = find_occurrences(axis, each, regions, [MATRIX], 1e-4)
        on_plus = RNG(1).random(600_001) < 0.3
        cut = axis.line.split(axis.numbers)[1]
        contig = axis.line.split(axis.numbers)[0]
        place = reverse_cut(cut, lengths["a"]) if number else cut
        cuts = np.where(contig == 0, on_plus[np.clip(place, 0, 600_000)], False)
        (row,) = rows_of(axis, cuts, found, num_shifts=3).values()
        rows.append(row)
        counts.append(found.left.size)
    assert counts[0] == counts[1] > 40
    for name in ("tokens", "expected", "ratio", "uncut", "own_token", "mean_chunk"):
        assert rows[0][name] == pytest.approx(rows[1][name]), name


def test_several_motifs_are_pooled_and_one_out_of_reach_is_a_row():
    genome = genome_of({"a": RNG(0).integers(0, 4, 200_000).astype(np.uint8)})
    regions = [Interval("a", 0, 200_000)]
    axis, _ = common_axis(genome, regions, [], 5000)
    short = CountMatrix("S", "short", ((1, 1, 1, 1), (2, 1, 1, 1)))
    other = CountMatrix("M2", "", MATRIX.counts[::-1])
    found = find_occurrences(axis, genome, regions, [MATRIX, short, other], 5e-4)
    rows = rows_of(axis, random_cuts(axis, 0.2, 0), found, num_shifts=5)
    assert list(rows) == ["S", "M1 caat", "M2", ALL_MOTIFS]
    assert rows["S"]["status"] == "no occurrences" and "p" in rows["S"]["reason"]
    total = rows["M1 caat"]["num_occurrences"] + rows["M2"]["num_occurrences"]
    assert rows[ALL_MOTIFS]["num_occurrences"] == total == found.left.size


def test_the_published_numbers_are_what_chunk_length_alone_gives():
    chunk = {each.tokenizer: each.mean_chunk_bp for each in implied_chunks()}
    assert chunk["6-mers"] == 6 and chunk["DNAChunker"] == pytest.approx(36.0) and chunk["BPE (GROVER)"] < 6
    assert expected_tokens([1 + 7.92], 36) == pytest.approx(PUBLISHED_TOKENS["DNAChunker"])
    assert [round(expected_tokens([8.92], mean), 2) for mean in (20, 25, 36)] == [1.40, 1.32, 1.22]
    with pytest.raises(ValueError, match="at least 1 bp"):
        expected_tokens([], 5)


# ---- sites


def test_a_cut_that_follows_letters_is_no_more_frequent_at_sites_than_at_those_letters():
    """Half of all CAGG are sites, on both strands; `letters` cuts at all of them, `sites` at those that are sites."""
    rng = RNG(0)
    ids = rng.integers(0, 4, 400_000).astype(np.uint8)
    places = np.arange(50, 399_900, 100)
    strand = np.where(rng.random(places.size) < 0.5, "+", "-")
    literal = vocab.encode("CAGGTA")
    for at, sign in zip(places, strand, strict=True):
        ids[at - 3 : at + 3] = literal if sign == "+" else vocab.reverse_complement(literal)
    is_site = rng.random(places.size) < 0.5
    genome = genome_of({"a": ids})
    axis, _ = common_axis(genome, [Interval("a", 0, ids.size)], [], 5000)
    sites = make_sites(
        chrom="a",
        cut=places[is_site],
        strand=strand[is_site],
        site_class="x",
        locus=(places[is_site] // 1000).astype(str),
    )
    classes = {"x": SiteClass(axis, sites)}
    assert classes["x"].num_elsewhere == 0
    letters, at_sites = random_cuts(axis, 0.1, 1), random_cuts(axis, 0.1, 2)
    letters[axis.index_of(places)] = True
    at_sites[axis.index_of(places[is_site])] = True
    kmers = kmers_around(axis, genome, 6)
    assert kmers[axis.index_of(places[:1])] == vocab_number(ids[places[0] - 3 : places[0] + 3])
    rows = [
        *site_rows(axis, "letters", letters, classes, kmers, 6, 0),
        *site_rows(axis, "sites", at_sites, classes, kmers, 6, 0),
    ]
    table = site_table(rows).set_index(["segmenter", "tolerance", "null"])
    assert (table["status"] == "ok").all() and (table["share"] > 0.99).all()
    assert table.loc[("letters", 0, "shift"), "effect"] == pytest.approx(0.9, abs=0.02)
    assert abs(table.loc[("letters", 0, "same-kmer"), "effect"]) < 0.1
    assert table.loc[("sites", 0, "same-kmer"), "effect"] > 0.7 and table.loc[("sites", 1, "same-kmer"), "q"] < 0.001
    in_family = table["q"].notna()
    assert in_family.sum() == 2 and set(table[in_family].index.get_level_values("tolerance")) == {1}


def vocab_number(ids):
    return int("".join(map(str, ids)), 4)


def test_the_null_of_letters_is_that_of_other_places():
    """Of four places with a k-mer one is a site: the share is that of the other three."""
    genome = genome_of({"a": "ACGT" * 5})
    axis, _ = common_axis(genome, [Interval("a", 0, 20)], [], 100)
    cuts = np.zeros(axis.size, dtype=bool)
    cuts[axis.index_of(np.array([4, 12]))] = True
    sites = make_sites(chrom="a", cut=[4, 19], strand="+", site_class="x")
    classes = {"x": SiteClass(axis, sites.assign(chrom=["a", "a"]))}
    kmers = kmers_around(axis, genome, 2)
    rows = [row for row in site_rows(axis, "s", cuts, classes, kmers, 2, 0) if row["tolerance"] == 0]
    by_null = {row["null"]: row for row in rows}
    # T|A at 4, 8, 12, 16: without the site, one of three is cut; G|T at 19: none of four others
    assert by_null["same-kmer"]["expected"] == pytest.approx((1 / 3 + 0) / 2)
    assert by_null["shift"]["expected"] == pytest.approx(2 / 19) and by_null["shift"]["status"] == "too few loci"


def test_longer_words_are_held_equal_where_places_suffice():
    assert [kmer_size(num) for num in (100, 50 * 4**4, 50 * 4**6, 10**7)] == [2, 4, 6, 8]


def test_sites_off_the_regions_are_counted():
    axis = Axis(CutAxis([Contig("a", 100)]), np.arange(10, 20), np.array([0]), np.array([0]), 100)
    sites = make_sites(chrom="a", cut=[5, 12, 100], strand="-", site_class="x")
    found = SiteClass(axis, sites)
    assert found.index.tolist() == [2] and found.num_elsewhere == 2
    rows = [
        *site_rows(axis, "s", np.ones(10, dtype=bool), {"x": SiteClass(axis, sites.iloc[[0]])}, np.zeros(10, int), 2, 0)
    ]
    assert {row["status"] for row in rows} == {"no sites"} and pd.DataFrame(rows)["reason"].str.len().min() > 0


@pytest.mark.parametrize(("share", "rate"), [(0.01, 0.01), (0.99, 0.99)])
def test_sites_that_chance_hardly_cuts_or_leaves_are_not_tested(share, rate):
    axis = axis_of(300_000)
    cuts = random_cuts(axis, rate, 3)
    at = np.arange(100, 299_000, 1000)
    sites = make_sites(chrom="c0", cut=at, strand="+", site_class="x", locus=at.astype(str))
    rows = list(site_rows(axis, "s", cuts, {"x": SiteClass(axis, sites)}, np.zeros(axis.size, int), 2, 0))
    row = next(each for each in rows if each["tolerance"] == 0 and each["null"] == "shift")
    assert row["status"] == "too few cuts" and np.isnan([row["p"], row["lo"], row["hi"], row["mde"]]).all()
    assert row["num_sites"] == 299 and row["expected"] == pytest.approx(share, abs=0.02) and np.isfinite(row["effect"])
    assert "uncut sites expected by chance" in row["reason"] and "at least 20 of each" in row["reason"]


def test_intervals_of_differences_of_shares_end_at_one():
    """Few cuts in few loci: a bootstrap-t interval reaches far beyond."""
    cuts = np.zeros(20)
    cuts[:3] = 1
    shares = 0.25 + RNG(0).normal(0, 1e-3, 20)
    named = {"site_class": "x", "rung": "shift", "seed": 1}
    wide = primary_test(cuts, shares, np.arange(20), signal="residual", **named)
    assert wide.hi > 1
    row = primary_test(cuts, shares, np.arange(20), signal="cut-rate", **named)
    assert row.hi == 1 and row.lo == wide.lo
