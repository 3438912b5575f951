"""Tests of paired differences by locus, held to slow ones that enumerate flips and rebuild resamples row by row."""

import itertools
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control, ttest_1samp

from ldarnet_analysis import bootstrap, primary
from ldarnet_analysis.bootstrap import cluster_bootstrap
from ldarnet_analysis.comparisons import profile
from ldarnet_analysis.effects import minimum_detectable_effect, paired_effect, power_of, standardised_effect
from ldarnet_analysis.locus_sums import effective_number, locus_sums
from ldarnet_analysis.multiplicity import benjamini_hochberg
from ldarnet_analysis.odds import odds_ratio
from ldarnet_analysis.peaks import peak, split_loci
from ldarnet_analysis.permutation import max_t, sign_flip_test

NAN = float("nan")
SEEDS = st.integers(0, 2**32 - 1)


def clustered(rng, num_loci, num_offsets=None, largest=9, missing=0.0):
    """Differences that are alike within loci of 1 to `largest` sites, and the loci in no order."""
    sizes = rng.integers(1, largest + 1, num_loci)
    loci = np.repeat([f"locus{i}" for i in range(num_loci)], sizes)
    shape = (num_loci, 1 if num_offsets is None else num_offsets)
    values = np.repeat(rng.normal(size=shape), sizes, axis=0) + rng.normal(size=(len(loci), shape[1]))
    values[rng.random(values.shape) < missing] = NAN
    order = rng.permutation(len(loci))
    values, loci = values[order], loci[order]
    return (values[:, 0] if num_offsets is None else values), loci


# sums within loci


@given(SEEDS, st.integers(1, 12), st.sampled_from([0.0, 0.3]))
@settings(max_examples=30, deadline=None)
def test_sums_equal_those_of_a_group_by(seed, num_loci, missing):
    values, loci = clustered(np.random.default_rng(seed), num_loci, 3, missing=missing)
    groups = pd.DataFrame(values).groupby(loci)
    known = groups.count().any(axis=1)
    sums = locus_sums(values, loci)
    np.testing.assert_allclose(sums.sums, groups.sum()[known], atol=1e-12)
    np.testing.assert_array_equal(np.broadcast_to(sums.nums, sums.sums.shape), groups.count()[known])
    np.testing.assert_allclose(sums.means, pd.DataFrame(values).mean(), atol=1e-12)
    np.testing.assert_array_equal(sums.num_loci, (groups.count() > 0).sum())


def test_standard_error_of_one_site_per_locus_is_the_usual_one():
    values = np.random.default_rng(1).normal(size=50)
    expected = values.std(ddof=1) / np.sqrt(50)
    assert locus_sums(values, np.arange(50)).standard_errors[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "loci", "message"),
    [
        ([1.0, 2.0], ["a"], r"one locus per row, got values \[2\] and loci \[1\]"),
        ([1.0, np.inf], ["a", "b"], "got 1 infinite"),
        ([1.0, 2.0], ["a", None], "got 1 of 2 without one"),
        ([1.0, 2.0], [NAN, ""], "got 2 of 2 without one"),
    ],
)
def test_rows_that_cannot_be_grouped_are_refused(values, loci, message):
    with pytest.raises(ValueError, match=message):
        locus_sums(np.array(values), np.array(loci, dtype=object))


def test_effective_number_counts_equal_loci_and_forgets_tiny_ones():
    assert effective_number(np.full(7, 3)) == 7
    assert effective_number(np.array([1000, 1, 1])) == pytest.approx(1, abs=0.01)


# bootstrap


