import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ldarnet.tracks import round_values

PROBABILITIES = hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(0, 1, width=32) | st.just(float("nan")))
NEAR_HALF = st.integers(-300, 300).map(
    lambda steps: float(np.float32(0.5) + np.float32(steps) * np.float32(2**-25 if steps < 0 else 2**-24))
)


@given(PROBABILITIES, st.integers(0, 12))
def test_rounding_keeps_cuts_and_moves_no_value_far(values, decimals):
    rounded = round_values(values, decimals)
    assert rounded.dtype == np.float32
    np.testing.assert_array_equal(rounded > 0.5, values > 0.5)
    np.testing.assert_array_equal(np.isnan(rounded), np.isnan(values))
    tolerance = 10.0**-decimals + 1e-7 if decimals else 0
    assert np.nanmax(np.abs(rounded - values), initial=0) <= tolerance


@given(st.lists(NEAR_HALF, min_size=1), st.integers(1, 12))
def test_neighbours_of_one_half_stay_on_their_side(values, decimals):
    values = np.array(values, dtype=np.float32)
    np.testing.assert_array_equal(round_values(values, decimals) > 0.5, values > 0.5)


def test_rounding_is_to_the_nearest_decimal_elsewhere():
    values = np.array([0.50001, 0.5, 0.49999, 0.12344, 0.12346, 0.99999, 0.50016], dtype=np.float32)
    expected = np.array([0.5001, 0.5, 0.5, 0.1234, 0.1235, 1, 0.5002], dtype=np.float32)
    np.testing.assert_array_equal(round_values(values, 4), expected)
    assert round_values(values, 0) is values


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"expected decimals >= 0 \(0 = no rounding\), got -1"):
        round_values(np.zeros(1, np.float32), -1)
    with pytest.raises(ValueError, match="expected float32 values, got float64"):
        round_values(np.zeros(1), 4)
