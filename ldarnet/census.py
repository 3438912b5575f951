"""How many bases of a run can have a value, and why the others cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ldarnet.genome import Genome, GenomeError, Interval


class ContigEntry(NamedTuple):
    """One contig; where the run does not touch it, what had to be read to know is None."""

    name: str
    length_bp: int
    md5: str | None
    num_n_bp: int | None
    num_iupac_bp: int | None


@dataclass(frozen=True)
class Census:
    """Every contig of the FASTA, and counts over the bases asked for."""

    contigs: tuple[ContigEntry, ...]
    num_contigs: int
    """Contigs with a base asked for."""
    num_bases: int
    num_unknown: int
    """N, and IUPAC codes read as N."""
    num_contig_starts: int
    """First bases of contigs, where they are not N."""

    @property
    def num_possible(self) -> int:
        """Bases that have a value in a track of stage 0."""
        return self.num_bases - self.num_unknown - self.num_contig_starts

    @property
    def num_iupac_bp(self) -> int:
        """IUPAC codes on the contigs the run touches."""
        return sum(contig.num_iupac_bp or 0 for contig in self.contigs)


def take_census(genome: Genome, regions: Sequence[Interval] | None) -> Census:
    """The census of a FASTA, or of regions (disjoint, sorted) of it.

    Raises GenomeError where no base asked for can have a value.
    """
    spans: dict[str, list[tuple[int, int]]] = {}
    for chrom, start, end in regions if regions is not None else (Interval(c[0], 0, c[1]) for c in genome.contigs):
        spans.setdefault(chrom, []).append((start, end))
    entries = []
    num_bases = num_unknown = num_contig_starts = 0
    for name, length_bp in genome.contigs:
        if name not in spans:
            entries.append(ContigEntry(name, length_bp, None, None, None))
            continue
        survey = genome.survey(name)
        entries.append(ContigEntry(name, length_bp, survey.md5, survey.num_n_bp, survey.num_iupac_bp))
        borders = np.array(spans[name])
        num_bases += int(np.sum(borders[:, 1] - borders[:, 0]))
        before = _num_unknown_before(survey.n_runs, borders)
        num_unknown += int(np.sum(before[:, 1] - before[:, 0]))
        starts_with_base = not (len(survey.n_runs) and survey.n_runs[0, 0] == 0)
        num_contig_starts += bool(borders[0, 0] == 0 and starts_with_base)
    census = Census(tuple(entries), len(spans), num_bases, num_unknown, num_contig_starts)
    if census.num_possible == 0:
        raise GenomeError(
            f"{genome.name}: no base can have a value: of {num_bases:,} asked for, {num_unknown:,} are N and "
            f"{num_contig_starts:,} the first of a contig"
        )
    return census


def _num_unknown_before(n_runs: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """How many N lie left of each position; `n_runs` are sorted and disjoint."""
    if not len(n_runs):
        return np.zeros_like(positions)
    starts, ends = n_runs.T
    total = np.concatenate(([0], np.cumsum(ends - starts)))
    num_runs = np.searchsorted(starts, positions)
    beyond = np.maximum(ends[num_runs - 1] - positions, 0)  # of the last run, what lies right of the position
    return np.where(num_runs > 0, total[num_runs] - beyond, 0)
