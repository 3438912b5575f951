"""Where a track has values: blocks of its contigs, dealt out when something is fitted on some and tried on others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ldarnet.genome import Genome, Interval, merge_intervals
from ldarnet.genome.names import list_names
from ldarnet_analysis.profiles import Values, check_same_assembly

LONGEST_BLOCK_BP = 1_000_000
NUM_BLOCKS_AT_LEAST = 20
READ_BP = 1 << 20


class Block(NamedTuple):
    """A stretch from its first base with a value to its last, in the block `number` of its contig."""

    interval: Interval
    number: int
    num_values: int


class Covered(NamedTuple):
    """The blocks with values, in the order of the genome, and how long blocks are."""

    blocks: tuple[Block, ...]
    block_bp: int

    @property
    def num_values(self) -> int:
        """Bases with a value."""
        return sum(block.num_values for block in self.blocks)

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Where the blocks are."""
        return tuple(block.interval for block in self.blocks)


def track_name(track: Values) -> str:
    """How messages call a track: its path, if it has one."""
    return str(getattr(track, "path", type(track).__name__))


def shared_regions(track: Values, genome: Genome, regions: Sequence[Interval] | None = None) -> tuple[Interval, ...]:
    """The regions, merged where they overlap, or else all contigs that track and genome share.

    A bedGraph's contigs end with its last value, and so do the regions. Raises ValueError for a track of another
    assembly, for no regions, for unknown contigs (both lists of names) and for regions outside their contig.
    """
    shared = set(check_same_assembly(track, genome))
    length_of = {name: length_bp for name, length_bp in genome.contigs if name in shared}
    if regions is None:
        regions = [Interval(name, 0, length_bp) for name, length_bp in length_of.items()]
    if not regions:
        raise ValueError("expected at least one region, got none")
    unknown = sorted({region.chrom for region in regions} - shared)
    if unknown:
        shared_names = list_names(list(length_of))
        raise ValueError(
            f"regions on contigs that {track_name(track)} and {genome.name} do not share: {list_names(unknown)}; "
            f"they share {shared_names}"
        )
    for chrom, start, end in regions:
        if not 0 <= start < end <= length_of[chrom]:
            raise ValueError(f"expected 0 <= start < end <= {length_of[chrom]} in {chrom}, got region {start}-{end}")
    last_of = dict(track.contigs)
    return tuple(
        Interval(chrom, start, min(end, last_of[chrom]))
        for chrom, start, end in merge_intervals(regions, list(length_of))
        if start < last_of[chrom]
    )


def covered_blocks(track: Values, regions: Sequence[Interval]) -> Covered:
    """The blocks of the regions that hold values; ValueError if no base of them has one.

    Blocks are counted from base 0 of each contig. They are `LONGEST_BLOCK_BP` long, or, where that makes fewer than
    `NUM_BLOCKS_AT_LEAST`, short enough to make about as many.
    """
    covered = Covered(_blocks(track, regions, LONGEST_BLOCK_BP), LONGEST_BLOCK_BP)
    if not covered.blocks:
        places = list_names([f"{chrom}:{start}-{end}" for chrom, start, end in regions])
        raise ValueError(f"{track_name(track)}: no base of {places} has a value")
    if len(covered.blocks) < NUM_BLOCKS_AT_LEAST:
        spans_bp = sum(end - start for _, start, end in covered.intervals)
        block_bp = max(1, spans_bp // NUM_BLOCKS_AT_LEAST)
        covered = Covered(_blocks(track, covered.intervals, block_bp), block_bp)
    return covered


def _blocks(track: Values, regions: Sequence[Interval], block_bp: int) -> tuple[Block, ...]:
    blocks = []
    for chrom, region_start, region_end in regions:
        for number in range(region_start // block_bp, -(-region_end // block_bp)):
            start, end = max(region_start, number * block_bp), min(region_end, (number + 1) * block_bp)
            found = np.flatnonzero(~np.isnan(track.values(chrom, start, end)))
            if found.size:
                span = Interval(chrom, start + int(found[0]), start + int(found[-1]) + 1)
                blocks.append(Block(span, number, found.size))
    return tuple(blocks)