def slow_bootstrap_t(values, loci, num, level, seed):
    """Every resample built row by row; its standard error from its own locus sums."""
    names = np.unique(loci[~np.isnan(values)])
    rows = [values[(loci == name) & ~np.isnan(values)] for name in names]

    def mean_and_error(drawn):
        total = np.concatenate(drawn)
        mean = total.mean()
        return mean, np.sqrt(sum((each - mean).sum() ** 2 for each in drawn)) / len(total)

    mean, error = mean_and_error(rows)
    drawn = np.random.default_rng(seed).integers(len(rows), size=(num, len(rows)))
    resamples = [mean_and_error([rows[i] for i in each]) for each in drawn]
    studentised = np.sort([(resampled - mean) / spread for resampled, spread in resamples])
    low, high = (studentised[int(np.ceil(share * num)) - 1] for share in ((1 - level) / 2, (1 + level) / 2))
    return mean, mean - high * error, mean - low * error


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_interval_equals_that_of_resamples_built_row_by_row(missing):
    values, loci = clustered(np.random.default_rng(3), 25, missing=missing)
    got = cluster_bootstrap(values, loci, num=400, level=0.9, seed=8)
    expected = slow_bootstrap_t(values, loci, 400, 0.9, 8)
    np.testing.assert_allclose([got.estimate, got.lo, got.hi], expected, rtol=1e-9)
    assert got.status == "ok"


def test_intervals_along_a_profile_are_those_of_each_offset_and_do_not_depend_on_blocks(monkeypatch):
    values, loci = clustered(np.random.default_rng(4), 30, 3)
    whole = cluster_bootstrap(values, loci, num=300, seed=1)
    monkeypatch.setattr(bootstrap, "BLOCK_NUMBERS", 100)
    each = [cluster_bootstrap(column, loci, num=300, seed=1) for column in values.T]
    np.testing.assert_allclose(whole.lo, [one.lo for one in each])
    np.testing.assert_allclose(whole.hi, [one.hi for one in each])


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_intervals_move_and_turn_with_the_values_and_ignore_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    values, loci = clustered(rng, 22)
    order = rng.permutation(len(values))
    plain = cluster_bootstrap(values, loci, num=99, seed=5)
    moved = cluster_bootstrap(3 - 2 * values[order], loci[order], num=99, level=0.95, seed=5)
    assert plain.lo < plain.estimate < plain.hi
    # tails of turned values are counted from the other end, one resample apart
    assert moved.estimate == pytest.approx(3 - 2 * plain.estimate)
    assert moved.hi - moved.lo == pytest.approx(2 * (plain.hi - plain.lo), rel=0.35)
    shifted = cluster_bootstrap(values[order] + 7, loci[order], num=99, seed=5)
    np.testing.assert_allclose([shifted.lo, shifted.hi], [plain.lo + 7, plain.hi + 7])


def test_no_interval_is_given_under_twenty_loci_or_without_spread():
    values, loci = clustered(np.random.default_rng(5), 20, 3)
    values[loci == "locus7", 1] = NAN
    values[:, 2] = 0.25
    got = cluster_bootstrap(values, loci, num=99, seed=1)
    assert got.status.tolist() == ["ok", "too few loci", "degenerate"]
    assert got.num_loci.tolist() == [20, 19, 20]
    assert np.isnan(got.lo).tolist() == np.isnan(got.hi).tolist() == [False, True, True]
    assert np.isfinite(got.estimate).all()
    alone = cluster_bootstrap(values[:, 0], loci, np.median, num=99, seed=1)
    assert alone.status == "ok"
    assert cluster_bootstrap(values[:9, 0], loci[:9], np.median, num=9, seed=1).status == "too few loci"
    nothing = cluster_bootstrap(np.empty((0, 2)), np.empty(0), num=9, seed=1)
    assert nothing.status.tolist() == ["too few loci"] * 2
    assert np.isnan(nothing.estimate).all()


def test_difference_in_a_single_locus_has_no_interval():
    """Most resamples without it have no spread: nothing bounds the mean from above."""
    values = np.zeros(40)
    values[3] = 1.0
    assert cluster_bootstrap(values, np.arange(40), num=499, seed=1).status == "degenerate"


