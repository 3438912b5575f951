"""Many tests at once."""

import numpy as np


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """q of each p (float64 [n]): the smallest false discovery rate at which it is called (Benjamini and Hochberg 1995).

    NaN stays NaN and does not count as a test. Raises ValueError for p outside 0..1.
    """
    p = np.asarray(p, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise ValueError(f"expected p between 0 and 1, got {np.nanmin(p)} to {np.nanmax(p)}")
    order = tested[np.argsort(p[tested])]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q = np.full_like(p, np.nan)
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return q
