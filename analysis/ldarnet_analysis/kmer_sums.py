"""Sums of a track over the cells of a k-mer look-up: all that fitting, tuning and R2 need of the data."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np

from ldarnet.genome import Genome, Interval
from ldarnet_analysis.covered_blocks import READ_BP, track_name
from ldarnet_analysis.kmer_cells import KmerLevels
from ldarnet_analysis.profiles import Values


class CellSums(NamedTuple):
    """How many values some cells hold (int64) and their sum (float64)."""

    num: np.ndarray
    total: np.ndarray


class KmerSums:
    """Sums over cuts, each counted once, in its deepest cell; `squares` is the sum of all squared values."""

    def __init__(self, levels: KmerLevels) -> None:
        self.levels = levels
        self.cells = CellSums(np.zeros(levels.num_cells, dtype=np.int64), np.zeros(levels.num_cells))
        self.squares = 0.0

    @property
    def num_values(self) -> int:
        """Cuts with a value."""
        return int(self.cells.num.sum())

    def add(self, cells: np.ndarray, values: np.ndarray) -> None:
        """Count values (float [n], none of them NaN) in their cells (int [n])."""
        values = values.astype(np.float64)
        # unlike bincount, add.at takes no time for the cells that do not occur: contigs may be short and many
        np.add.at(self.cells.num, cells, 1)
        np.add.at(self.cells.total, cells, values)
        self.squares += float(values @ values)

    def merge(self, other: Self) -> None:
        """Count what `other` counted as well."""
        for mine, theirs in zip(self.cells, other.cells, strict=True):
            mine += theirs
        self.squares += other.squares

    def by_level(self) -> list[CellSums]:
        """Sums of each level over every cut that is at least as deep."""
        depths = self.levels.depths
        rolled = [CellSums(self.cells.num[span].copy(), self.cells.total[span].copy()) for span in self.levels.slices]
        for level in range(len(depths) - 1, 0, -1):
            outer = 4 ** ((depths[level] - depths[level - 1]) // 2)
            for deep, shallow in zip(rolled[level], rolled[level - 1], strict=True):
                shallow += deep.reshape(outer, -1, outer).sum(axis=(0, 2))
        return rolled


def merged(parts: Iterable[KmerSums], levels: KmerLevels) -> KmerSums:
    """The sums of all parts together."""
    everything = KmerSums(levels)
    for part in parts:
        everything.merge(part)
    return everything


def sum_track(track: Values, genome: Genome, intervals: Iterable[Interval], levels: KmerLevels) -> KmerSums:
    """Read intervals, which must lie in track and genome, and sum the track over them.

    Memory does not grow with them. Raises ValueError for an infinite value.
    """
    contig_of = {contig.name: contig for contig in genome.contigs}
    sums = KmerSums(levels)
    for chrom, first, last in intervals:
        for start in range(first, last, READ_BP):
            end = min(start + READ_BP, last)
            values = track.values(chrom, start, end)
            cells = levels.cells_at(genome, contig_of[chrom], start, end)
            has_value = ~np.isnan(values)
            if not has_value.all():
                values, cells = values[has_value], cells[has_value]
            sums.add(cells, values)
            if not np.isfinite(sums.squares):
                raise ValueError(f"{track_name(track)}: expected finite values in {chrom}:{start}-{end}, got infinite")
    return sums