@pytest.mark.parametrize("statistic", [None, np.median])
def test_intervals_of_few_unequal_loci_miss_no_more_than_they_say(statistic):
    num, rng = 300, np.random.default_rng(6)
    missed = 0
    for seed in range(num):
        values, loci = clustered(rng, 24)
        got = cluster_bootstrap(values, loci, statistic, 199, seed=seed)
        missed += bool(got.lo > 0 or got.hi < 0)
    assert binom.ppf(1e-3, num, 0.03) <= missed <= binom.ppf(1 - 1e-3, num, 0.07)


# sign flips


def enumerated_p(diffs, loci):
    """Adjusted p of each offset over all flips of whole loci, each flip studentised anew, in whole numbers of flips."""
    names = np.unique(loci)
    sums = np.array([np.nansum(diffs[loci == name], axis=0) for name in names])

    def studentised(signs):
        flipped = sums * np.array(signs)[:, None]
        # Student's t without its constant; larger with the same order where all loci agree
        spread = np.sqrt(((flipped - flipped.mean(axis=0)) ** 2).sum(axis=0))
        return np.abs(flipped.sum(axis=0)) / (spread + 1e-300)

    null = np.array([studentised(signs) for signs in itertools.product([1, -1], repeat=len(names))])
    maxima = null.max(axis=1)
    return np.array([(maxima >= observed * (1 - 1e-6)).mean() for observed in null[0]])


@given(SEEDS, st.integers(2, 8), st.integers(1, 4), st.sampled_from([0.0, 0.2]))
@settings(max_examples=40, deadline=None)
def test_max_t_equals_studentising_anew_in_every_flip(seed, num_loci, num_offsets, missing):
    diffs, loci = clustered(np.random.default_rng(seed), num_loci, num_offsets, largest=3)
    rng = np.random.default_rng(seed + 1)
    absent = (rng.random(diffs.shape) < missing) & (pd.Series(loci).duplicated().to_numpy()[:, None])
    diffs[absent] = NAN
    got = max_t(diffs, loci, num=999, seed=0)
    assert got.exact
    assert got.num_flips == 2**num_loci
    np.testing.assert_allclose(got.p, enumerated_p(diffs, loci))
    assert got.p_global == got.p.min()


def test_sums_that_tie_in_all_flips_count_as_ties():
    """Whole multiples of 0.1 whose sums differ in their last bit only."""
    diffs = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3])
    patterns = np.array(list(itertools.product([1, -1], repeat=6))) @ np.round(10 * diffs).astype(int)
    assert sign_flip_test(diffs, np.arange(6), seed=0).p == np.mean(np.abs(patterns) >= 12)
    assert sign_flip_test(-diffs[::-1], np.arange(6), seed=0).p == np.mean(np.abs(patterns) >= 12)


def test_random_flips_come_close_to_all_flips():
    diffs, loci = clustered(np.random.default_rng(21), 12)
    diffs += 0.5
    every = sign_flip_test(diffs, loci, num=9999, seed=1)
    some = sign_flip_test(diffs, loci, num=4000, seed=1)
    assert (every.exact, some.exact) == (True, False)
    assert (some.num_flips, every.num_flips) == (4000, 4096)
    assert 0.01 < every.p < 0.9
    assert some.p == pytest.approx(every.p, abs=5 * np.sqrt(every.p / 4000))
    assert some == sign_flip_test(diffs, loci, num=4000, seed=1)
    assert some.p != sign_flip_test(diffs, loci, num=4000, seed=2).p


def test_repeating_the_sites_of_every_locus_is_no_more_evidence():
    diffs, loci = clustered(np.random.default_rng(8), 30, largest=1)
    once = sign_flip_test(diffs, loci, num=999, seed=1)
    assert sign_flip_test(np.tile(diffs, 10), np.tile(loci, 10), num=999, seed=1).p == once.p
    assert once.t == pytest.approx(ttest_1samp(diffs, 0).statistic)


def test_p_is_never_zero_and_flips_say_how_many():
    diffs = np.full(60, 0.5)
    got = sign_flip_test(diffs, np.arange(60), num=199, seed=1)
    assert got.p == 1 / 200
    assert (got.num_loci, got.num_flips, got.exact) == (60, 199, False)


