"""Expected values of a k-mer look-up: means of cells, shrunk towards those of the next smaller k.

The mean of a k-mer is (sum + kappa * mean of the smaller k-mer inside it) / (number + kappa): kappa is how many values
the smaller k-mer's opinion counts for. Each level has its own, the one of `KAPPAS` with the least squared error on data
that the sums do not hold. Errors follow from sums alone, so no value is read again.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ldarnet_analysis.kmer_cells import KmerLevels
from ldarnet_analysis.kmer_sums import CellSums, KmerSums

KAPPAS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5)
R2_COLUMNS = ["k", "r2", "num_positions"]


def shrunk_means(sums: KmerSums, kappas: Sequence[float]) -> np.ndarray:
    """The expected value of every cell, float64 [num_cells]; `kappas` are those of the ks in their order.

    A k-mer that never occurs is given what the one inside it has. `sums` must hold a value.
    """
    root, *deeper = sums.by_level()
    means = [root.total / root.num]
    for level, kappa in enumerate(kappas, start=1):
        means.append(_shrink(deeper[level - 1], _from_inner(means[-1], sums.levels, level), kappa))
    return np.concatenate(means)


def choose_kappas(rest: KmerSums, held_out: KmerSums) -> tuple[float, ...]:
    """For each k the kappa with which the means of `rest` have the least squared error on `held_out`."""
    root, *deeper = rest.by_level()
    _, *tried_on = held_out.by_level()
    means, chosen = root.total / root.num, []
    for level, (fitted, wanted) in enumerate(zip(deeper, tried_on, strict=True), start=1):
        inner = _from_inner(means, rest.levels, level)
        # cells without held-out values have no say: leaving them out makes trying fast
        has_say = np.flatnonzero(wanted.num)
        fitted_here = CellSums(*(each[has_say] for each in fitted))
        wanted_here = CellSums(*(each[has_say] for each in wanted))
        errors = [_error(wanted_here, _shrink(fitted_here, inner[has_say], kappa)) for kappa in KAPPAS]
        chosen.append(KAPPAS[int(np.argmin(errors))])
        means = _shrink(fitted, inner, chosen[-1])
    return tuple(chosen)


def squared_errors(sums: KmerSums, means: np.ndarray) -> np.ndarray:
    """Sum of squared errors of the expected values over the cuts summed, for look-ups up to each k: float64 [ks]."""
    slices, by_level = sums.levels.slices, sums.by_level()
    shallow, errors = 0.0, []
    for level, (span, found) in enumerate(zip(slices, by_level, strict=True)):
        if level:
            errors.append(sums.squares + shallow + _error(found, means[span]))
        shallow += _error(CellSums(*(each[span] for each in sums.cells)), means[span])
    return np.array(errors)


def r2_table(levels: KmerLevels, errors: np.ndarray, sums: KmerSums) -> pd.DataFrame:
    """R2 of look-ups up to each k (R2_COLUMNS): 1 - squared error / squared deviation from the mean of the same cuts.

    Below 0 where the look-up is worse than that mean; NaN where all values are the same.
    """
    num, total = sums.num_values, float(sums.cells.total.sum())
    deviation = sums.squares - total**2 / num
    # what rounding leaves of a track that never changes is no variance
    is_constant = deviation <= 1e-12 * sums.squares
    r2 = np.full(len(errors), np.nan) if is_constant else 1 - errors / deviation
    return pd.DataFrame({"k": levels.ks, "r2": r2, "num_positions": num})[R2_COLUMNS]


def _shrink(found: CellSums, inner: np.ndarray, kappa: float) -> np.ndarray:
    weight = found.num + kappa
    return np.divide(found.total + kappa * inner, weight, out=inner.copy(), where=weight > 0)


def _error(found: CellSums, means: np.ndarray) -> float:
    """Squared error of means, less the sum of squared values."""
    return float((means * (found.num * means - 2 * found.total)).sum())


def _from_inner(means: np.ndarray, levels: KmerLevels, level: int) -> np.ndarray:
    """For each k-mer of a level the mean of the k-mer inside it, of the level before."""
    outer = 4 ** ((levels.depths[level] - levels.depths[level - 1]) // 2)
    return np.broadcast_to(means[None, :, None], (outer, means.size, outer)).reshape(-1)
