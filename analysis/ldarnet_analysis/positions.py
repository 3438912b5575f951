"""Stranded cuts of a genome as arrays, and the bases around them as their strand reads them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Contig, Genome
from ldarnet.genome.names import list_names

BLOCK_BP = 1 << 22


class Positions(NamedTuple):
    """Cuts with a strand: `contig` (index in the genome), `cut` (both int64) and `is_minus` (bool), each [num]."""

    contig: np.ndarray
    cut: np.ndarray
    is_minus: np.ndarray

    def take(self, rows: np.ndarray) -> Self:
        """The positions of these rows (indices or a mask)."""
        return type(self)(*(column[rows] for column in self))

    def table(self, contigs: Sequence[Contig]) -> pd.DataFrame:
        """Columns chrom, cut, strand."""
        names = np.array([contig.name for contig in contigs], dtype=object)
        return pd.DataFrame(
            {"chrom": names[self.contig], "cut": self.cut, "strand": np.where(self.is_minus, "-", "+").astype(object)}
        )


class CutAxis:
    """The cuts of all contigs on one line: contig i's cut c has the number offsets[i] + c."""

    def __init__(self, contigs: Sequence[Contig]) -> None:
        self.contigs = tuple(contigs)
        self.lengths = np.array([contig.length_bp for contig in contigs], dtype=np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths + 1)])

    def numbers(self, contig: np.ndarray, cut: np.ndarray) -> np.ndarray:
        """Where cuts lie on the line."""
        return self.offsets[contig] + cut

    def split(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Contig and cut of numbers on the line."""
        contig = np.searchsorted(self.offsets, numbers, side="right") - 1
        return contig, numbers - self.offsets[contig]


def positions_of(table: pd.DataFrame, contigs: Sequence[Contig]) -> Positions:
    """The positions in the columns chrom, cut, strand of a table.

    Raises ValueError for unknown contigs (with both lists of names), cuts outside their contig, and strands
    other than + and -.
    """
    missing = [name for name in ("chrom", "cut", "strand") if name not in table.columns]
    if missing:
        raise ValueError(f"expected the columns chrom, cut and strand, got none called {', '.join(missing)}")
    contig = contig_numbers(table["chrom"], contigs)
    strand = table["strand"].to_numpy()
    known = np.isin(strand, ["+", "-"])
    if not known.all():
        raise ValueError(f"expected strand '+' or '-', got {strand[~known][0]!r} in row {int(np.argmin(known))}")
    cut = table["cut"].to_numpy(dtype=np.int64)
    length_bp = np.array([each.length_bp for each in contigs], dtype=np.int64)[contig]
    outside = np.flatnonzero((cut < 0) | (cut > length_bp))
    if outside.size:
        row = outside[0]
        name = contigs[contig[row]].name
        raise ValueError(f"row {row}: expected a cut in 0..{length_bp[row]} of {name}, got {cut[row]}")
    return Positions(contig, cut, strand == "-")


def contig_numbers(chroms: pd.Series, contigs: Sequence[Contig]) -> np.ndarray:
    """The place of each contig name in the genome (int64); ValueError with both lists for unknown names."""
    names = [contig.name for contig in contigs]
    numbers = chroms.map({name: i for i, name in enumerate(names)})
    if numbers.isna().any():
        unknown = list_names(sorted(set(chroms[numbers.isna()].astype(str))))
        raise ValueError(f"no such contigs in the genome: {unknown}; its contigs are {list_names(names)}")
    return numbers.to_numpy(dtype=np.int64)


def sense_bases(genome: Genome, chrom: str, cut: int, strand: str, before_bp: int, after_bp: int) -> np.ndarray:
    """The ids from `before_bp` before the cut to `after_bp` behind it, as the strand reads them."""
    if strand == "+":
        return genome.ids(chrom, cut - before_bp, cut + after_bp)
    return vocab.reverse_complement(genome.ids(chrom, cut - after_bp, cut + before_bp))


class Block(NamedTuple):
    """Bases read_start.. of a contig, for work on the cuts start..end-1; the rest is margin."""

    contig: int
    start: int
    end: int
    read_start: int
    ids: np.ndarray


def read_blocks(genome: Genome, margin_bp: int, rows: np.ndarray | None = None) -> Iterator[Block]:
    """The genome in blocks that together own each cut once; `rows` (cuts per contig) leaves out those owning none.

    `margin_bp` more bases are read on each side, where the contig has them, so memory does not grow with contigs.
    """
    for contig, (chrom, length_bp) in enumerate(genome.contigs):
        if rows is not None and not rows[contig]:
            continue
        for start in range(0, length_bp + 1, BLOCK_BP):
            end = min(start + BLOCK_BP, length_bp + 1)
            read_start = max(0, start - margin_bp)
            ids = genome.ids(chrom, read_start, min(length_bp, end + margin_bp))
            yield Block(contig, start, end, read_start, ids)