def test_max_t_of_one_offset_is_the_sign_flip_test_and_more_offsets_only_raise_p():
    diffs, loci = clustered(np.random.default_rng(9), 40, 30)
    diffs[:, 0] += 0.6
    joint = max_t(diffs, loci, num=999, seed=4)
    single = [sign_flip_test(column, loci, num=999, seed=4).p for column in diffs.T]
    assert max_t(diffs[:, :1], loci, num=999, seed=4).p[0] == single[0]
    assert (joint.p >= single).all()
    assert joint.p[0] > single[0]


def test_offsets_without_values_or_differences_are_not_called():
    diffs, loci = clustered(np.random.default_rng(10), 25, 3)
    diffs[:, 1], diffs[:, 2] = NAN, 0.0
    got = max_t(diffs, loci, num=99, seed=1)
    assert np.isnan([got.p[1], got.t[1]]).all()
    assert (got.p[2], got.t[2]) == (1.0, 0.0)
    assert got.num_loci.tolist() == [25, 0, 25]
    assert np.isnan(sign_flip_test(np.full(3, NAN), np.arange(3), seed=1).p)


def test_max_t_calls_a_false_offset_no_more_often_than_it_says():
    num, rng = 300, np.random.default_rng(11)
    called = 0
    for seed in range(num):
        diffs, loci = clustered(rng, 50, 20, largest=4)
        called += max_t(diffs, loci, num=199, seed=seed).p_global <= 0.05
    assert binom.ppf(1e-3, num, 0.05) <= called <= binom.ppf(1 - 1e-3, num, 0.05)


def test_flips_of_many_loci_are_held_in_blocks():
    diffs, loci = np.random.default_rng(12).normal(size=(3000, 50)), np.arange(3000)
    tracemalloc.start()
    max_t(diffs, loci, num=9999, seed=1)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 9999 * 3000 * 8 / 2


# effects


def test_standardised_effect_is_hedges_g_of_the_differences():
    diffs = np.array([1.0, 2.0, 4.0, NAN])
    g = np.mean([1, 2, 4]) / np.std([1, 2, 4], ddof=1) * (1 - 3 / 7)
    assert standardised_effect(diffs) == pytest.approx(g)
    assert np.isnan(standardised_effect(np.full(5, 2.0)))


def test_design_effect_is_one_for_single_sites_and_the_size_for_copies():
    diffs, loci = clustered(np.random.default_rng(13), 60, largest=1)
    once = paired_effect(diffs, loci)
    five = paired_effect(np.repeat(diffs, 5), np.repeat(loci, 5))
    assert once.design_effect == pytest.approx(1)
    assert five.design_effect == pytest.approx(5, rel=0.02)
    assert five.minimum_detectable() == pytest.approx(once.minimum_detectable())
    assert (five.num_sites, five.num_loci) == (300, 60)


@given(st.integers(5, 500), st.floats(0.1, 3), st.floats(0.3, 0.95), st.floats(1, 4))
def test_power_of_the_minimum_detectable_effect_is_the_power_asked_for(n_loci, sd, power, design_effect):
    effect = minimum_detectable_effect(n_loci, sd, power=power, design_effect=design_effect, num_sites=5 * n_loci)
    assert power_of(effect, n_loci, sd, design_effect=design_effect, num_sites=5 * n_loci) == pytest.approx(power)


def test_minimum_detectable_effect_is_found_as_often_as_it_says():
    num, rng = 400, np.random.default_rng(14)
    found = 0
    for seed in range(num):
        diffs, loci = clustered(rng, 40, largest=5)
        diffs += paired_effect(diffs, loci).minimum_detectable(power=0.8)
        found += sign_flip_test(diffs, loci, num=399, seed=seed).p <= 0.05
    assert 0.72 < found / num < 0.88


def test_fewer_than_two_loci_have_no_error_and_no_power():
    got = paired_effect(np.array([1.0, 3.0]), np.array(["a", "a"]))
    assert (got.mean, got.num_sites, got.num_loci) == (2.0, 2, 1)
    assert np.isnan([got.sd, got.standard_error, got.minimum_detectable(), got.power_of(1.0)]).all()
    assert np.isnan(paired_effect(np.empty(0), np.empty(0)).mean)


