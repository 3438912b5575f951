"""Rounding of probabilities that never moves one across the threshold of a cut."""

import numpy as np

CUT_THRESHOLD = 0.5
"""A base is a cut where its probability is greater than this; the threshold itself is no cut."""


def round_values(values: np.ndarray, decimals: int) -> np.ndarray:
    """The values (float32, any shape) rounded to `decimals` places; 0 returns them as they are.

    A value above 0.5 stays above it (0.50001 -> 0.5001 at 4 decimals), so a rounded track has the same cuts.
    Past float32's own precision the next float32 above 0.5 stands in. NaN stays NaN.
    Raises ValueError for decimals < 0 or values that are not float32.
    """
    if decimals < 0:
        raise ValueError(f"expected decimals >= 0 (0 = no rounding), got {decimals}")
    if values.dtype != np.float32:
        raise ValueError(f"expected float32 values, got {values.dtype}")
    if decimals == 0:
        return values
    rounded = np.round(values.astype(np.float64), decimals).astype(np.float32)
    threshold = np.float32(CUT_THRESHOLD)
    least_cut = max(np.float32(CUT_THRESHOLD + 10.0**-decimals), np.nextafter(threshold, np.float32(1)))
    return np.where((values > threshold) & (rounded <= threshold), least_cut, rounded)
