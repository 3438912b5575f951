"""The stitching against slow code that follows the coordinates one cut at a time."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ldarnet import stitch, vocab

probabilities = st.floats(0, 1, width=32)


@st.composite
def routings(draw, num_stages=3):
    """Per stage probabilities and cuts of one window with padding behind it; the first token is always a cut."""
    length = num_tokens = draw(st.integers(1, 40))
    probs, cuts = [], []
    for _ in range(num_stages):
        padding = draw(st.integers(0, 3))
        prob = np.array(draw(st.lists(probabilities, min_size=num_tokens, max_size=num_tokens)), dtype=np.float32)
        prob[0] = 1
        cut = prob > 0.5
        probs.append(np.concatenate([prob, np.full(padding, 0.9, np.float32)]))
        cuts.append(np.concatenate([cut, np.zeros(padding, bool)]))
        num_tokens = int(cut.sum())
    return probs, cuts, length


def slow_values(probs, cuts, length, stage):
    """Follow every base: does it start a token of this stage, and which one?"""
    values = []
    for base in range(length):
        token = base
        for earlier in range(stage):
            if token is not None:
                token = sum(cuts[earlier][:token]) if cuts[earlier][token] else None
        values.append(math.nan if token is None or base == 0 else probs[stage][token])
    return np.array(values, dtype=np.float32)


@given(routings(), st.integers(0, 2))
def test_values_at_cuts(routing, stage):
    probs, cuts, length = routing
    found = stitch.values_at_cuts(probs, cuts, length, stage)
    assert found.dtype == np.float32
    assert np.array_equal(found, slow_values(probs, cuts, length, stage), equal_nan=True)


def test_values_at_cuts_by_hand():
    probs = [np.array([1, 0.9, 0.1, 0.8, 0.7], np.float32), np.array([1, 0.2, 0.6, 0.4], np.float32)]
    cuts = [np.array([True, True, False, True, True]), np.array([True, False, True, False])]
    nan = math.nan
    for stage, expected in ((0, [nan, 0.9, 0.1, 0.8, 0.7]), (1, [nan, 0.2, nan, 0.6, 0.4])):
        found = stitch.values_at_cuts(probs, cuts, 5, stage)
        assert np.array_equal(found, np.array(expected, np.float32), equal_nan=True)


tracks = st.lists(probabilities, min_size=1, max_size=30).map(lambda v: np.array([math.nan, *v[1:]], np.float32))


@given(tracks)
def test_reverse_complement_maps_cut_i_to_length_minus_i(values):
    turned = stitch.from_reverse_complement(values)
    assert math.isnan(turned[0])
    for cut in range(1, len(values)):
        assert turned[cut] == values[len(values) - cut]
    assert np.array_equal(stitch.from_reverse_complement(turned), values, equal_nan=True)


def test_reverse_complement_by_hand():
    """AC|GTT on one strand is AAC|GT on the other."""
    values = np.array([math.nan, 0.1, 0.9, 0.2, 0.3], np.float32)
    expected = np.array([math.nan, 0.3, 0.2, 0.9, 0.1], np.float32)
    assert np.array_equal(stitch.from_reverse_complement(values), expected, equal_nan=True)


@given(st.lists(st.tuples(probabilities, probabilities), min_size=1, max_size=20))
def test_mean_of_strands(pairs):
    forward, reverse = np.array(pairs, np.float32).T
    mean, deviation = stitch.mean_of_strands(forward, reverse)
    for i, pair in enumerate(pairs):
        assert np.isclose(mean[i], np.mean(pair), atol=1e-7)
        assert np.isclose(deviation[i], np.std(pair), atol=1e-7)
        assert min(pair) <= mean[i] <= max(pair)


def test_mean_of_strands_needs_both():
    mean, deviation = stitch.mean_of_strands(np.array([math.nan, 0.5], np.float32), np.array([0.5, 0.5], np.float32))
    assert np.array_equal(np.isnan(mean), [True, False])
    assert np.array_equal(np.isnan(deviation), [True, False])


@given(st.lists(st.sampled_from("ACGTN"), min_size=1, max_size=30))
def test_without_unknown_bases(bases):
    values = np.linspace(0, 1, len(bases), dtype=np.float32)
    found = stitch.without_unknown_bases(np.stack([values, values]), vocab.encode("".join(bases)))
    assert found.dtype == np.float32
    for channel in found:
        for base, value, before in zip(bases, channel, values, strict=True):
            assert math.isnan(value) if base == "N" else value == before
