"""Sign-flip tests by locus, held to a slow one that enumerates all flips."""

import itertools
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, ttest_1samp

from ldarnet_analysis.permutation import max_t, sign_flip_test
from tests.clustered_values import clustered

NAN = float("nan")
SEEDS = st.integers(0, 2**32 - 1)


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
