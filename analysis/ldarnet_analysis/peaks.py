"""Where a profile peaks and how high, from different loci.

The highest offset of a mean profile is the highest partly by chance, so a height read off the same loci is too large.
The position is chosen on the loci of train and valid; its interval is the range of the middle share of positions
chosen anew in resamples of those loci. The height is the mean of the test loci at that position, with the interval
of `bootstrap.cluster_bootstrap`. For a dip, pass the negative of the values.
"""

from typing import NamedTuple

import numpy as np

from ldarnet_analysis.bootstrap import bootstrap_means, cluster_bootstrap
from ldarnet_analysis.locus_sums import MIN_LOCI, locus_sums

HELD_OUT = "test"


class Peak(NamedTuple):
    """Position (offset, with its interval) and height on held-out loci (with its interval).

    Bounds are NaN where `position_status` or `height_status` is not "ok".
    """

    offset: float
    offset_lo: float
    offset_hi: float
    height: float
    lo: float
    hi: float
    num_choosing_loci: int
    num_test_loci: int
    position_status: str
    height_status: str


def peak(
    values: np.ndarray,
    loci: np.ndarray,
    offsets: np.ndarray,
    split: np.ndarray,
    num: int = 2000,
    level: float = 0.95,
    *,
    seed: int,
) -> Peak:
    """Peak of the mean of values [n, num_offsets] (profiles or paired differences), rows grouped by loci [n].

    `split` [n] names each row's split; the height is estimated on "test". Ties go to the offset nearest to 0. Raises
    ValueError where a locus is in test and elsewhere, or no row has a value.
    """
    loci, split, offsets = np.asarray(loci), np.asarray(split), np.asarray(offsets)
    if values.shape != (len(split), len(offsets)):
        expected = f"values [{len(split)}, {len(offsets)}] for these splits and offsets"
        raise ValueError(f"expected {expected}, got {list(values.shape)}")
    held_out = split == HELD_OUT
    shared = np.intersect1d(loci[held_out], loci[~held_out])
    if len(shared):
        raise ValueError(f"expected every locus in one split, got {shared[0]!r} in test and elsewhere ({len(shared)})")
    chosen_on = locus_sums(values[~held_out], loci[~held_out])
    if not chosen_on.num_loci.any():
        raise ValueError("expected values in loci outside test to choose a position on, got none")
    best = int(_highest(chosen_on.means[None], offsets)[0])
    num_loci = int(chosen_on.num_loci[best])
    bounds, position_status = (np.nan, np.nan), "too few loci"
    if num_loci >= MIN_LOCI:
        positions = offsets[_highest(bootstrap_means(chosen_on, num, seed), offsets)]
        tails = [(1 - level) / 2, (1 + level) / 2]
        bounds, position_status = tuple(np.quantile(positions, tails, method="inverted_cdf")), "ok"
    # another stream than the positions', so that the two intervals are independent
    height = cluster_bootstrap(values[held_out, best], loci[held_out], num=num, level=level, seed=seed + 1)
    return Peak(
        float(offsets[best]),
        float(bounds[0]),
        float(bounds[1]),
        float(height.estimate),
        float(height.lo),
        float(height.hi),
        num_loci,
        int(height.num_loci),
        position_status,
        str(height.status),
    )


def split_loci(loci: np.ndarray, *, seed: int, test_share: float = 0.5) -> np.ndarray:
    """A random split of whole loci into "train" and "test", for genomes without a fixed one: str [n]."""
    names, codes = np.unique(np.asarray(loci).astype(str), return_inverse=True)
    in_test = np.random.default_rng(seed).permutation(len(names)) < round(test_share * len(names))
    return np.where(in_test[codes], HELD_OUT, "train")


def _highest(means: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Index of the highest offset in each row: int64 [num]."""
    nearest_first = np.argsort(np.abs(offsets), kind="stable")
    ranked = np.nan_to_num(means[:, nearest_first], nan=-np.inf)
    return nearest_first[ranked.argmax(axis=1)]
