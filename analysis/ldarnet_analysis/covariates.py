"""What controls are matched on: composition about a cut, repeats, and the distance to the nearest TSS."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet_analysis.positions import CutAxis, Positions, contig_numbers, read_blocks

COMPOSITION = ("gc", "gc_upstream", "gc_downstream")
ALL = (*COMPOSITION, "cpg", "repeat_share", "log_tss_distance")

# Counts of G, C and CG side by side in one int64. Differences of their sums are right whatever the sums carried over,
# for windows of up to 2 million bases.
_BITS = 21
_ONE_COUNT = (1 << _BITS) - 1
_MARKS = np.zeros(vocab.VOCAB_SIZE, dtype=np.int64)
_MARKS[vocab.G], _MARKS[vocab.C] = 1, 1 << _BITS
_CPG = 1 << 2 * _BITS


class Coverage(NamedTuple):
    """Disjoint half-open runs of bases on the line of all contigs, and how many bases lie before each."""

    starts: np.ndarray
    ends: np.ndarray
    before: np.ndarray

    def up_to(self, numbers: np.ndarray) -> np.ndarray:
        """How many covered bases lie left of each cut."""
        run = np.searchsorted(self.starts, numbers, side="right") - 1
        inside = np.clip(numbers, None, self.ends[run]) - self.starts[run]
        covered: np.ndarray = np.where(run < 0, 0, self.before[run] + inside)
        return covered


def covariates(
    genome: Genome,
    positions: Positions,
    flank_bp: int,
    names: tuple[str, ...],
    *,
    repeats: pd.DataFrame | None = None,
    tss: Positions | None = None,
) -> pd.DataFrame:
    """The covariates `names` (columns, float64) of each position (rows); windows are flank_bp bases on each side.

    gc, gc_upstream, gc_downstream: share of G and C in the window and in its halves, upstream on the position's own
    strand. cpg: observed over expected number of CG. repeat_share: share of the window inside `repeats` (columns chrom,
    start, end). log_tss_distance: log10(1 + bases to the nearest cut of `tss`, the length of the contig where it has
    none). Windows must be inside their contigs and free of N. Raises ValueError for names without their source.
    """
    _check_names(names, flank_bp, repeats, tss)
    axis = CutAxis(genome.contigs)
    values: dict[str, np.ndarray] = {}
    if set(names) & {*COMPOSITION, "cpg"}:
        values |= _composition(genome, positions, flank_bp)
    numbers = axis.numbers(positions.contig, positions.cut)
    if repeats is not None:
        coverage = _coverage(repeats, axis)
        num_covered = coverage.up_to(numbers + flank_bp) - coverage.up_to(numbers - flank_bp)
        values["repeat_share"] = num_covered / (2 * flank_bp)
    if tss is not None:
        values["log_tss_distance"] = np.log10(1 + _nearest(positions, tss, axis))
    return pd.DataFrame({name: values[name] for name in names})


def _check_names(names: tuple[str, ...], flank_bp: int, repeats: pd.DataFrame | None, tss: Positions | None) -> None:
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        raise ValueError(f"expected covariates out of {', '.join(ALL)}, got {', '.join(unknown)}")
    if flank_bp < 1:
        raise ValueError(f"expected flank_bp of 1 or more, got {flank_bp}")
    if "repeat_share" in names and repeats is None:
        raise ValueError("repeat_share needs the repeats of the genome (lower-case letters or a BED file)")
    if "log_tss_distance" in names and tss is None:
        raise ValueError("log_tss_distance needs the TSS of the genome")


def _composition(genome: Genome, positions: Positions, flank_bp: int) -> dict[str, np.ndarray]:
    counts = np.empty((len(positions.cut), 3), dtype=np.int64)
    rows_of = np.bincount(positions.contig, minlength=len(genome.contigs))
    # Sorted once, so that a block finds its positions by two look-ups however many blocks there are.
    order = np.lexsort((positions.cut, positions.contig))
    contig, cut = positions.contig[order], positions.cut[order]
    firsts = np.searchsorted(contig, np.arange(len(genome.contigs) + 1))
    for block in read_blocks(genome, flank_bp, rows_of):
        low, high = firsts[block.contig], firsts[block.contig + 1]
        mine = slice(*(low + np.searchsorted(cut[low:high], [block.start, block.end])))
        at, rows = cut[mine] - block.read_start, order[mine]
        sums = _packed_sums(block.ids)
        low_end, middle, high_end = sums[at - flank_bp], sums[at], sums[at + flank_bp]
        # A CG counts at its G; one whose C lies before the window is not of it.
        across = (sums[at - flank_bp + 1] - low_end) & _CPG
        counts[rows] = np.stack([middle - low_end, high_end - middle, across], axis=1)
    num_g, num_c = counts[:, :2] & _ONE_COUNT, (counts[:, :2] >> _BITS) & _ONE_COUNT
    num_cpg = (counts[:, 0] + counts[:, 1] - counts[:, 2]) >> 2 * _BITS
    halves = (num_g + num_c) / flank_bp
    up = np.where(positions.is_minus, halves[:, 1], halves[:, 0])
    down = np.where(positions.is_minus, halves[:, 0], halves[:, 1])
    expected = num_g.sum(axis=1) * num_c.sum(axis=1) / (2 * flank_bp)
    cpg = np.divide(num_cpg, expected, out=np.zeros(len(expected)), where=expected > 0)
    return {"gc": halves.mean(axis=1), "gc_upstream": up, "gc_downstream": down, "cpg": cpg}


def _packed_sums(ids: np.ndarray) -> np.ndarray:
    """Numbers of G, of C and of the G of a CG before each base and at the end, packed."""
    marks = _MARKS[ids]
    marks[1:] += np.where((ids[:-1] == vocab.C) & (ids[1:] == vocab.G), _CPG, 0)
    sums = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum(marks, out=sums[1:])
    return sums


def _coverage(regions: pd.DataFrame, axis: CutAxis) -> Coverage:
    contig = contig_numbers(regions["chrom"], axis.contigs)
    start, end = (
        axis.offsets[contig] + np.clip(regions[column].to_numpy(dtype=np.int64), 0, axis.lengths[contig])
        for column in ("start", "end")
    )
    # An empty run in front of all bases keeps the look-ups free of special cases.
    start, end = np.append(start, -1), np.append(end, -1)
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    firsts = np.flatnonzero(np.append(True, start[1:] > reach[:-1]))
    starts, ends = start[firsts], reach[np.append(firsts[1:], len(reach)) - 1]
    return Coverage(starts, ends, np.concatenate([[0], np.cumsum(ends - starts)[:-1]]))


def _nearest(positions: Positions, targets: Positions, axis: CutAxis) -> np.ndarray:
    """Bases to the nearest target on the same contig, whatever its strand; the length of a contig without one."""
    numbers = axis.numbers(positions.contig, positions.cut)
    known = np.unique(axis.numbers(targets.contig, targets.cut))
    distance = axis.lengths[positions.contig].astype(np.int64)
    if not len(known):
        return distance
    right = np.searchsorted(known, numbers)
    for index in (right - 1, np.minimum(right, len(known) - 1)):
        neighbour = known[np.maximum(index, 0)]
        same_contig = axis.split(neighbour)[0] == positions.contig
        distance = np.where(same_contig, np.minimum(distance, np.abs(numbers - neighbour)), distance)
    return distance