# many tests


@given(st.lists(st.one_of(st.floats(0, 1), st.just(NAN)), max_size=20))
def test_q_equals_scipys_and_leaves_missing_tests_out(p):
    p = np.array(p, dtype=float)
    q = benjamini_hochberg(p)
    tested = ~np.isnan(p)
    assert (np.isnan(q) == ~tested).all()
    if tested.any():
        np.testing.assert_allclose(q[tested], false_discovery_control(p[tested]))


def test_p_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and 1, got 0\.2 to 1\.2"):
        benjamini_hochberg(np.array([0.2, 1.2]))


# odds


def test_interval_of_unpaired_independent_sites_is_woolfs():
    rng = np.random.default_rng(15)
    sites, controls = rng.random(2000) < 0.3, rng.random(3000) < 0.2
    got = odds_ratio(sites, controls, np.arange(2000), np.arange(2000, 5000))
    cells = np.array([sites.sum(), (~sites).sum(), controls.sum(), (~controls).sum()]) + 0.5
    assert got.odds_ratio == pytest.approx(cells[0] * cells[3] / cells[1] / cells[2])
    half_width = (np.log(got.hi) - np.log(got.lo)) / 2
    assert half_width == pytest.approx(1.96 * np.sqrt((1 / cells).sum()), rel=0.01)
    assert (got.site_share, got.control_share, got.num_loci) == (sites.mean(), controls.mean(), 2000)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_swapping_sites_and_controls_inverts_the_odds_ratio(seed):
    rng = np.random.default_rng(seed)
    loci = rng.permutation(np.repeat(np.arange(30), 4))
    sites, controls = rng.random((2, 120)) < rng.random(30)[loci]
    there, back = odds_ratio(sites, controls, loci), odds_ratio(controls, sites, loci)
    np.testing.assert_allclose([there.odds_ratio, there.lo, there.hi], [1 / back.odds_ratio, 1 / back.hi, 1 / back.lo])
    assert odds_ratio(sites, controls, loci, loci) == pytest.approx(there)


def test_pairing_narrows_the_interval_where_sites_and_controls_are_alike():
    rng = np.random.default_rng(16)
    loci = np.repeat(np.arange(40), 10)
    sites, controls = rng.random((2, 400)) < np.repeat(rng.random(40), 10)
    paired, unpaired = odds_ratio(sites, controls, loci), odds_ratio(sites, controls, loci, loci + 40)
    assert paired.odds_ratio == unpaired.odds_ratio
    assert paired.hi / paired.lo < unpaired.hi / unpaired.lo


def test_odds_without_an_interval_say_why():
    all_cut, loci = np.ones(50), np.arange(50)
    assert odds_ratio(all_cut, all_cut, loci).status == "degenerate"
    never = odds_ratio(all_cut, np.zeros(50), loci)
    assert never.odds_ratio == pytest.approx(101**2)
    assert never.status == "degenerate"
    assert odds_ratio(all_cut[:19], np.arange(19) % 2, loci[:19]).status == "too few loci"
    assert odds_ratio(all_cut, np.ones(19), loci, 100 + np.arange(19)).status == "too few loci"
    missing = odds_ratio(np.full(30, NAN), np.ones(30), np.arange(30))
    assert np.isnan(missing.odds_ratio)
    assert missing.num_loci == 0
    with pytest.raises(ValueError, match="as many controls as sites, got 3 and 2"):
        odds_ratio(np.ones(2), np.ones(3), np.arange(2))


# peaks


def peaked(rng, num_loci=80, at=3, height=1.0):
    values, loci = clustered(rng, num_loci, 21)
    values[:, 10 + at] += height
    return values, loci, np.arange(-10, 11), split_loci(loci, seed=0)


