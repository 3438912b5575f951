"""Values summed within loci: all that a test needs to know of them when the locus is the unit of inference.

The mean over sites is a ratio, sum of the locus sums over sum of the locus numbers, so a locus weighs as many sites as
it has. Its standard error is that of a ratio (linearised, loci as the independent units, Cochran 1977 section 6.3).
"""

from dataclasses import dataclass

import numpy as np

# With fewer no interval is given: coverage is calibrated from here on.
MIN_LOCI = 20


@dataclass(frozen=True)
class LocusSums:
    """Sums of the values of each locus and how many there are; missing values (NaN) are in neither.

    `sums` is float64 [num_loci, num_offsets]; `nums` is of the same shape, or [num_loci, 1] where no value is missing.
    """

    sums: np.ndarray
    nums: np.ndarray

    @property
    def num_loci(self) -> np.ndarray:
        """Loci with a value at each offset: int64 [num_offsets]."""
        return np.broadcast_to(np.count_nonzero(self.nums, axis=0), self.sums.shape[1:])

    @property
    def num_values(self) -> np.ndarray:
        """Values at each offset: int64 [num_offsets]."""
        return np.broadcast_to(self.nums.sum(axis=0).astype(np.int64), self.sums.shape[1:])

    @property
    def means(self) -> np.ndarray:
        """Mean over all values at each offset: float64 [num_offsets], NaN where there are none."""
        return ratio(self.sums.sum(axis=0), self.num_values)

    @property
    def residuals(self) -> np.ndarray:
        """Sums of the differences from the mean: float64 [num_loci, num_offsets]."""
        return self.sums - self.nums * np.nan_to_num(self.means)

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard error of the means: float64 [num_offsets], NaN under two loci."""
        correction = ratio(self.num_loci, self.num_loci - 1)
        return np.sqrt(correction * np.square(self.residuals).sum(axis=0)) / np.maximum(self.num_values, 1)


def locus_sums(values: np.ndarray, loci: np.ndarray) -> LocusSums:
    """Sums of values [n] or [n, num_offsets] by locus [n], loci in sorted order; 1-D values count as one offset.

    Loci without any value are left out. Raises ValueError for shapes that do not fit, infinite values, and rows
    without a locus.
    """
    values = np.asarray(values)
    names = np.asarray(loci, dtype=object)
    if values.ndim not in (1, 2) or names.shape != values.shape[:1]:
        got = f"got values {list(values.shape)} and loci {list(names.shape)}"
        raise ValueError(f"expected values [n] or [n, num_offsets] and one locus per row, {got}")
    missing = np.isnan(values)
    if np.isinf(values).any():
        raise ValueError(f"expected finite values or NaN, got {np.isinf(values).sum()} infinite ones")
    nameless = sum(name is None or name == "" or name != name for name in names.tolist())
    if nameless:
        raise ValueError(f"expected a locus in every row, got {nameless} of {len(names)} without one")
    if not len(names):
        empty = np.zeros((0, *values.shape[1:]) if values.ndim == 2 else (0, 1))
        return LocusSums(empty, empty)
    _, codes = np.unique(names.astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    firsts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    columns = values.reshape(len(values), -1)
    if not missing.any():
        nums = np.diff(firsts, append=len(codes)).astype(np.float64)[:, None]
        return LocusSums(np.add.reduceat(columns[order], firsts, axis=0, dtype=np.float64), nums)
    present = ~missing.reshape(columns.shape)[order]
    sums = np.add.reduceat(np.nan_to_num(columns[order]), firsts, axis=0, dtype=np.float64)
    nums = np.add.reduceat(present, firsts, axis=0, dtype=np.float64)
    kept = nums.any(axis=1)
    return LocusSums(sums[kept], nums[kept])


def effective_number(sizes: np.ndarray) -> float:
    """How many loci of equal size say as much about a mean as loci of these sizes, where sites of a locus are alike."""
    return float(sizes.sum() ** 2 / np.square(sizes).sum())


def ratio(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Quotients as float64, NaN where the denominator is 0."""
    denominators = np.asarray(denominators, dtype=np.float64)
    quotients: np.ndarray = numerators / np.where(denominators == 0, np.nan, denominators)
    return quotients
