"""Where controls may lie, and candidates drawn uniformly from there.

Allowed are cuts whose window is inside its contig and free of N, away from what must be avoided.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ldarnet.genome import Genome
from ldarnet_analysis.positions import CutAxis, Positions, contig_numbers


@dataclass(frozen=True)
class AllowedCuts:
    """Disjoint half-open runs of cuts on the line of all contigs (`axis`), in order."""

    axis: CutAxis
    starts: np.ndarray
    ends: np.ndarray

    @property
    def num_cuts(self) -> int:
        """How many cuts are allowed."""
        return int((self.ends - self.starts).sum())

    def contains(self, positions: Positions) -> np.ndarray:
        """Whether each position is allowed (bool [num])."""
        numbers = self.axis.numbers(positions.contig, positions.cut)
        run = np.searchsorted(self.starts, numbers, side="right") - 1
        inside: np.ndarray = (run >= 0) & (numbers < np.append(self.ends, 0)[run])
        return inside

    def draw(self, num: int, rng: np.random.Generator) -> Positions:
        """`num` different cuts, or all if there are fewer, drawn uniformly, on random strands, in genome order."""
        ordinals = _draw_distinct(self.num_cuts, num, rng)
        firsts = np.concatenate([[0], np.cumsum(self.ends - self.starts)])
        run = np.searchsorted(firsts, ordinals, side="right") - 1
        contig, cut = self.axis.split(self.starts[run] + ordinals - firsts[run])
        return Positions(contig, cut, rng.random(len(cut)) < 0.5)

    def forbidden(self) -> pd.DataFrame:
        """What is not allowed, as half-open runs of cuts: columns chrom, start, end."""
        rows = []
        for i, (name, length_bp) in enumerate(self.axis.contigs):
            low, high = self.axis.offsets[i], self.axis.offsets[i] + length_bp + 1
            mine = (self.starts >= low) & (self.ends <= high)
            edges = np.concatenate([[low], np.column_stack([self.starts[mine], self.ends[mine]]).ravel(), [high]]) - low
            runs = edges.reshape(-1, 2)
            rows += [(name, start, end) for start, end in runs[runs[:, 0] < runs[:, 1]].tolist()]
        return pd.DataFrame(rows, columns=["chrom", "start", "end"])


def allow_cuts(
    genome: Genome,
    flank_bp: int,
    *,
    avoid: Positions | None = None,
    exclusion_bp: int = 0,
    exclude_regions: pd.DataFrame | None = None,
) -> AllowedCuts:
    """The cuts with flank_bp + 1 bases on either side, none of them N.

    One base more than the flank, so that every offset from -flank_bp to flank_bp has a value on both strands.
    Left out are cuts at most `exclusion_bp` from one to `avoid`, whatever its strand, and those inside or at
    the edge of `exclude_regions` (columns chrom, start, end; 0-based, half-open).
    """
    if flank_bp < 0 or exclusion_bp < 0:
        raise ValueError(f"expected lengths of 0 or more, got flank_bp {flank_bp} and exclusion_bp {exclusion_bp}")
    axis = CutAxis(genome.contigs)
    first, last = axis.offsets[:-1], axis.offsets[1:] - 1
    lows, highs = [first, last - flank_bp], [first + flank_bp, last]
    for i, (name, _) in enumerate(genome.contigs):
        # A flank may reach over to a neighbour on the line, but only to cuts that are forbidden there anyway.
        runs = genome.survey(name).n_runs + axis.offsets[i]
        lows.append(runs[:, 0] - flank_bp)
        highs.append(runs[:, 1] + flank_bp)
    if avoid is not None:
        numbers = axis.numbers(avoid.contig, avoid.cut)
        lows.append(np.maximum(numbers - exclusion_bp, axis.offsets[avoid.contig]))
        highs.append(np.minimum(numbers + exclusion_bp, axis.offsets[avoid.contig + 1] - 1))
    if exclude_regions is not None:
        contig = contig_numbers(exclude_regions["chrom"], genome.contigs)
        for column, side in (("start", lows), ("end", highs)):
            cuts = np.clip(exclude_regions[column].to_numpy(dtype=np.int64), 0, axis.lengths[contig])
            side.append(axis.offsets[contig] + cuts)
    return AllowedCuts(axis, *_gaps(np.concatenate(lows), np.concatenate(highs)))


def regions_around(sites: pd.DataFrame, first_offset: int, last_offset: int) -> pd.DataFrame:
    """The stretch from one offset to another of every site, on its own strand: columns chrom, start, end.

    What `exclude_regions` needs to keep decoys out of functional windows, e.g. -40..-18 of all TSS.
    """
    if first_offset > last_offset:
        raise ValueError(f"expected a first offset at or before the last, got {first_offset} and {last_offset}")
    cut, plus = sites["cut"].to_numpy(dtype=np.int64), sites["strand"].to_numpy() == "+"
    start = np.where(plus, cut + first_offset, cut - last_offset)
    return pd.DataFrame({"chrom": sites["chrom"].to_numpy(), "start": start, "end": start + last_offset - first_offset})


def shuffled_genome_pool(genome: Genome, allowed: AllowedCuts, num: int, *, seed: int) -> Positions:
    """At most `num` different allowed cuts placed by `bedtools shuffle`, on random strands, in genome order.

    The same distribution as `AllowedCuts.draw`, by a program that others know. Raises ValueError where
    bedtools is missing or nothing is allowed.
    """
    if shutil.which("bedtools") is None:
        raise ValueError(
            "the genome-shuffled pool needs the program bedtools, which was not found: install it (apt-get install "
            "bedtools, conda install -c bioconda bedtools) or use the uniform pool"
        )
    if not allowed.num_cuts:
        raise ValueError("the genome-shuffled pool: no cut of this genome is allowed")
    import pybedtools  # slow to import, and of use only with the program

    contig_of = {contig.name: i for i, contig in enumerate(genome.contigs)}
    chrom = genome.contigs[int(allowed.axis.split(allowed.starts[:1])[0][0])].name
    with tempfile.TemporaryDirectory() as folder:
        sizes, features, excluded, placed = (Path(folder, name) for name in ("sizes", "features", "excluded", "placed"))
        # One base more per contig: the feature [c, c + 1) stands for cut c, and there is a cut behind the last base.
        sizes.write_text("".join(f"{name}\t{length_bp + 1}\n" for name, length_bp in genome.contigs))
        features.write_text(f"{chrom}\t0\t1\n" * num)
        allowed.forbidden().to_csv(excluded, sep="\t", header=False, index=False)
        pybedtools.BedTool(str(features)).shuffle(g=str(sizes), excl=str(excluded), seed=seed, output=str(placed))
        lines = [line.split("\t") for line in placed.read_text().splitlines()]
    numbers = np.unique(
        allowed.axis.numbers(
            np.array([contig_of[line[0]] for line in lines], dtype=np.int64),
            np.array([int(line[1]) for line in lines], dtype=np.int64),
        )
    )
    contig, cut = allowed.axis.split(numbers)
    positions = Positions(contig, cut, np.random.default_rng(seed).random(len(cut)) < 0.5)
    return positions.take(allowed.contains(positions))


def _gaps(lows: np.ndarray, highs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half-open runs between closed ones, which may overlap; the ends of every contig are among those given."""
    order = np.argsort(lows, kind="stable")
    reach = np.maximum.accumulate(highs[order])
    starts, ends = reach[:-1] + 1, lows[order][1:]
    real = starts < ends
    return starts[real], ends[real]


def _draw_distinct(total: int, num: int, rng: np.random.Generator) -> np.ndarray:
    """`num` different numbers below `total` in ascending order; memory grows with `num`, not with `total`."""
    if num >= total:
        return np.arange(total)
    if 4 * num >= total:
        return np.sort(rng.choice(total, num, replace=False))
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < num:
        drawn = np.unique(np.concatenate([drawn, rng.integers(total, size=num + num // 4 + 8)]))
    return np.sort(rng.choice(drawn, num, replace=False))