def test_position_comes_from_train_and_valid_and_height_from_test():
    values, loci, offsets, split = peaked(np.random.default_rng(17), height=2.0)
    got = peak(values, loci, offsets, split, 499, seed=1)
    assert (got.offset, got.offset_lo, got.offset_hi) == (3, 3, 3)
    assert (got.position_status, got.height_status) == ("ok", "ok")
    assert got.num_choosing_loci == got.num_test_loci == 40
    test = split == "test"
    assert got.height == pytest.approx(values[test, 13].mean())
    elsewhere = values.copy()
    elsewhere[test, 2] += 100
    assert peak(elsewhere, loci, offsets, split, 499, seed=1) == got
    higher = values.copy()
    higher[~test, 13] += 100
    assert peak(higher, loci, offsets, split, 499, seed=1).height == got.height
    both = np.where(test, "test", np.where(np.arange(len(loci)) % 2 == 0, "train", "valid"))
    assert peak(values, loci, offsets, both, 499, seed=1) == got


def test_height_of_a_peak_chosen_among_noise_is_not_too_large():
    heights, chosen_heights, rng = [], [], np.random.default_rng(18)
    for _ in range(100):
        values, loci, offsets, split = peaked(rng, num_loci=40, height=0.0)
        got = peak(values, loci, offsets, split, 1, seed=1)
        heights.append(got.height)
        chosen_heights.append(values[split != "test", int(got.offset) + 10].mean())
    assert np.mean(chosen_heights) > 0.3
    assert abs(np.mean(heights)) < 4 * np.std(heights) / np.sqrt(100)


def test_peaks_say_what_they_cannot_give():
    values, loci, offsets, split = peaked(np.random.default_rng(19), num_loci=30)
    got = peak(values, loci, offsets, split, 99, seed=1)
    assert (got.position_status, got.height_status) == ("too few loci", "too few loci")
    assert np.isnan([got.offset_lo, got.lo, got.hi]).all()
    assert np.isfinite([got.offset, got.height]).all()
    with pytest.raises(ValueError, match="in test and elsewhere"):
        peak(values, loci, offsets, np.where(np.arange(len(loci)) % 2, "test", "train"), 9, seed=1)
    with pytest.raises(ValueError, match="loci outside test"):
        peak(values, loci, offsets, np.full(len(loci), "test"), 9, seed=1)
    with pytest.raises(ValueError, match=r"got \[\d+, 20\]"):
        peak(values[:, :20], loci, offsets, split, 9, seed=1)
    flat = np.zeros_like(values)
    assert peak(flat, loci, offsets, split, 9, seed=1).offset == 0


def test_split_keeps_loci_whole():
    loci = np.repeat(np.arange(31), 3)
    split = split_loci(loci, seed=3, test_share=1 / 3)
    assert (split.reshape(31, 3) == split[::3, None]).all()
    assert (split[::3] == "test").sum() == 10


# rows of tests.tsv


def row_of(num_loci=30, **settings):
    rng = np.random.default_rng(20)
    controls, loci = clustered(rng, num_loci)
    sites = controls + rng.normal(0.5, 1, len(controls))
    names = {"site_class": "donor", "rung": "same-kmer", "signal": "residual"}
    return (
        primary.primary_test(sites, controls, loci, **names, seed=1, num_flips=999, **settings),
        sites,
        controls,
        loci,
    )


def test_a_test_that_could_be_made_has_every_number():
    row, sites, controls, loci = row_of()
    diffs = sites - controls
    assert (row.status, row.reason, row.n_sites, row.n_loci) == ("ok", "", len(sites), 30)
    assert row.effect == pytest.approx(diffs.mean())
    assert row.lo < row.effect < row.hi
    assert row.mde == pytest.approx(paired_effect(diffs, loci).minimum_detectable())
    assert 0 < row.p < 0.1
    table = primary.tests_table([row])
    expected = "class rung signal effect lo hi p q n_sites n_loci mde status reason"
    assert list(table.columns) == expected.split()
    assert table.loc[0, ["class", "rung", "signal", "n_loci"]].tolist() == ["donor", "same-kmer", "residual", 30]


