"""Lengths of chunks: their distribution, and how it differs from that of random cuts at the same rate."""

import numpy as np
import pandas as pd

from ldarnet_analysis.compare_axis import Axis
from ldarnet_analysis.compare_intervals import BlockDraws

LENGTH_COLUMNS = [
    *("segmenter", "cuts", "rate", "rate_lo", "rate_hi", "num_chunks", "num_cut_off", "mean", "sd", "cv", "cv_random"),
    *("q10", "median", "q90", "longest", "single_base_share"),
]
HISTOGRAM_COLUMNS = ["segmenter", "cuts", "length_bp", "num_chunks"]


def chunk_lengths(axis: Axis, cuts: np.ndarray) -> np.ndarray:
    """Lengths of the whole chunks, those between two cuts of a stretch: int64 [num_chunks]."""
    at = np.flatnonzero(cuts)
    whole = axis.stretch_of(at[1:]) == axis.stretch_of(at[:-1])
    return np.diff(at)[whole]


def length_row(axis: Axis, cuts: np.ndarray, draws: BlockDraws) -> dict[str, float]:
    """Rate of cuts with its interval over blocks, and what the lengths are; LENGTH_COLUMNS without the first two.

    `num_cut_off` are chunks that reach over the end of a stretch, whose length is not known. `cv_random` is the
    coefficient of variation of chunks between independent cuts at this rate, the square root of 1 - rate.
    """
    lengths = chunk_lengths(axis, cuts)
    sums = np.column_stack([axis.block_sums(cuts), axis.block_sizes]).astype(float)
    rate = float(np.count_nonzero(cuts) / axis.size)
    lo, hi = draws.interval(sums, lambda each: each[..., 0] / each[..., 1])
    nan = float("nan")
    row: dict[str, float] = {"rate": rate, "rate_lo": lo, "rate_hi": hi, "num_chunks": lengths.size}
    row["num_cut_off"] = int(np.count_nonzero(cuts)) + len(axis.stretches) - lengths.size
    row |= dict.fromkeys(LENGTH_COLUMNS[7:], nan) | {"cv_random": float(np.sqrt(1 - rate))}
    if lengths.size:
        q10, median, q90 = np.quantile(lengths, [0.1, 0.5, 0.9])
        sd = float(lengths.std(ddof=1)) if lengths.size > 1 else nan
        mean = float(lengths.mean())
        row |= {"mean": mean, "sd": sd, "cv": sd / mean, "q10": q10, "median": median, "q90": q90}
        row |= {"longest": int(lengths.max()), "single_base_share": float((lengths == 1).mean())}
    return row


def length_histogram(axis: Axis, cuts: np.ndarray) -> pd.DataFrame:
    """How many whole chunks have each length: columns length_bp, num_chunks."""
    lengths, counts = np.unique(chunk_lengths(axis, cuts), return_counts=True)
    return pd.DataFrame({"length_bp": lengths, "num_chunks": counts})
