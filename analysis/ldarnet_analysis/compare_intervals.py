"""Intervals of ratios of sums by resampling blocks with replacement.

Percentile intervals, their tails widened as a t interval's are (Hesterberg 2015, section 5.3), since with few blocks
the spread of resamples is too small.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

MIN_BLOCKS = 20
NUM_DRAWS = 2000


class BlockDraws:
    """Resamples of so many blocks, the same for every statistic, so that these can be compared."""

    def __init__(self, num_blocks: int, seed: int, num_draws: int = NUM_DRAWS) -> None:
        rng = np.random.default_rng(seed)
        self.num_blocks = num_blocks
        self._weights = rng.multinomial(num_blocks, np.full(num_blocks, 1 / num_blocks), size=num_draws).astype(float)

    def interval(
        self, sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], level: float = 0.95
    ) -> tuple[float, float]:
        """Interval of a statistic of summed columns: sums [blocks, columns]; it maps [..., columns] to [...].

        NaN under 20 blocks in which anything was counted, and where the statistic is not finite in some resample.
        """
        num = int(np.count_nonzero(np.abs(sums).sum(axis=1)))
        if num < MIN_BLOCKS:
            return float("nan"), float("nan")
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = statistic(self._weights @ sums)
        if not np.isfinite(drawn).all():
            return float("nan"), float("nan")
        tail = norm.cdf(np.sqrt(num / (num - 1)) * student.ppf((1 - level) / 2, num - 1))
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return float(low), float(high)
