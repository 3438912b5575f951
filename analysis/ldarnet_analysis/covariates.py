"""What controls are matched on: composition about a cut, repeats, and the distance to the nearest TSS."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet_analysis.positions import CutAxis, Positions, contig_numbers, read_blocks

COMPOSITION = ("gc", "gc_upstream", "gc_downstream")
ALL = (*COMPOSITION, "cpg", "repeat_share", "log_tss_distance")


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
    num_g, num_c, num_cpg = (np.zeros((len(positions.cut), 2), dtype=np.int64) for _ in range(3))
    rows_of = np.bincount(positions.contig, minlength=len(genome.contigs))
    # Sorted once, so that a block finds its positions by two look-ups however many blocks there are.
    order = np.lexsort((positions.cut, positions.contig))
    contig, cut = positions.contig[order], positions.cut[order]
    firsts = np.searchsorted(contig, np.arange(len(genome.contigs) + 1))
    for block in read_blocks(genome, flank_bp, rows_of):
        low, high = firsts[block.contig], firsts[block.contig + 1]
        mine = slice(*(low + np.searchsorted(cut[low:high], [block.start, block.end])))
        at, rows = cut[mine] - block.read_start, order[mine]
        edges = np.stack([at - flank_bp, at, at + flank_bp], axis=1)
        is_g, is_c = block.ids == vocab.G, block.ids == vocab.C
        # A CG has its first base inside the window, and its second too.
        for counts, marked, last in ((num_g, is_g, 0), (num_c, is_c, 0), (num_cpg, is_c[:-1] & is_g[1:], 1)):
            sums = np.concatenate([[0], np.cumsum(marked, dtype=np.int64)])
            counts[rows] = np.diff(sums[edges - [0, 0, last]], axis=1)
    halves = (num_g + num_c) / flank_bp
    up = np.where(positions.is_minus, halves[:, 1], halves[:, 0])
    down = np.where(positions.is_minus, halves[:, 0], halves[:, 1])
    expected = num_g.sum(axis=1) * num_c.sum(axis=1) / (2 * flank_bp)
    cpg = np.divide(num_cpg.sum(axis=1), expected, out=np.zeros(len(expected)), where=expected > 0)
    return {"gc": halves.mean(axis=1), "gc_upstream": up, "gc_downstream": down, "cpg": cpg}


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
