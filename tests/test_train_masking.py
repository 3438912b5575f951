"""Which letters are masked: exact laws, and shares within binomial bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ldarnet import vocab
from ldarnet.train.masking import IGNORED, mask_letters

IDS = npst.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(0, 80)), elements=st.integers(0, 6))


def within(count, num, share, sigmas=5):
    return abs(count - num * share) <= sigmas * (num * share * (1 - share)) ** 0.5


@given(IDS, st.integers(0, 2**63 - 1), st.sampled_from([0.15, 0.5, 1.0]))
def test_every_position_is_one_of_four_things(ids, seed, share):
    masked = mask_letters(ids, np.arange(len(ids)), seed, share)
    assert masked.inputs.dtype == masked.labels.dtype == np.int64
    assert masked.hidden.dtype == bool
    assert masked.inputs.shape == masked.labels.shape == masked.hidden.shape == ids.shape
    selected = masked.labels != IGNORED
    assert (masked.labels[selected] == ids[selected]).all()
    assert (ids[selected] <= vocab.T).all()
    assert (masked.inputs[~selected] == ids[~selected]).all()
    assert (masked.hidden <= selected).all()
    assert (masked.inputs[masked.hidden] == vocab.MASK).all()
    assert (masked.inputs[selected & ~masked.hidden] <= vocab.T).all()
    if share == 1.0:
        assert (selected == (ids <= vocab.T)).all()


@given(IDS, st.integers(0, 1000))
def test_a_window_depends_on_its_own_letters_and_number_alone(ids, seed):
    draws = 7 * np.arange(len(ids)) + 3
    whole = mask_letters(ids, draws, seed)
    for row in range(len(ids)):
        alone = mask_letters(ids[row : row + 1], draws[row : row + 1], seed)
        assert all((one[0] == many[row]).all() for one, many in zip(alone, whole, strict=True))


def test_shares_are_the_published_ones():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, (200, 5000)).astype(np.uint8)
    inputs, labels, hidden = mask_letters(ids, np.arange(200), seed=11)
    selected = labels != IGNORED
    num = int(selected.sum())
    assert within(num, ids.size, 0.15)
    assert within(int(hidden.sum()), num, 0.8)
    changed = selected & ~hidden & (inputs != ids)
    assert within(int(changed.sum()), num, 0.1 * 3 / 4), "a replaced base is the true one a quarter of the time"
    for true in range(4):
        others = np.bincount(inputs[changed & (ids == true)], minlength=4)
        assert others[true] == 0
        of_true = int((changed & (ids == true)).sum())
        assert all(within(others[base], of_true, 1 / 3) for base in range(4) if base != true)


def test_positions_are_selected_independently():
    """Not a fixed number per window, and neither neighbours nor windows follow one another."""
    ids = np.zeros((4000, 100), dtype=np.uint8)
    selected = mask_letters(ids, np.arange(4000), seed=5).labels != IGNORED
    variance = selected.sum(1).var()
    assert variance == pytest.approx(100 * 0.15 * 0.85, rel=5 * (2 / 4000) ** 0.5)
    pairs = selected[:, 1:] & selected[:, :-1]
    assert within(int(pairs.sum()), pairs.size, 0.15**2)
    assert within(int((selected[1:] & selected[:-1]).sum()), selected[1:].size, 0.15**2)


def test_seeds_and_numbers_give_other_masks():
    ids = np.zeros((1, 400), dtype=np.uint8)
    masks = {mask_letters(ids, np.array([draw]), seed).hidden.tobytes() for draw in range(20) for seed in range(20)}
    assert len(masks) == 400


def test_the_mask_of_a_draw_is_written_down():
    """A run that goes on after an update of the code must see the masks it would have seen before."""
    labels = mask_letters(np.zeros((1, 60), np.uint8), np.array([12]), seed=3).labels
    assert np.flatnonzero(labels[0] == 0).tolist() == [3, 5, 6, 17, 18, 22, 23, 24, 27, 41, 47]


@pytest.mark.parametrize(
    ("ids", "draws", "share", "match"),
    [
        (
            np.zeros(4, np.uint8),
            np.zeros(4, np.int64),
            0.15,
            r"expected ids \[B, L\] and draws \[B\], got shapes \(4,\)",
        ),
        (np.zeros((2, 4), np.uint8), np.zeros(3, np.int64), 0.15, r"got shapes \(2, 4\) and \(3,\)"),
        (np.zeros((2, 4), np.uint8), np.zeros(2, np.int64), 0.0, "above 0 and at most 1, got 0.0"),
        (np.zeros((2, 4), np.uint8), np.zeros(2, np.int64), 15, "above 0 and at most 1, got 15"),
    ],
)
def test_refused(ids, draws, share, match):
    with pytest.raises(ValueError, match=match):
        mask_letters(ids, draws, 0, share)
