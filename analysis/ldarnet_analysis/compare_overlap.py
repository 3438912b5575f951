"""How far two segmenters cut at the same places, beyond what their rates make them.

Overlap is the share of both segmenters' cuts that have one of the other within the tolerance (Dice's coefficient at
tolerance 0). Expected is its mean when, in every block, one of the two is moved by a random number of bases, round the
block's ends: this leaves its rate in the block and its chunk lengths as they are, and takes away where it cuts. The
mean over all moves needs no drawing: it is the product of the densities. Agreement = (overlap - expected) /
(1 - expected): 0 by chance, 1 for equal cuts.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet_analysis.compare_axis import Axis
from ldarnet_analysis.compare_cuts import CutsOnAxis
from ldarnet_analysis.compare_intervals import MIN_BLOCKS, BlockDraws

TOLERANCES = (0, 1, 2)
OVERLAP_COLUMNS = [
    *("a", "b", "tolerance", "rates", "rate_a", "rate_b", "overlap", "expected", "ratio", "ratio_lo", "ratio_hi"),
    *("agreement", "agreement_lo", "agreement_hi", "num_blocks", "status", "reason"),
]
NAN = float("nan")
_SAME_RATE = 0.01


class OverlapSums(NamedTuple):
    """By block (float64 each): cuts of the two with one of the other near, the same expected, cuts of both together."""

    both: np.ndarray
    expected: np.ndarray
    num: np.ndarray

    def stacked(self) -> np.ndarray:
        """[blocks, 3]"""
        return np.column_stack(self)


def overlap_sums(axis: Axis, a: np.ndarray, b: np.ndarray, tolerance: int) -> OverlapSums:
    """The sums of cuts a and b (bool [size])."""
    num_a, num_b = axis.block_sums(a), axis.block_sums(b)
    near_a, near_b = axis.widened(a, tolerance), axis.widened(b, tolerance)
    both = axis.block_sums(a & near_b) + axis.block_sums(b & near_a)
    expected = (num_a * axis.block_sums(near_b) + num_b * axis.block_sums(near_a)) / axis.block_sizes
    return OverlapSums(both.astype(float), expected, (num_a + num_b).astype(float))


def ratio(sums: np.ndarray) -> np.ndarray:
    """Observed over expected, of [..., 3] sums."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def agreement(sums: np.ndarray) -> np.ndarray:
    """Agreement beyond chance, of [..., 3] sums; NaN where chance leaves nothing to agree on."""
    with np.errstate(divide="ignore", invalid="ignore"):
        left = sums[..., 2] - sums[..., 1]
        return np.where(left > 1e-9 * sums[..., 2], (sums[..., 0] - sums[..., 1]) / left, np.nan)


def overlap_table(
    axis: Axis,
    segmenters: Sequence[CutsOnAxis],
    rate: float,
    draws: BlockDraws,
    tolerances: Sequence[int] = TOLERANCES,
) -> pd.DataFrame:
    """Every pair at every tolerance, with OVERLAP_COLUMNS.

    Two graded segmenters cut at `rate`, a graded one beside a hard one at that one's rate; two hard ones as they do
    ("as they are" unless their rates are equal anyway). A pair that cannot be had is a row with the reason. Every
    graded one must reach `rate` (`CutsOnAxis.for_rate`).
    """
    rows = []
    compared = {each.name: each.compared(rate) for each in segmenters}
    for first, second in combinations(segmenters, 2):
        pair: dict[str, object] = {"a": first.name, "b": second.name}
        try:
            cuts = _pair_cuts(first, second, compared)
        except ValueError as error:
            rows += [pair | {"tolerance": t, "status": "no common rate", "reason": str(error)} for t in tolerances]
            continue
        rate_a, rate_b = (np.count_nonzero(each) / axis.size for each in cuts)
        is_matched = abs(rate_a - rate_b) <= _SAME_RATE * max(rate_a, rate_b)
        pair |= {"rates": "matched" if is_matched else "as they are", "rate_a": rate_a, "rate_b": rate_b}
        rows += [pair | _compare(axis, *cuts, tolerance, draws) for tolerance in tolerances]
    return pd.DataFrame(rows, columns=OVERLAP_COLUMNS)


def agreement_matrix(table: pd.DataFrame, names: Sequence[str], tolerance: int) -> pd.DataFrame:
    """Agreement of all pairs at a tolerance, both triangles, 1 with itself; NaN for pairs that could not be had."""
    matrix = pd.DataFrame(np.nan, index=list(names), columns=list(names))
    for name in names:
        matrix.loc[name, name] = 1.0
    for row in table[table["tolerance"] == tolerance].itertuples():
        matrix.loc[row.a, row.b] = matrix.loc[row.b, row.a] = row.agreement
    return matrix


def _pair_cuts(
    first: CutsOnAxis, second: CutsOnAxis, compared: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    cuts = []
    for each, other in ((first, second), (second, first)):
        if each.is_graded and not other.is_graded:
            theirs = compared[other.name]
            if not theirs.any():
                raise ValueError(f"{other.name} has no cut in the regions")
            cuts.append(each.at_rate(np.count_nonzero(theirs) / theirs.size).cuts)
        else:
            cuts.append(compared[each.name])
    return cuts[0], cuts[1]


def _compare(axis: Axis, a: np.ndarray, b: np.ndarray, tolerance: int, draws: BlockDraws) -> dict[str, object]:
    sums = overlap_sums(axis, a, b, tolerance).stacked()
    total = sums.sum(axis=0)
    num_blocks = int(np.count_nonzero(sums[:, 2]))
    if not total[2]:
        return {"tolerance": tolerance, "status": "no cuts", "reason": "neither cuts in the regions"}
    status, reason = "ok", ""
    if num_blocks < MIN_BLOCKS:
        status, reason = "too few blocks", f"{num_blocks} blocks with cuts, at least {MIN_BLOCKS} needed for intervals"
    ratio_lo, ratio_hi = draws.interval(sums, ratio)
    agreement_lo, agreement_hi = draws.interval(sums, agreement)
    return {
        "tolerance": tolerance,
        "overlap": total[0] / total[2],
        "expected": total[1] / total[2],
        "ratio": float(ratio(total)),
        "ratio_lo": ratio_lo,
        "ratio_hi": ratio_hi,
        "agreement": float(agreement(total)),
        "agreement_lo": agreement_lo,
        "agreement_hi": agreement_hi,
        "num_blocks": num_blocks,
        "status": status,
        "reason": reason,
    }
