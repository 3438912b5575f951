"""Cross-fitting: a genome's expected values, each from a look-up that saw nothing of the contig or block it is in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from ldarnet.genome import Contig, Genome
from ldarnet_analysis.covered_blocks import covered_blocks, shared_regions, track_name
from ldarnet_analysis.folds import By, Folds, deal_folds
from ldarnet_analysis.kmer_cells import DEFAULT_KS, KmerLevels
from ldarnet_analysis.kmer_means import r2_table, squared_errors
from ldarnet_analysis.kmer_sums import merged, sum_track
from ldarnet_analysis.kmer_table import KmerLookup
from ldarnet_analysis.profiles import Values

NUM_FOLDS = 10
GUARD_BP = 1000
FEWEST_FOLDS = 3  # one to predict, one to choose the shrinkage on, one to fit


@dataclass(frozen=True, eq=False)
class CrossFit:
    """`lookups[fold]` answers for the contigs or blocks of a fold, and was fitted on all other folds.

    `fold_of_block` is the fold of each block of each contig with values, -1 for a block without. `r2` (columns k, r2,
    num_positions) is over all folds, each predicted by its own look-up, without the guards.
    """

    folds: Folds
    lookups: tuple[KmerLookup, ...]
    fold_of_block: dict[str, np.ndarray] = field(repr=False)
    r2: pd.DataFrame = field(repr=False)

    def lookup_at(self, chrom: str, cut: int) -> KmerLookup:
        """The look-up that answers for a cut; ValueError where the track fitted has no values."""
        folds = self._folds_of(chrom)
        fold = int(folds[min(cut // self.folds.block_bp, folds.size - 1)])
        if fold < 0:
            raise ValueError(f"no look-up answers for {chrom}:{cut}: the track fitted has no value near it")
        return self.lookups[fold]

    def expected_at(self, genome: Genome, contig: Contig, start: int, end: int, k: int | None = None) -> np.ndarray:
        """Expected values of the cuts start..end-1 of a contig (float32), NaN in blocks without values.

        Raises ValueError for a contig without values.
        """
        folds, block_bp = self._folds_of(contig.name), self.folds.block_bp
        expected = np.full(end - start, np.nan, dtype=np.float32)
        for number in range(start // block_bp, -(-end // block_bp)):
            low, high = max(start, number * block_bp), min(end, (number + 1) * block_bp)
            if folds[number] >= 0:
                lookup = self.lookups[folds[number]]
                expected[low - start : high - start] = lookup.expected_at(genome, contig, low, high, k)
        return expected

    def provenance(self) -> dict[str, Any]:
        """How the track was dealt out, and what each fold was fitted with, as JSON can hold it."""
        first, folds = self.lookups[0], self.folds
        return {
            "track": first.track,
            "genome": first.genome,
            "ks": list(first.levels.ks),
            "by": folds.by,
            "block_bp": folds.block_bp,
            "guard_bp": folds.guard_bp,
            "folds": [
                {
                    "predicts": self._predicted(fold),
                    "kappas": list(lookup.kappas),
                    "num_values": lookup.num_values,
                }
                for fold, lookup in enumerate(self.lookups)
            ],
        }

    def _folds_of(self, chrom: str) -> np.ndarray:
        if chrom not in self.fold_of_block:
            raise ValueError(f"no look-up answers for contig {chrom!r}: the track fitted has no value on it")
        return self.fold_of_block[chrom]

    def _predicted(self, fold: int) -> list[Any]:
        """Names of the contigs of a fold, or [chrom, start, end] of its blocks, from first to last value."""
        intervals = [block.interval for block in self.folds.blocks[fold]]
        if self.folds.by == "contigs":
            return list(dict.fromkeys(interval.chrom for interval in intervals))
        return [list(interval) for interval in intervals]


def cross_fit(
    track: Values,
    genome: Genome,
    *,
    by: By | Literal["auto"] = "auto",
    ks: Sequence[int] = DEFAULT_KS,
    num_folds: int = NUM_FOLDS,
    guard_bp: int = GUARD_BP,
) -> CrossFit:
    """Deal a track into folds (`folds.deal_folds`) and fit a look-up for each on the others.

    Blocks are of 1 Mb, shorter where the track has values on few bases. The shrinkage of a look-up is chosen on one of
    the folds that it is fitted on. Raises ValueError for a track of another assembly, without values, with infinite
    values, or with values on fewer than `FEWEST_FOLDS` contigs or blocks.
    """
    if num_folds < FEWEST_FOLDS or guard_bp < 0:
        raise ValueError(f"expected at least {FEWEST_FOLDS} folds and a guard >= 0 bp, got {num_folds} and {guard_bp}")
    levels = KmerLevels(tuple(ks))
    folds = deal_folds(covered_blocks(track, shared_regions(track, genome)), by, num_folds, guard_bp)
    num_folds = len(folds.blocks)
    if num_folds < FEWEST_FOLDS:
        expected = f"expected values on at least {FEWEST_FOLDS} {folds.by} to cross-fit"
        raise ValueError(f"{track_name(track)}: {expected}, got {num_folds}")
    fitted = [folds.fitted(fold) for fold in range(num_folds)]
    sums = [sum_track(track, genome, intervals, levels) for intervals in fitted]
    lookups, errors = [], np.zeros(len(levels.ks))
    for fold in range(num_folds):
        # added up anew for each fold: taking a fold away from a total would leave its rounding behind
        held_out, *rest = ((fold + i) % num_folds for i in range(1, num_folds))
        fitted_on = [interval for other in (held_out, *rest) for interval in fitted[other]]
        rest_sums = merged((sums[other] for other in rest), levels)
        lookup = KmerLookup.from_sums(track, genome, rest_sums, sums[held_out], fitted_on)
        errors += squared_errors(sums[fold], lookup.means.astype(np.float64))
        lookups.append(lookup)
    r2 = r2_table(levels, errors, merged(sums, levels))
    return CrossFit(folds, tuple(lookups), folds.fold_of_block(genome.contigs), r2)
