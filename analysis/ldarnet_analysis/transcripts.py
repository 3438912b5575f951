"""Transcripts as a table, whatever format they came in, and how the rows of a GTF or GFF3 file become it."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd


class Transcript(NamedTuple):
    """One row of a table of transcripts; positions are 0-based and half-open.

    strand is "+", "-" or "." (not given); exons is int64 [num_exons, 2], ascending and disjoint, [0, 2] where the
    file gives none; cds_start and cds_end (start and stop codon included) are NaN without a CDS. tss_known and
    start_codon_known are False where the 5' end of the transcript or of its CDS is known to be missing.
    """

    transcript_id: str
    gene_id: str
    gene_name: str
    chrom: str
    strand: str
    start: int
    end: int
    exons: np.ndarray
    cds_start: float = math.nan
    cds_end: float = math.nan
    tss_known: bool = True
    start_codon_known: bool = True


TRANSCRIPT_COLUMNS = list(Transcript._fields)


class Row(NamedTuple):
    """One line of a GTF or GFF3 file, in 0-based half-open coordinates; `where` is for messages."""

    chrom: str
    kind: str
    start: int
    end: int
    strand: str
    where: str


@dataclass(slots=True)
class Parts:
    """What a file says of one transcript. The arrays are flat: start, end, start, end, ..."""

    transcript_id: str
    gene_id: str
    gene_name: str
    chrom: str
    strand: str
    span: tuple[int, int] | None = None
    exons: "array[int]" = field(default_factory=lambda: array("q"))
    coding: "array[int]" = field(default_factory=lambda: array("q"))
    untranslated: "array[int]" = field(default_factory=lambda: array("q"))
    cds_span: "array[int]" = field(default_factory=lambda: array("q"))
    trans_spliced: bool = False
    tss_known: bool = True
    start_codon_known: bool = True

    def add(self, row: Row) -> None:
        """Take in an exon, a part of the CDS, a UTR or a codon."""
        if row.chrom != self.chrom or (row.strand != self.strand and row.strand in "+-" and self.strand in "+-"):
            self.trans_spliced = True
        elif self.strand not in "+-":
            self.strand = row.strand
        PIECES[row.kind](self).extend((row.start, row.end))


PIECES = {
    **dict.fromkeys(["exon", "coding_exon", "noncoding_exon", "pseudogenic_exon"], lambda parts: parts.exons),
    **dict.fromkeys(["CDS", "start_codon", "stop_codon"], lambda parts: parts.coding),
    **dict.fromkeys(
        ["UTR", "five_prime_UTR", "three_prime_UTR", "five_prime_utr", "three_prime_utr", "5UTR", "3UTR"],
        lambda parts: parts.untranslated,
    ),
    "coding_region": lambda parts: parts.cds_span,
}
"""The kinds of rows that transcripts are made of, and where each is kept; coding_region may span introns."""


def merge_touching(spans: np.ndarray) -> np.ndarray:
    """Intervals (int64 [n, 2]) in ascending order, those that overlap or touch made one."""
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    furthest = np.maximum.accumulate(spans[:, 1])
    is_gap = spans[1:, 0] > furthest[:-1]
    if is_gap.all():
        return spans
    return np.column_stack([spans[np.append(True, is_gap), 0], furthest[np.append(is_gap, True)]])


def transcript_table(rows: Iterable[Transcript]) -> pd.DataFrame:
    """A table with `TRANSCRIPT_COLUMNS`, sorted by position, every transcript_id unique.

    A name that comes again gets `#2`, `#3`, ... in the order of the table.
    """
    table = pd.DataFrame(list(rows), columns=TRANSCRIPT_COLUMNS)
    types = {"start": np.int64, "end": np.int64, "cds_start": np.float64, "cds_end": np.float64}
    table = table.astype({**types, "tss_known": bool, "start_codon_known": bool})
    table = table.sort_values(["chrom", "start", "end", "strand", "transcript_id"], kind="stable", ignore_index=True)
    again = table.groupby("transcript_id", sort=False).cumcount()
    table.loc[again > 0, "transcript_id"] += "#" + (again[again > 0] + 1).astype(str)
    return table


def assemble(parts: Iterable[Parts]) -> tuple[pd.DataFrame, list[str]]:
    """The table of transcripts, and sentences on what was left out or is incomplete."""
    taken: Counter[str] = Counter()
    table = transcript_table(_finished(parts, taken))
    notes = [f"{count:,} {what}" for what, count in taken.items()]
    strandless = int((table["strand"] == ".").sum())
    if strandless:
        notes.append(f"{strandless:,} transcripts have no strand: no site is taken from them")
    return table, notes


def _finished(all_parts: Iterable[Parts], taken: Counter[str]) -> Iterator[Transcript]:
    for parts in all_parts:
        if parts.trans_spliced:
            taken["transcripts left out: trans-spliced, their parts lie on two strands or contigs or out of order"] += 1
            continue
        # UTRs alone (WormBase's gene tracks have such transcripts) say nothing of what lies between them.
        pieces = parts.exons or (parts.coding and parts.coding + parts.untranslated)
        exons = merge_touching(np.array(pieces, dtype=np.int64).reshape(-1, 2))
        if not len(exons):
            taken["transcripts without exon rows: they give a TSS but no introns"] += 1
        extent = parts.exons or (*pieces, *(parts.span or parts.cds_span or parts.untranslated))
        start, end = min(extent), max(extent)
        cds = parts.coding + parts.cds_span
        yield Transcript(
            parts.transcript_id,
            parts.gene_id,
            parts.gene_name,
            parts.chrom,
            parts.strand,
            start,
            end,
            exons,
            min(cds, default=math.nan),
            max(cds, default=math.nan),
            parts.tss_known,
            parts.start_codon_known,
        )
