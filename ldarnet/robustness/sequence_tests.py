"""What a model makes of the same bases turned round, or seen through another window, or partly hidden."""

import numpy as np

from ldarnet import vocab
from ldarnet.robustness import agreement
from ldarnet.robustness.loci import LocusBatch
from ldarnet.robustness.reader import Reader, Reading
from ldarnet.robustness.tally import Tally

MASKED_SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
CURVE_SHARES = (0.01, 0.05, 0.15, 0.3)
"""Of these there is a curve by distance to the nearest [MASK]."""

REVERSE_OFFSETS = (-3, -2, -1, 0, 1, 2, 3)
NEAR_HALF = 0.01
_REVERSE, _MASK = 1, 2


def plain(batch: LocusBatch, base: Reading, tally: Tally) -> None:
    """How often the model cuts, and how often it all but tosses a coin."""
    tally.add("plain.rate", None, batch.rows, agreement.share_of(base.cut))
    tally.add("plain.near_half", NEAR_HALF, batch.rows, agreement.share_of(np.abs(base.prob - 0.5) < NEAR_HALF))


def reverse_complement(reader: Reader, batch: LocusBatch, base: Reading, tally: Tally) -> None:
    """Cut i of a window against cut length - i of its reverse complement.

    Correlations also with the reading of the other strand moved by some bases: a model may cut on either side of the
    same letters.
    """
    turned = reader.read(vocab.reverse_complement(batch.window))
    prob, cut = turned.prob[:, ::-1], turned.cut[:, ::-1]
    tally.add("reverse.equal", None, batch.rows, agreement.equal(base.cut, cut))
    tally.add("reverse.shared", None, batch.rows, agreement.shared(base.cut, cut))
    for tolerance in agreement.TOLERANCES_BP:
        tally.add("reverse.within", tolerance, batch.rows, agreement.within(base.cut, cut, tolerance))
    for offset in REVERSE_OFFSETS:
        # cut c of one strand beside cut c + offset of the other, as far as both have one
        here, there = slice(max(0, -offset), prob.shape[1] - max(0, offset)), slice(max(0, offset), None)
        other = prob[:, there][:, : prob.shape[1] - abs(offset)]
        both = agreement.correlation(base.prob[:, here], other, batch.dice(_REVERSE))
        tally.add("reverse.correlation", offset, batch.rows, both)


def shift_sizes(max_shift_bp: int) -> list[int]:
    """1, 2, 4, ... and the largest."""
    return [2**i for i in range(max_shift_bp.bit_length()) if 2**i < max_shift_bp] + [max_shift_bp]


def shifts(reader: Reader, batch: LocusBatch, base: Reading, tally: Tally) -> None:
    """The common part of two windows, the second of which starts some bases later.

    For the largest shift also by distance to the edge: the start of the second window, or the end of the first.
    """
    length = batch.window_bp
    sizes = shift_sizes(batch.ids.shape[1] - length)
    for size in sizes:
        moved = reader.read(batch.ids[:, size : size + length])
        # index i of a reading is cut i + 1; that of the second window is cut i + 1 + size of the first
        mine, other = base.cut[:, size:], moved.cut[:, : length - 1 - size]
        tally.add("shift.equal", size, batch.rows, agreement.equal(mine, other))
        tally.add("shift.shared", size, batch.rows, agreement.shared(mine, other))
        if size == sizes[-1]:
            cuts = np.arange(size + 1, length)
            from_start, from_end = cuts - size, length - cuts
            for side, distance in (
                ("start", np.where(from_start <= from_end, from_start, -1)),
                ("end", np.where(from_start > from_end, from_end, -1)),
            ):
                curve = agreement.changed_by_distance(mine, other, distance)
                tally.add_curve(f"shift.changed_near_{side}", agreement.DISTANCES, batch.rows, curve)


def masks(reader: Reader, batch: LocusBatch, base: Reading, tally: Tally) -> None:
    """Cuts left of bases that are still to be seen, while others are replaced by [MASK]; each share holds the smaller.

    Distance: the bases between a cut and the nearest [MASK]; 0 = it stands beside it.
    """
    length = batch.window_bp
    order = np.stack([dice.permutation(length) for dice in batch.dice(_MASK)])
    for share in MASKED_SHARES:
        hidden = np.zeros(batch.window.shape, dtype=bool)
        np.put_along_axis(hidden, order[:, : max(1, round(share * length))], True, axis=1)
        seen = reader.read(np.where(hidden, np.uint8(vocab.MASK), batch.window))
        use = ~hidden[:, 1:]
        tally.add("mask.changed", share, batch.rows, agreement.changed(base.cut, seen.cut, use))
        if share in CURVE_SHARES:
            curve = agreement.changed_by_distance(base.cut, seen.cut, bases_to_nearest(hidden), use)
            tally.add_curve(f"mask{100 * share:.0f}.changed_near", agreement.DISTANCES, batch.rows, curve)


def bases_to_nearest(marked: np.ndarray) -> np.ndarray:
    """Bases between each cut 1..length-1 and the nearest marked base: int [num_windows, length - 1].

    Every window [num_windows, length] needs a marked base.
    """
    length = marked.shape[1]
    bases = np.arange(length)
    far = 2 * length
    last = np.maximum.accumulate(np.where(marked, bases, -far), axis=1)
    following = np.minimum.accumulate(np.where(marked, bases, far + length)[:, ::-1], axis=1)[:, ::-1]
    # cut c stands between bases c - 1 and c
    return np.minimum(bases[1:] - 1 - last[:, :-1], following[:, 1:] - bases[1:])
