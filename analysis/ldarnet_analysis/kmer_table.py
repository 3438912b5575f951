"""The k-mer look-up null: what a track would be if a cut's value followed from the few bases around it alone.

A table is fitted to one track in the track's own coordinates: a track of the - strand needs a table of its own, since
a model does not read both strands alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd

from ldarnet.genome import Contig, Genome, Interval, merge_intervals
from ldarnet_analysis.covered_blocks import covered_blocks, shared_regions, track_name
from ldarnet_analysis.kmer_cells import DEFAULT_KS, KmerLevels
from ldarnet_analysis.kmer_means import choose_kappas, r2_table, shrunk_means, squared_errors
from ldarnet_analysis.kmer_sums import KmerSums, merged, sum_track
from ldarnet_analysis.profiles import Values

TUNING_PARTS = 5
"""One block in so many is held out while the shrinkage is chosen; the table itself is made of all of them."""


class Expectation(Protocol):
    """What a residual is taken from: a look-up, or look-ups that each answer for a part of a genome."""

    def expected_at(self, genome: Genome, contig: Contig, start: int, end: int) -> np.ndarray:
        """Expected values of the cuts start..end-1 of a contig: float32 [end - start]."""


@dataclass(frozen=True, eq=False)
class KmerLookup:
    """Expected value of a cut by the k-mer around it; `means` (float32) has one per cell of `levels`.

    `kappas` are the shrinkage of each k, `fitted_on` the stretches fitted, `contigs` theirs, with lengths.
    """

    levels: KmerLevels
    kappas: tuple[float, ...]
    means: np.ndarray = field(repr=False)
    num_values: int
    fitted_on: tuple[Interval, ...] = field(repr=False)
    contigs: tuple[Contig, ...] = field(repr=False)
    track: str
    genome: str

    @classmethod
    def fit(
        cls,
        track: Values,
        genome: Genome,
        regions: Sequence[Interval] | None = None,
        ks: Sequence[int] = DEFAULT_KS,
    ) -> Self:
        """The look-up of a track on regions (None: all contigs that track and genome share).

        Raises ValueError for a track of another assembly, for regions that are not there or without any value, for
        infinite values, and for other ks than even ones.
        """
        levels = KmerLevels(tuple(ks))
        covered = covered_blocks(track, shared_regions(track, genome, regions))
        held_out = covered.intervals[TUNING_PARTS - 1 :: TUNING_PARTS]
        rest = sorted(set(covered.intervals) - set(held_out))
        rest_sums, held_out_sums = (sum_track(track, genome, part, levels) for part in (rest, held_out))
        return cls.from_sums(track, genome, rest_sums, held_out_sums, covered.intervals)

    @classmethod
    def from_sums(
        cls, track: Values, genome: Genome, rest: KmerSums, held_out: KmerSums, fitted_on: Sequence[Interval]
    ) -> Self:
        """The look-up of sums over `fitted_on`: shrinkage chosen on `held_out`, then fitted on both."""
        if not rest.num_values:
            raise ValueError(f"{track_name(track)} has too few values to fit on some of them and try on others")
        levels = rest.levels
        kappas = choose_kappas(rest, held_out)
        everything = merged((rest, held_out), levels)
        means = shrunk_means(everything, kappas).astype(np.float32)
        fitted = {interval.chrom for interval in fitted_on}
        return cls(
            levels,
            kappas,
            means,
            everything.num_values,
            merge_intervals(fitted_on, [contig.name for contig in genome.contigs]),
            tuple(contig for contig in genome.contigs if contig.name in fitted),
            Path(track_name(track)).name,
            genome.name,
        )

    def expected(self, ids: np.ndarray, k: int | None = None) -> np.ndarray:
        """Expected value of the cut left of each base, from k-mers up to k (None: the deepest): float32 [num_bases].

        Near the ends of `ids` and near N smaller k-mers answer, down to the mean of all values.
        """
        return self.means[self.levels.cells(ids, k)]

    def expected_at(self, genome: Genome, contig: Contig, start: int, end: int, k: int | None = None) -> np.ndarray:
        """As `expected`, for the cuts start..end-1 of a contig, with the bases around them."""
        return self.means[self.levels.cells_at(genome, contig, start, end, k)]

    def r2(self, track: Values, genome: Genome, regions: Sequence[Interval]) -> pd.DataFrame:
        """R2 of k-mers up to each k on held-out regions: columns k, r2, num_positions.

        1 - squared error / squared deviation from the regions' own mean; cuts with N or an end nearby count too, with
        the k-mer that fits. Raises ValueError for regions that overlap those fitted, or without any value.
        """
        regions = shared_regions(track, genome, regions)
        self._check_held_out(genome, regions)
        sums = sum_track(track, genome, covered_blocks(track, regions).intervals, self.levels)
        return r2_table(self.levels, squared_errors(sums, self.means.astype(np.float64)), sums)

    def provenance(self) -> dict[str, Any]:
        """What was fitted, on what, as JSON can hold it."""
        return {
            "track": self.track,
            "genome": self.genome,
            "ks": list(self.levels.ks),
            "kappas": list(self.kappas),
            "num_values": self.num_values,
            "fitted_on": [list(interval) for interval in self.fitted_on],
        }

    def _check_held_out(self, genome: Genome, regions: Sequence[Interval]) -> None:
        # a contig of the same name and another length is another species' or assembly's
        fitted = set(self.contigs) & set(genome.contigs)
        names = {contig.name for contig in fitted}
        tried, used = (
            [interval for interval in intervals if interval.chrom in names] for intervals in (regions, self.fitted_on)
        )
        overlap_bp = _num_bases(tried) + _num_bases(used) - _num_bases(merge_intervals([*tried, *used], sorted(names)))
        if overlap_bp:
            raise ValueError(
                f"expected regions to try the look-up on apart from those fitted, got {overlap_bp:,} bp shared"
            )


def _num_bases(intervals: Sequence[Interval]) -> int:
    return sum(end - start for _, start, end in intervals)
