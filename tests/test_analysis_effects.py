"""Effects, power, q values and odds ratios of sites in loci."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from ldarnet_analysis.effects import minimum_detectable_effect, paired_effect, power_of, standardised_effect
from ldarnet_analysis.multiplicity import benjamini_hochberg
from ldarnet_analysis.odds import odds_ratio
from ldarnet_analysis.permutation import sign_flip_test
from tests.clustered_values import clustered

NAN = float("nan")
SEEDS = st.integers(0, 2**32 - 1)

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


def test_what_rounding_leaves_is_no_certainty():
    """As many cuts at sites as at controls in every locus: only rounding keeps the spread from 0."""
    rng = np.random.default_rng(4)
    loci = np.repeat(np.arange(60), 5)
    sites = rng.random(300) < 0.3
    controls = np.concatenate([rng.permutation(each) for each in np.split(sites, 60)])
    got = odds_ratio(sites, controls, loci)
    assert (got.odds_ratio, got.status) == (1, "degenerate") and np.isnan([got.lo, got.hi]).all()
    controls[:5] = ~controls[:5]
    assert odds_ratio(sites, controls, loci).status == "ok"
