"""The bases on both sides of cuts, each as its own strand reads them."""

from typing import Protocol

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Contig
from ldarnet.genome.names import list_names

BLOCK_BP = 1 << 18


class Bases(Protocol):
    """A genome, or sequences that are read like one."""

    @property
    def contigs(self) -> tuple[Contig, ...]:
        """All contigs."""

    def ids(self, chrom: str, start: int, end: int) -> np.ndarray:
        """The ids (uint8) of bases start..end-1."""


def bases_around(genome: Bases, cuts: pd.DataFrame, upstream_bp: int, downstream_bp: int) -> np.ndarray:
    """Ids (uint8 [num_cuts, upstream_bp + downstream_bp]), 5' to 3', row by row; N beyond the ends of contigs.

    `cuts` has the columns chrom, cut and strand. Raises ValueError for contigs that the genome does not have (with
    both lists of names) and for cuts outside theirs.
    """
    length_of = dict(genome.contigs)
    unknown = [name for name in cuts["chrom"].unique() if name not in length_of]
    if unknown:
        raise ValueError(
            f"no such contigs in the genome: {list_names(unknown)}; its contigs: {list_names([*length_of])}"
        )
    cut = cuts["cut"].to_numpy(dtype=np.int64)
    reads_back = (cuts["strand"] == "-").to_numpy()
    before = np.where(reads_back, downstream_bp, upstream_bp)
    flanks = np.full((len(cuts), upstream_bp + downstream_bp), vocab.N, dtype=np.uint8)
    columns = np.arange(upstream_bp + downstream_bp)
    for (chrom, _), rows in cuts.groupby(["chrom", cut // BLOCK_BP], sort=True).indices.items():
        length_bp = length_of[chrom]
        outside = rows[(cut[rows] < 0) | (cut[rows] > length_bp)]
        if len(outside):
            raise ValueError(f"expected cuts in 0..{length_bp:,} of {chrom}, got {cut[outside[0]]:,}")
        place = (cut[rows] - before[rows])[:, None] + columns
        start, end = max(int(cut[rows].min()) - len(columns), 0), min(int(cut[rows].max()) + len(columns), length_bp)
        ids = np.append(genome.ids(chrom, start, end), np.uint8(vocab.N))
        flanks[rows] = ids[np.where((place >= start) & (place < end), place - start, -1)]
    flanks[reads_back] = vocab.reverse_complement(flanks[reads_back])
    return flanks


def spell(flanks: np.ndarray) -> np.ndarray:
    """Rows of ids (uint8 [num, width]) as text."""
    letters = np.frombuffer(vocab.LETTERS.encode(), dtype=np.uint8)[flanks]
    return np.array([row.tobytes().decode() for row in letters], dtype=object)
