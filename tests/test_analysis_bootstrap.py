"""Sums within loci and intervals by cluster bootstrap, held to resamples rebuilt row by row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ldarnet_analysis import bootstrap
from ldarnet_analysis.bootstrap import cluster_bootstrap
from ldarnet_analysis.locus_sums import effective_number, locus_sums
from tests.clustered_values import clustered

NAN = float("nan")
SEEDS = st.integers(0, 2**32 - 1)

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
