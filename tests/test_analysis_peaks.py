"""Peaks of profiles, and the rows of the table of tests."""

import numpy as np
import pytest
from hypothesis import strategies as st

from ldarnet_analysis import primary
from ldarnet_analysis.bootstrap import cluster_bootstrap
from ldarnet_analysis.comparisons import profile
from ldarnet_analysis.effects import paired_effect
from ldarnet_analysis.peaks import peak, split_loci
from tests.clustered_values import clustered

NAN = float("nan")
SEEDS = st.integers(0, 2**32 - 1)

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
