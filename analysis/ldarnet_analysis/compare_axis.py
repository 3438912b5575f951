"""The cuts on which segmenters are compared: those of the regions about which every one of them says something.

All of them are laid end to end. A stretch is a run of them without a gap; chunks, tolerances and motifs stay within
stretches. A block is what is resampled and shifted: the cuts of a contig in one bin of so many bases.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome, Interval
from ldarnet.genome.names import list_names
from ldarnet_analysis.positions import CutAxis
from ldarnet_analysis.segmenters import Segmenter

LONGEST_BLOCK_BP = 25_000
SHORTEST_BLOCK_BP = 500
NUM_BLOCKS_AIMED_AT = 40
_READ_BP = 1 << 20
_SPARSE_GAP_BP = 2_000
"""Between values of a later stage farther apart than this, nothing is known: no chunk is as long."""


@dataclass(frozen=True, eq=False)
class Axis:
    """The compared cuts: `numbers` (int64 [size], ascending) on `line`, first indices of stretches and of blocks."""

    line: CutAxis
    numbers: np.ndarray
    stretches: np.ndarray
    blocks: np.ndarray
    block_bp: int

    @property
    def size(self) -> int:
        """How many cuts are compared."""
        return len(self.numbers)

    @property
    def block_sizes(self) -> np.ndarray:
        """Cuts of each block."""
        return np.diff(self.blocks, append=self.size)

    def block_of(self, index: np.ndarray) -> np.ndarray:
        """The block of each index."""
        return np.searchsorted(self.blocks, index, side="right") - 1

    def stretch_of(self, index: np.ndarray) -> np.ndarray:
        """The stretch of each index."""
        return np.searchsorted(self.stretches, index, side="right") - 1

    def index_of(self, numbers: np.ndarray) -> np.ndarray:
        """The index of each number on the line, -1 for cuts that are not compared."""
        index = np.searchsorted(self.numbers, numbers)
        found = np.minimum(index, self.size - 1)
        return np.where(self.numbers[found] == numbers, found, -1)

    def block_sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over the blocks of [size] numbers or flags: int64 for flags, else float64."""
        kind = np.int64 if values.dtype == bool else np.float64
        return np.add.reduceat(values.view(np.int8) if values.dtype == bool else values, self.blocks, dtype=kind)

    def widened(self, cuts: np.ndarray, within_bp: int) -> np.ndarray:
        """Where a cut is at most that far away on the same stretch: bool [size]."""
        wide = cuts.copy()
        for distance in range(1, within_bp + 1):
            moved = cuts[:-distance].copy()
            # what would step over the start of a stretch
            for lag in range(distance):
                over = self.stretches[1:] + lag - distance
                moved[over[(over >= 0) & (over < moved.size)]] = False
            wide[distance:] |= moved
            moved = cuts[distance:].copy()
            for lag in range(distance):
                over = self.stretches[1:] + lag - distance
                moved[over[(over >= 0) & (over < moved.size)]] = False
            wide[:-distance] |= moved
        return wide


def common_axis(
    genome: Genome, regions: Sequence[Interval], segmenters: Sequence[Segmenter], block_bp: int | None = None
) -> tuple[Axis, list[str]]:
    """The cuts inside the regions (disjoint, in the order of the genome) with both bases known, and notes.

    A cut at the edge of a region is not inside. Raises ValueError where nothing is left to compare, saying which
    segmenter has values where.
    """
    line = CutAxis(genome.contigs)
    place = {contig.name: i for i, contig in enumerate(genome.contigs)}
    num_known, has_value = 0, dict.fromkeys((each.name for each in segmenters), 0)
    found = []
    for chrom, start, end in _pieces(regions):
        ids = genome.ids(chrom, start - 1, end)
        known = (ids[1:] < vocab.N) & (ids[:-1] < vocab.N)
        num_known += int(known.sum())
        shared = known.copy()
        for segmenter in segmenters:
            valued = known & ~np.isnan(_values(segmenter, chrom, start, end))
            has_value[segmenter.name] += int(valued.sum())
            shared &= valued
        found.append(line.offsets[place[chrom]] + start + np.flatnonzero(shared))
    numbers = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
    said = ", ".join(f"{name} {count:,}" for name, count in has_value.items())
    places = list_names([f"{chrom}:{start}-{end}" for chrom, start, end in regions])
    if numbers.size < 2:
        raise ValueError(
            f"nothing to compare in {places}: {num_known:,} cuts between known bases, with a value: {said or 'none'}"
        )
    block_bp = block_bp or _block_length(numbers.size)
    gap = np.diff(numbers, prepend=numbers[0] - 2) != 1
    contig, cut = line.split(numbers)
    new_bin = np.diff(cut // block_bp, prepend=-1) != 0
    new_contig = np.diff(contig, prepend=-1) != 0
    axis = Axis(line, numbers, np.flatnonzero(gap), np.flatnonzero(new_bin | new_contig), block_bp)
    notes = [f"{axis.size:,} of {num_known:,} cuts between known bases of the regions are compared"]
    if axis.size < num_known:
        notes.append(f"cuts with a value: {said}")
    return axis, notes


def read_values(axis: Axis, segmenter: Segmenter) -> np.ndarray:
    """Values of a segmenter at the compared cuts: float32 [size]; a sparse one's missing values are -1."""
    values = np.empty(axis.size, dtype=np.float32)
    ends = np.append(axis.stretches[1:], axis.size)
    for first, last in zip(axis.stretches.tolist(), ends.tolist(), strict=True):
        for low in range(first, last, _READ_BP):
            high = min(low + _READ_BP, last)
            contig, cut = axis.line.split(axis.numbers[[low, high - 1]])
            chrom = axis.line.contigs[int(contig[0])].name
            values[low:high] = segmenter.values(chrom, int(cut[0]), int(cut[1]) + 1)
    return np.nan_to_num(values, nan=-1.0) if segmenter.is_sparse else values


def _pieces(regions: Sequence[Interval]) -> Iterator[Interval]:
    """The cuts inside the regions, in pieces."""
    for chrom, start, end in regions:
        for low in range(start + 1, end, _READ_BP):
            yield Interval(chrom, low, min(low + _READ_BP, end))


def _values(segmenter: Segmenter, chrom: str, start: int, end: int) -> np.ndarray:
    """Its values; those of a sparse one with 0 wherever others are near on both sides."""
    if not segmenter.is_sparse:
        return segmenter.values(chrom, start, end)
    length_bp = dict(segmenter.contigs)[chrom]
    low, high = max(start - _SPARSE_GAP_BP, 0), min(end + _SPARSE_GAP_BP, length_bp)
    around = segmenter.values(chrom, low, high)
    at = np.concatenate([[-np.inf], np.flatnonzero(~np.isnan(around)), [np.inf]])
    here = np.arange(start - low, end - low)
    before = at[np.searchsorted(at, here, side="right") - 1]
    behind = at[np.searchsorted(at, here, side="left")]
    values = around[start - low : end - low]
    return np.where(np.isnan(values) & (behind - before <= _SPARSE_GAP_BP), np.float32(0), values)


def _block_length(num_cuts: int) -> int:
    return int(np.clip(num_cuts // NUM_BLOCKS_AIMED_AT, SHORTEST_BLOCK_BP, LONGEST_BLOCK_BP))
