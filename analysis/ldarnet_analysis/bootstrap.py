"""Intervals by resampling loci with replacement (cluster bootstrap).

Of the mean: bootstrap-t. Every resample gives (mean* - mean) / standard error*, with the standard error of a ratio of
locus sums; the quantiles of these, times the standard error of the data, give the interval. Loci differ much in how
many sites they hold, so that 20 of them say as much as about 11 equal ones, and percentile and BCa intervals are then
too short: they take the spread of the resamples for known (docs/calibration.md holds the coverage of those given here).

Of another statistic: percentile interval whose tails are widened to those of Student's t (Hesterberg 2015), with the
effective number of loci, (sum of sizes)^2 / sum of squared sizes, in place of the number.

Along a profile, intervals are pointwise: they do not hold at all offsets at once (`permutation.max_t` does).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from ldarnet_analysis.locus_sums import MIN_LOCI, LocusSums, effective_number, locus_sums, ratio

BLOCK_NUMBERS = 1 << 22
# A resample whose loci all agree up to rounding has no standard error.
NO_SPREAD = 1e-12


class Interval(NamedTuple):
    """Estimates with their intervals; every field is an array [num_offsets], or [] for values of one dimension.

    `status` is "ok", "too few loci" or "degenerate" (no spread between loci); bounds are NaN unless it is "ok".
    """

    estimate: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    num_loci: np.ndarray
    status: np.ndarray


def cluster_bootstrap(
    values: np.ndarray,
    loci: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
    num: int = 2000,
    level: float = 0.95,
    *,
    seed: int,
) -> Interval:
    """Interval of a statistic of values [n] or [n, num_offsets] whose rows are grouped by loci [n].

    The statistic is the mean over rows (NaN left out) or a function from rows to one number per offset, such as
    `lambda rows: np.nanmedian(rows, axis=0)`. No interval under 20 loci with a value at the offset.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, got {level}")
    sums = locus_sums(values, loci)
    if statistic is None:
        estimate = sums.means
        lo, hi = _bootstrap_t(sums, num, level, seed)
    else:
        estimate, lo, hi = _percentile(np.asarray(values), np.asarray(loci), statistic, num, level, seed)
    few = sums.num_loci < MIN_LOCI
    status = np.where(few, "too few loci", np.where(np.isfinite(lo) & np.isfinite(hi), "ok", "degenerate"))
    lo, hi = (np.where(status == "ok", bound, np.nan) for bound in (lo, hi))
    fields = (estimate, lo, hi, sums.num_loci, status)
    shape = np.shape(values)[1:]
    return Interval(*(np.reshape(field, shape) for field in fields))


def bootstrap_means(sums: LocusSums, num: int, seed: int) -> np.ndarray:
    """Means of resamples of loci: float64 [num, num_offsets], NaN where no drawn locus has a value."""
    blocks = [ratio(weights @ sums.sums, weights @ sums.nums) for weights in _weights(len(sums.sums), num, seed)]
    return np.concatenate(blocks)


def _weights(num_loci: int, num: int, seed: int) -> Iterator[np.ndarray]:
    """How often each locus is in each resample: float64 [resamples of the block, num_loci]."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_NUMBERS // num_loci)
    for start in range(0, num, block):
        rows = min(block, num - start)
        drawn = rng.integers(num_loci, size=(rows, num_loci)) + num_loci * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * num_loci)
        yield counts.reshape(rows, num_loci).astype(np.float64)


def _bootstrap_t(sums: LocusSums, num: int, level: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if not len(sums.sums):
        nothing = np.full(sums.sums.shape[1], np.nan)
        return nothing, nothing
    residuals, nums = sums.residuals, sums.nums
    squares, products, squared_nums = residuals**2, residuals * nums, nums**2
    spread = squares.sum(axis=0)
    blocks = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for weights in _weights(len(residuals), num, seed):
            numbers = weights @ nums
            shift = (weights @ residuals) / numbers
            resampled = weights @ squares - 2 * shift * (weights @ products) + shift**2 * (weights @ squared_nums)
            resampled[resampled < NO_SPREAD * spread] = 0
            blocks.append(shift * numbers / np.sqrt(resampled))
    # 0/0: a resample equal to the data in mean and without spread says nothing against the mean
    studentised = np.nan_to_num(np.concatenate(blocks), nan=0.0, posinf=np.inf, neginf=-np.inf)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(studentised, tails, axis=0, method="inverted_cdf")
    standard_error = ratio(np.sqrt(spread), sums.num_values)
    standard_error[standard_error == 0] = np.nan
    return sums.means - high * standard_error, sums.means - low * standard_error


def _percentile(
    values: np.ndarray,
    loci: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    num: int,
    level: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    estimate = np.asarray(statistic(values), dtype=np.float64).reshape(-1)
    if not len(values):
        return estimate, np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    _, codes = np.unique(loci.astype(str), return_inverse=True)
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    resamples = np.empty((num, len(estimate)))
    rng = np.random.default_rng(seed)
    for i in range(num):
        drawn = rng.integers(len(rows_of), size=len(rows_of))
        resamples[i] = statistic(values[np.concatenate([rows_of[locus] for locus in drawn])])
    # at least 1.5: one locus only has no interval anyway
    effective = max(effective_number(np.array([len(rows) for rows in rows_of])), 1.5)
    tail = norm.cdf(student.ppf((1 - level) / 2, effective - 1) * np.sqrt(effective / (effective - 1)))
    lo, hi = np.quantile(resamples, [tail, 1 - tail], axis=0)
    # resamples that all agree carry no interval
    lo[lo == hi] = np.nan
    return estimate, lo, hi
