"""Paired sign-flip tests with whole loci flipped.

Permuted: the sign of all paired differences (site minus the mean of its controls) of a locus together, independently
between loci. If site and control were drawn alike, swapping them throughout a locus changes nothing, so every pattern
of signs was equally likely and the p-value is exact, whatever the dependence within a locus and along the profile.
With several controls per site, or one control per site where sites of a locus resemble each other, the two sides of
a difference are alike in mean but not in spread and skew: the test is then approximate (see docs/calibration.md).

Statistic: |sum of locus sums| / root of the sum of their squares. The denominator does not change when signs do, and
the ratio grows with Student's t of the locus sums: the same p-values as studentising anew in every flip.
Along positions, the largest statistic of each flip of whole profiles is the null (single-step max-T, Westfall and
Young 1993): the chance of any false offset is held at alpha, correlations between offsets taken into account.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ldarnet_analysis.locus_sums import locus_sums, ratio

BLOCK_NUMBERS = 1 << 22
# Patterns that give the same sum in exact arithmetic must count as ties after rounding.
TIE = 1e-9


class SignFlip(NamedTuple):
    """Two-sided p of a paired sign-flip test, Student's t of the locus sums, and the flips behind p."""

    p: float
    t: float
    num_loci: int
    num_flips: int
    exact: bool


class MaxT(NamedTuple):
    """`t` and adjusted `p` per offset (float64 [num_offsets], NaN where no value is), the global p, and the flips."""

    t: np.ndarray
    p: np.ndarray
    p_global: float
    num_loci: np.ndarray
    num_flips: int
    exact: bool


def sign_flip_test(diffs: np.ndarray, loci: np.ndarray, num: int = 9999, *, seed: int) -> SignFlip:
    """Test that paired differences [n] are centred on zero, flipping whole loci [n]; NaN are left out.

    p = (b + 1) / (num + 1), b the random flips at least as extreme; all 2^loci patterns where they are no more than
    num + 1. NaN where there is no difference.
    """
    if np.ndim(diffs) != 1:
        raise ValueError(f"expected differences [n], got {list(np.shape(diffs))}")
    t, p, _, num_loci, num_flips, exact = max_t(np.asarray(diffs)[:, None], loci, num, seed=seed)
    return SignFlip(float(p[0]), float(t[0]), int(num_loci[0]), num_flips, exact)


def max_t(diffs: np.ndarray, loci: np.ndarray, num: int = 1999, *, seed: int) -> MaxT:
    """Single-step max-T over the offsets of paired differences [n, num_offsets], flipping whole loci [n].

    `p` are adjusted for all offsets; `p_global`, the smallest of them, tests that the whole profile is zero.
    """
    if np.ndim(diffs) != 2:
        raise ValueError(f"expected differences [n, num_offsets], got {list(np.shape(diffs))}")
    if num < 1:
        raise ValueError(f"expected at least one flip, got {num}")
    sums = locus_sums(diffs, loci)
    lengths = np.sqrt(np.square(sums.sums).sum(axis=0))
    units = np.nan_to_num(ratio(sums.sums, lengths))
    observed = units.sum(axis=0)
    maxima, exact = _flip_maxima(units, num, seed)
    beaten_by = len(maxima) - np.searchsorted(np.sort(maxima), np.abs(observed) - TIE)
    p = beaten_by / len(maxima) if exact else (beaten_by + 1) / (len(maxima) + 1)
    p = np.where(sums.num_loci > 0, p, np.nan)
    p_global = float(np.nanmin(p)) if np.isfinite(p).any() else float("nan")
    t = np.where(sums.num_loci > 0, _student(observed, sums.num_loci), np.nan)
    return MaxT(t, p, p_global, np.array(sums.num_loci), len(maxima), exact)


def _student(observed: np.ndarray, num_loci: np.ndarray) -> np.ndarray:
    """t of the locus sums from their sum over the root of their squares, which is at most the root of num_loci."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = observed * np.sqrt((num_loci - 1) / np.maximum(num_loci - observed**2, 0))
    return np.where(observed == 0, 0.0, t)


def _flip_maxima(units: np.ndarray, num: int, seed: int) -> tuple[np.ndarray, bool]:
    """Largest |statistic| over the offsets in each flip, and whether the flips are all there are."""
    num_loci = len(units)
    exact = num_loci < 63 and 2**num_loci <= num + 1
    blocks = _all_signs(num_loci) if exact else _random_signs(num_loci, num, seed)
    return np.concatenate([np.abs(signs @ units).max(axis=1, initial=0.0) for signs in blocks]), exact


def _all_signs(num_loci: int) -> Iterator[np.ndarray]:
    patterns = np.arange(2**num_loci)[:, None] >> np.arange(num_loci)
    yield (patterns & 1) * 2.0 - 1.0


def _random_signs(num_loci: int, num: int, seed: int) -> Iterator[np.ndarray]:
    """Signs float64 [flips of the block, num_loci]; blocks hold memory, not the result, within bounds."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_NUMBERS // num_loci)
    for start in range(0, num, block):
        yield rng.integers(0, 2, size=(min(block, num - start), num_loci), dtype=np.int8) * 2.0 - 1.0
