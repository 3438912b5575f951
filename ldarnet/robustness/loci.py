"""The stretches of sequence that a report is about: drawn at random, disjoint, without N."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome, Interval


class Loci(NamedTuple):
    """Disjoint intervals of equal length in the order of the genome, and what there was to choose from."""

    intervals: tuple[Interval, ...]
    num_possible: int
    """Stretches of that length, laid end to end, in what was asked for."""
    num_unknown: int
    """Stretches drawn and left out because they hold N."""


def draw_loci(genome: Genome, regions: Sequence[Interval], span_bp: int, num: int, seed: int) -> Loci:
    """Up to `num` stretches of `span_bp` bases from the regions (disjoint), each with the same chance.

    Fewer where there are no more. Raises ValueError where no region is long enough, or all stretches hold N.
    """
    counts = np.array([(end - start) // span_bp for _, start, end in regions], dtype=np.int64)
    firsts = np.concatenate([[0], np.cumsum(counts)])
    total = int(firsts[-1])
    if not total:
        longest = max(end - start for _, start, end in regions)
        raise ValueError(
            f"{genome.name}: expected a stretch of {span_bp:,} bases (window and largest shift), the longest there is "
            f"has {longest:,}: choose a smaller --window or --max-shift"
        )
    chosen: list[Interval] = []
    num_unknown = 0
    for number in np.random.default_rng(seed).permutation(total):
        region = int(np.searchsorted(firsts, number, side="right")) - 1
        start = regions[region].start + int(number - firsts[region]) * span_bp
        place = Interval(regions[region].chrom, start, start + span_bp)
        if (genome.ids(*place) == vocab.N).any():
            num_unknown += 1
            continue
        chosen.append(place)
        if len(chosen) == num:
            break
    if not chosen:
        raise ValueError(f"{genome.name}: all {total:,} stretches of {span_bp:,} bases hold N: nothing can be measured")
    order = {contig.name: i for i, contig in enumerate(genome.contigs)}
    chosen.sort(key=lambda each: (order[each.chrom], each.start))
    return Loci(tuple(chosen), total, num_unknown)


class LocusBatch(NamedTuple):
    """The bases of some loci: `ids` is uint8 [num_loci, span_bp], a window and what lies right of it."""

    first: int
    """Number of the first of them among all loci."""
    ids: np.ndarray
    window_bp: int
    seed: int

    @property
    def window(self) -> np.ndarray:
        """The bases of the windows as they are, uint8 [num_loci, window_bp]."""
        return self.ids[:, : self.window_bp]

    @property
    def rows(self) -> slice:
        """Their places among all loci."""
        return slice(self.first, self.first + len(self.ids))

    def dice(self, purpose: int) -> list[np.random.Generator]:
        """One source of random numbers for each locus, the same however loci are put into batches."""
        return [np.random.default_rng((self.seed, purpose, self.first + row)) for row in range(len(self.ids))]


def locus_batches(
    genome: Genome, intervals: Sequence[Interval], window_bp: int, batch_size: int, seed: int
) -> Iterator[LocusBatch]:
    """The loci in batches of at most `batch_size`, in order; only one batch is in memory at a time."""
    for first in range(0, len(intervals), batch_size):
        ids = np.stack([genome.ids(*each) for each in intervals[first : first + batch_size]])
        yield LocusBatch(first, ids, window_bp, seed)