def test_controls_of_a_site_are_averaged_and_sites_without_any_counted():
    _, sites, controls, loci = row_of()
    several = np.stack([controls + 1, controls - 1, np.full(len(sites), NAN)], axis=1)
    several[0], sites[1] = NAN, NAN
    names = {"site_class": "donor", "rung": "gc", "signal": "raw"}
    row = primary.primary_test(sites, several, loci, **names, seed=1, num_flips=99)
    assert row.effect == pytest.approx((sites - controls)[2:].mean())
    assert row.reason == f"2 of {len(sites)} sites without a value or control left out"
    assert row.n_sites == len(sites) - 2


def test_tests_that_could_not_be_made_are_rows_with_a_reason():
    few = row_of(num_loci=19)[0]
    assert (few.status, few.reason) == ("too few loci", "19 loci, at least 20 needed")
    assert np.isfinite(few.effect)
    assert np.isnan([few.lo, few.hi, few.p, few.mde]).all()
    refused = row_of(unbalanced="gc differs by 0.20 SD")[0]
    assert (refused.status, refused.reason) == ("unbalanced", "gc differs by 0.20 SD")
    assert np.isnan([refused.effect, refused.p]).all()
    names = {"site_class": "donor", "rung": "gc", "signal": "raw", "seed": 1}
    assert primary.primary_test(np.empty(0), np.empty(0), np.empty(0), **names).status == "no sites"
    missing = primary.primary_test(np.full(3, NAN), np.ones(3), np.arange(3), **names)
    assert (missing.status, missing.reason) == ("no sites", "3 of 3 sites without a value or control left out")
    assert primary.primary_test(np.ones(30), np.ones(30), np.arange(30), **names).status == "degenerate"
    with pytest.raises(ValueError, match="expected a status of ok, too few loci"):
        primary.TestRow("donor", "gc", "raw", status="fine")
    with pytest.raises(ValueError, match="expected a reason"):
        primary.TestRow("donor", "gc", "raw", status="needs model")


def test_q_is_filled_in_the_family_only():
    rows = [
        primary.TestRow("donor", "same-kmer", "residual", p=0.01),
        primary.TestRow("acceptor", "same-kmer", "residual", p=0.04),
        primary.TestRow("TATA-box", "same-kmer", "residual", p=0.5, status="unbalanced", reason="gc"),
        primary.TestRow("donor", "gc", "residual", p=0.001),
        primary.TestRow("donor", "same-kmer", "raw", p=0.001),
    ]
    table = primary.tests_table(rows)
    filled = primary.fill_q(table)
    np.testing.assert_allclose(filled["q"], [0.02, 0.04, NAN, NAN, NAN])
    assert table["q"].isna().all()
    np.testing.assert_allclose(primary.fill_q(filled, {"signal": "raw"})["q"], [0.02, 0.04, NAN, NAN, 0.001])
    with pytest.raises(ValueError, match="donor same-kmer residual again"):
        primary.fill_q(primary.tests_table([rows[0], rows[0]]))
    with pytest.raises(ValueError, match="got tier"):
        primary.fill_q(table, {"tier": "1"})


def test_profiles_of_probabilities_stay_between_zero_and_one():
    """One site unlike 23 equal ones: the interval of bootstrap-t reaches far beyond 1, or below 0."""
    loci = np.arange(24)
    low = np.where(loci == 0, 0.9, 0.01)[:, None] + np.linspace(0, 1e-4, 24)[:, None]
    matrix = np.hstack([low, 1 - low]).astype(np.float32)
    free = cluster_bootstrap(matrix, loci, num=1000, seed=1)
    assert np.nanmax(free.hi) > 1 or np.nanmin(free.lo) < 0
    table = profile("x", "sites", "raw", matrix, np.array([0, 1]), loci, seed=1)
    assert table[["lo", "hi"]].stack().between(0, 1).all()
    assert (table["lo"] <= table["mean"]).all() and (table["mean"] <= table["hi"]).all()
