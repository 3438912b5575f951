"""Laws of agreement measures and their nulls, and of the intervals of the table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ldarnet.robustness import agreement
from ldarnet.robustness.tally import Measured
from ldarnet_analysis.robustness_table import COLUMNS, robustness_table

cuts = st.integers(8, 40).flatmap(lambda n: st.tuples(*[arrays(bool, (2, n))] * 2))
probabilities = st.integers(8, 40).flatmap(
    lambda n: st.tuples(*[arrays(np.float32, (2, n), elements=st.floats(0, 1, width=32))] * 2)
)


def mean_over_shifts(measure, a, b):
    """What the null should be: the measure of one row against all circular shifts of the other, on average."""
    return np.mean([measure(a, np.roll(b, shift, axis=1)) for shift in range(a.shape[1])], axis=0)


@given(cuts)
@settings(max_examples=30)
def test_nulls_of_counts_are_means_over_all_circular_shifts(pair):
    a, b = pair
    found = agreement.equal(a, b)
    np.testing.assert_allclose(found.null_sums, mean_over_shifts(lambda x, y: (x == y).sum(1), a, b))
    found = agreement.shared(a, b)
    np.testing.assert_allclose(found.null_sums, mean_over_shifts(lambda x, y: (x & y).sum(1), a, b))
    np.testing.assert_allclose(found.null_nums, mean_over_shifts(lambda x, y: (x | y).sum(1), a, b))
    distance = np.minimum(np.arange(a.shape[1]), 5)
    by_distance = agreement.changed_by_distance(a, b, distance)
    for i, first in enumerate([0, 1, 2, 3]):
        here = distance == first
        brute = mean_over_shifts(lambda x, y, here=here: (x != y)[:, here].sum(1), a, b)
        np.testing.assert_allclose(by_distance.null_sums[:, i], brute)


@given(probabilities)
@settings(max_examples=30)
def test_null_of_movement_is_the_mean_over_all_circular_shifts(pair):
    p, q = pair
    distance = np.where(np.arange(p.shape[1]) % 2, 3, -1)
    found = agreement.moved_by_distance(p, q, distance)
    brute = mean_over_shifts(lambda x, y: np.abs(x - y)[:, 1::2].sum(1), p.astype(float), q.astype(float))
    np.testing.assert_allclose(found.null_sums[:, 3], brute, atol=1e-6)
    np.testing.assert_allclose(found.sums[:, 3], np.abs(p - q)[:, 1::2].sum(1), rtol=1e-5, atol=1e-6)
    assert found.nums[:, 3].tolist() == [p.shape[1] // 2] * 2
    assert not np.delete(found.nums, 3, axis=1).any()


@given(cuts)
@settings(max_examples=30)
def test_a_reading_agrees_with_itself(pair):
    a, b = pair
    for sums in (agreement.equal(a, a), agreement.shared(a, a), agreement.within(a, a, 2)):
        np.testing.assert_array_equal(sums.sums, sums.nums)
    assert not agreement.num_changed(a, a).sums.any()
    for one, other in ((agreement.equal, agreement.equal), (agreement.shared, agreement.shared)):
        np.testing.assert_allclose(one(a, b), other(b, a))
    np.testing.assert_allclose(agreement.within(a, b, 1), agreement.within(b, a, 1))


@given(cuts, st.integers(0, 3))
def test_a_partner_is_a_cut_of_the_other_so_near(pair, tolerance):
    a, b = pair
    near = [
        [any(other[max(0, i - tolerance) : i + tolerance + 1]) for i in np.flatnonzero(mine)]
        for mine, other in [*zip(a, b, strict=True), *zip(b, a, strict=True)]
    ]
    found = agreement.within(a, b, tolerance)
    assert found.sums.sum() == sum(map(sum, near))
    assert found.nums.sum() == sum(map(len, near))
    if tolerance:
        assert (found.sums >= agreement.within(a, b, tolerance - 1).sums).all()


def test_cuts_of_all_models():
    readings = np.zeros((3, 1, 10), dtype=bool)
    readings[0, 0, :6] = readings[1, 0, 3:9] = readings[2, 0, 4:7] = True
    found = agreement.cut_by_all(readings)
    assert found.sums.tolist() == [2]
    assert found.nums.tolist() == [5]
    assert found.null_sums[0] == pytest.approx(10 * 0.6 * 0.6 * 0.3)


def test_places_left_out_do_not_count():
    a, b = np.array([[1, 0, 1, 0]], dtype=bool), np.array([[1, 1, 0, 0]], dtype=bool)
    use = np.array([[1, 0, 0, 1]], dtype=bool)
    assert [each.tolist() for each in agreement.changed(a, b, use)] == [[0], [2], [1], [2]]


def test_constant_probabilities_have_no_correlation():
    dice = [np.random.default_rng(0)]
    found = agreement.correlation(np.full((1, 40), 0.3, np.float32), np.random.default_rng(1).random((1, 40)), dice)
    assert found.nums.tolist() == [0]


def measured(sums, **changes):
    return Measured("m", "t", float("nan"), *sums)._replace(**changes)


def test_intervals_of_unrelated_cuts_cover_the_null():
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(60):
        rates = rng.uniform(0.1, 0.4, (40, 1))  # windows differ in rate, which the null must know
        a, b = (rng.random((40, 200)) < rates for _ in range(2))
        rows += [measured(agreement.equal(a, b)), measured(agreement.within(a, b, 1)), measured(agreement.shared(a, b))]
    table = robustness_table(rows, seed=0)
    assert (table["status"] == "ok").all()
    assert table["null_lo"].le(table["null"]).all() and table["null"].le(table["null_hi"]).all()
    covered = (table["lo"] <= table["null"]) & (table["null"] <= table["hi"])
    assert covered.mean() > 0.9
    # rates shared by both readings count: without them the null would be lower
    pooled = np.mean([(each.sums.sum() - each.null_sums.sum()) / each.nums.sum() for each in rows])
    assert abs(pooled) < 0.002


def test_the_table_says_what_it_cannot_say():
    ones, none = np.ones(30), np.zeros(30)
    few = np.where(np.arange(30) < 5, 1.0, 0.0)
    rng = np.random.default_rng(0)
    table = robustness_table(
        [
            measured((ones, ones, none, none)),
            measured((few * 0.5, few, none, none)),
            measured((none, none, none, none)),
            measured([np.empty(0)] * 4, reason="it rained"),
            measured((rng.random(30), ones, rng.random(30), ones)),
        ],
        seed=0,
    )
    assert list(table.columns) == COLUMNS
    assert table["status"].tolist() == ["no spread", "too few windows", "too few windows", "not run", "ok"]
    assert table["n_windows"].tolist() == [30, 5, 0, 0, 30]
    assert table["value"].tolist()[:2] == [1, 0.5]
    assert table["value"].isna().tolist() == [False, False, True, True, False]
    assert table["lo"].notna().tolist() == [False] * 4 + [True]
    assert table["null"].notna().tolist() == [False] * 4 + [True]
    assert table["reason"].tolist()[3] == "it rained"
    assert table["reason"].tolist()[4] == ""
    last = table.iloc[-1]
    assert last["lo"] < last["value"] < last["hi"]


def test_the_same_seed_gives_the_same_table():
    rng = np.random.default_rng(0)
    rows = [measured((rng.random(40), np.ones(40), rng.random(40), np.ones(40))) for _ in range(70)]
    first = robustness_table(rows, seed=0)
    assert first.equals(robustness_table(rows, seed=0))
    # rows do not depend on which others stand beside them
    alone = robustness_table(rows[69:], seed=0)
    pd.testing.assert_frame_equal(first.iloc[[69]].reset_index(drop=True), alone, rtol=1e-12)
    assert not first.equals(robustness_table(rows, seed=1))
