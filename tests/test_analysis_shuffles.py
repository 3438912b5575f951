"""Shuffles keep what they promise to keep, and reach every arrangement equally often."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from ldarnet import vocab
from ldarnet_analysis.shuffles import moved_share, num_arrangements, shuffle_klets

KS = (1, 2, 3)
sequences = st.text("ACGTN", max_size=60) | st.text("AC", max_size=40) | st.text("ACGT", max_size=200)


def klets(ids, k):
    return Counter(tuple(ids[i : i + k].tolist()) for i in range(len(ids) - k + 1))


def arrangements_by_hand(letters, k):
    """All sequences with the same k-lets and the same first and last k-1 letters, by trying every order."""
    ids = vocab.encode(letters)
    wanted, ends = klets(ids, k), (ids[: k - 1].tolist(), ids[len(ids) - k + 1 :].tolist())
    tried = (np.array(order, dtype=np.uint8) for order in set(permutations(ids.tolist())))
    return {
        vocab.decode(each)
        for each in tried
        if klets(each, k) == wanted and (each[: k - 1].tolist(), each[len(ids) - k + 1 :].tolist()) == ends
    }


@given(sequences, st.integers(1, 5), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_every_klet_count_the_ends_and_n_are_kept(letters, k, seed):
    ids = vocab.encode(letters)
    before = ids.copy()
    after = shuffle_klets(ids, k, np.random.default_rng(seed))
    assert after.dtype == np.uint8
    assert np.array_equal(ids, before), "the input must not change"
    for shorter in range(1, k + 1):
        assert klets(after, shorter) == klets(ids, shorter)
    assert np.array_equal(after == vocab.N, ids == vocab.N)
    if len(ids) >= k:
        assert np.array_equal(after[: k - 1], ids[: k - 1])
        assert np.array_equal(after[len(ids) - k + 1 :], ids[len(ids) - k + 1 :])


@pytest.mark.parametrize(
    ("letters", "k"),
    [
        ("AACGT", 1),
        ("ACGTACGA", 2),  # ends where it starts: a circuit
        ("AACCAGCA", 2),
        ("ACAGATACC", 2),
        ("GTTGTAGTC", 2),
        ("CAACTACGC", 2),
        ("AAACAAGAA", 3),
        ("ACACGACAA", 3),
        ("ACNAGTC", 1),
    ],
)
def test_all_arrangements_come_equally_often(letters, k):
    if "N" in letters:
        left, right = (arrangements_by_hand(part, k) for part in letters.split("N"))
        expected = {f"{a}N{b}" for a in left for b in right}
    else:
        expected = arrangements_by_hand(letters, k)
    ids, rng = vocab.encode(letters), np.random.default_rng(7)
    assert num_arrangements(ids, k) == len(expected) > 1
    drawn = Counter(vocab.decode(shuffle_klets(ids, k, rng)) for _ in range(300 * len(expected)))
    assert set(drawn) == expected
    assert chisquare(list(drawn.values())).pvalue > 1e-3


@given(st.text("ACG", min_size=1, max_size=8), st.sampled_from(KS))
@settings(max_examples=60, deadline=None)
def test_number_of_arrangements_is_that_of_trying_every_order(letters, k):
    expected = len(arrangements_by_hand(letters, k)) if len(letters) >= k else 1
    assert num_arrangements(vocab.encode(letters), k) == expected


@pytest.mark.parametrize("letters", ["", "A", "NNN", "ACACACACAC", "AAAAAA", "ACGTACGTACGT"])
def test_sequences_that_cannot_move_say_so(letters):
    ids = vocab.encode(letters)
    assert num_arrangements(ids, 3) == 1
    assert np.array_equal(shuffle_klets(ids, 3, np.random.default_rng(0)), ids)


def test_a_long_sequence_moves_at_most_positions():
    ids = np.random.default_rng(1).integers(0, 4, 401).astype(np.uint8)
    for k in KS:
        assert num_arrangements(ids, k) > 10**60
        assert moved_share(ids, shuffle_klets(ids, k, np.random.default_rng(2))) > 0.6


def test_the_seed_decides():
    ids = np.random.default_rng(1).integers(0, 4, 401).astype(np.uint8)
    first, again, other = (shuffle_klets(ids, 2, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("ids", "k", "message"),
    [
        (np.zeros(4, np.uint8), 0, "k of 1 or more, got 0"),
        (np.array([0, 5], np.uint8), 2, "got 5, which stands for no base"),
        (np.zeros(4, np.int64), 2, r"uint8 \[length\], got int64"),
        (np.zeros((2, 2), np.uint8), 2, r"got uint8 \[2, 2\]"),
    ],
)
def test_what_is_no_sequence_is_refused(ids, k, message):
    with pytest.raises(ValueError, match=message):
        shuffle_klets(ids, k, np.random.default_rng(0))
