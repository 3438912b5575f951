"""Folds: the blocks of a track dealt out by whole contigs or in turn, for look-ups that each leave one fold out."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ldarnet.genome import Contig, Interval
from ldarnet_analysis.covered_blocks import Block, Covered

By = Literal["contigs", "blocks"]

LARGEST_CONTIG_SHARE = 1 / 3
_Key = tuple[str, int]


@dataclass(frozen=True)
class Folds:
    """The blocks of each fold. Of blocks dealt singly, `guard_bp` at both ends are predicted but not fitted on."""

    by: By
    block_bp: int
    guard_bp: int
    blocks: tuple[tuple[Block, ...], ...] = field(repr=False)

    def fitted(self, fold: int) -> tuple[Interval, ...]:
        """What look-ups of other folds are fitted on: the blocks of this fold without their guards."""
        trimmed = []
        for (chrom, start, end), number, _ in self.blocks[fold]:
            if self.guard_bp:
                start = max(start, number * self.block_bp + self.guard_bp)
                end = min(end, (number + 1) * self.block_bp - self.guard_bp)
            if start < end:
                trimmed.append(Interval(chrom, start, end))
        return tuple(trimmed)

    def fold_of_block(self, contigs: Sequence[Contig]) -> dict[str, np.ndarray]:
        """For each contig with values the fold of each of its blocks (int64), -1 for a block in none."""
        length_of = dict(contigs)
        fold_of: dict[str, np.ndarray] = {}
        for fold, blocks in enumerate(self.blocks):
            for (chrom, _, _), number, _ in blocks:
                if chrom not in fold_of:
                    fold_of[chrom] = np.full(-(-length_of[chrom] // self.block_bp), -1)
                fold_of[chrom][slice(None) if self.by == "contigs" else number] = fold
        return fold_of


def deal_folds(covered: Covered, by: By | Literal["auto"], num_folds: int, guard_bp: int) -> Folds:
    """At most `num_folds` folds: whole contigs, the longest first, into the lightest fold; or single blocks in turn.

    "auto" takes contigs unless one has more than a third of the values. The guard is at most a tenth of a block, and
    none between contigs.
    """
    if by == "auto":
        largest = max(_values_of(covered, "contigs").values())
        by = "contigs" if largest <= LARGEST_CONTIG_SHARE * covered.num_values else "blocks"
    num_values_of = _values_of(covered, by)
    num_folds = min(num_folds, len(num_values_of))
    if by == "contigs":
        guard_bp = 0
        fold_of = _balanced(num_values_of, num_folds)
    else:
        guard_bp = min(guard_bp, covered.block_bp // 10)
        fold_of = {key: i % num_folds for i, key in enumerate(num_values_of)}
    blocks: list[list[Block]] = [[] for _ in range(num_folds)]
    for block in covered.blocks:
        blocks[fold_of[_key(block, by)]].append(block)
    return Folds(by, covered.block_bp, guard_bp, tuple(map(tuple, blocks)))


def _balanced(num_values_of: dict[_Key, int], num_folds: int) -> dict[_Key, int]:
    fold_of, lightest = {}, [(0, fold) for fold in range(num_folds)]
    for key in sorted(num_values_of, key=lambda key: -num_values_of[key]):
        num_values, fold = heapq.heappop(lightest)
        heapq.heappush(lightest, (num_values + num_values_of[key], fold))
        fold_of[key] = fold
    return fold_of


def _values_of(covered: Covered, by: By) -> dict[_Key, int]:
    """Number of values of each contig or block, in the order of the genome."""
    num_values_of: dict[_Key, int] = {}
    for block in covered.blocks:
        key = _key(block, by)
        num_values_of[key] = num_values_of.get(key, 0) + block.num_values
    return num_values_of


def _key(block: Block, by: By) -> _Key:
    return (block.interval.chrom, 0 if by == "contigs" else block.number)
