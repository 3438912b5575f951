"""What the arithmetic does to the cuts: fewer bits, and padding that leaks."""

import numpy as np

from ldarnet.robustness import agreement
from ldarnet.robustness.loci import LocusBatch
from ldarnet.robustness.reader import Reader, Reading
from ldarnet.robustness.tally import Tally

LEVELS = np.array([0.5, 0.9, 0.99, 1.0])
_PRECISION, _PADDING = 5, 6


def precision(reader: Reader, batch: LocusBatch, base: Reading, tally: Tally) -> None:
    """float32 against bfloat16 (automatic mixed precision; the router is float32 in both)."""
    coarse = reader.read(batch.window, dtype="bfloat16")
    tally.add("bfloat16.equal", None, batch.rows, agreement.equal(base.cut, coarse.cut))
    tally.add("bfloat16.shared", None, batch.rows, agreement.shared(base.cut, coarse.cut))
    moved = agreement.quantiles(base.prob, coarse.prob, LEVELS, batch.dice(_PRECISION))
    tally.add_curve("bfloat16.moved", LEVELS, batch.rows, moved)


def padding_sizes(window_bp: int) -> list[int]:
    """How many letters of padding are tried: one, a few, and up to half a window."""
    return sorted({size for size in (1, 16, window_bp // 4, window_bp // 2) if 0 < size <= window_bp // 2})


def padding(reader: Reader, batch: LocusBatch, base: Reading, tally: Tally) -> None:
    """Padding that is left alone (exact) against padding as in the published code, in windows cut short and filled up.

    Quantiles are those of the largest padding.
    """
    sizes = padding_sizes(batch.window_bp)
    for size in sizes:
        short = batch.window[:, : batch.window_bp - size]
        exact = reader.read(short, num_padding=size, padding="exact")
        leaky = reader.read(short, num_padding=size, padding="published")
        tally.add("padding.equal", size, batch.rows, agreement.equal(exact.cut, leaky.cut))
        tally.add("padding.shared", size, batch.rows, agreement.shared(exact.cut, leaky.cut))
        if size == sizes[-1]:
            moved = agreement.quantiles(exact.prob, leaky.prob, LEVELS, batch.dice(_PADDING))
            tally.add_curve("padding.moved", LEVELS, batch.rows, moved)
