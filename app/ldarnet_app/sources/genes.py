"""Genes: an annotation read once and kept compact, asked for what lies in a window and for names."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet.genome import Contig
from ldarnet_analysis.aliases import match_chromosomes
from ldarnet_analysis.annotations import Annotation, annotation_format, read_annotation
from ldarnet_analysis.records import records_in_names
from ldarnet_app.file_cache import per_file
from ldarnet_app.sources.bed12_index import UnusualBed, read_bed12_columns

NUM_SUGGESTIONS = 5


class Model(NamedTuple):
    """A transcript, or an interval of a BED file, in the genome's own names and coordinates.

    exons is int64 [num_exons, 2], ascending; cds is its coding span, empty (0, 0) without one.
    """

    name: str
    gene: str
    chrom: str
    strand: str
    start: int
    end: int
    exons: np.ndarray
    cds: tuple[int, int]


@dataclass(frozen=True)
class TranscriptColumns:
    """Transcripts as columns, sorted by chromosome and start; exons of transcript k are exons[first[k]:first[k+1]]."""

    chroms: tuple[str, ...]
    chrom: np.ndarray
    start: np.ndarray
    end: np.ndarray
    strand: np.ndarray
    name: Sequence[str]
    gene: Sequence[str]
    first_exon: np.ndarray
    exons: np.ndarray
    cds: np.ndarray


class _Place(NamedTuple):
    """Where a contig of the genome lies in the annotation: cut c of it is cut c + shift there."""

    chrom: int
    shift: int
    length_bp: int


class GeneIndex:
    """The transcripts of an annotation that lie on a genome's contigs."""

    def __init__(self, columns: TranscriptColumns, contigs: Sequence[Contig]) -> None:
        self._columns = columns
        self._places = _places(columns.chroms, contigs)
        numbers = np.arange(len(columns.chroms) + 1)
        self._rows = np.searchsorted(columns.chrom, numbers)
        self._furthest = columns.end.copy()
        for low, high in zip(self._rows, self._rows[1:], strict=False):
            np.maximum.accumulate(columns.end[low:high], out=self._furthest[low:high])

    @cached_property
    def names(self) -> list[str]:
        """Every gene, in the order of the alphabet."""
        return sorted(self._rows_of)

    @cached_property
    def _rows_of(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        on_genome = np.isin(self._columns.chrom, [place.chrom for place in self._places.values()])
        for row in np.flatnonzero(on_genome).tolist():
            rows.setdefault(self._columns.gene[row], []).append(row)
        return rows

    @cached_property
    def _folded(self) -> dict[str, str]:
        folded = {self._columns.name[row].casefold(): gene for gene, rows in self._rows_of.items() for row in rows}
        folded.update((gene.casefold(), gene) for gene in self._rows_of)
        return folded

    def overlapping(self, chrom: str, start: int, end: int) -> list[Model]:
        """The transcripts that share a base with start..end-1 of a contig, by their start."""
        place = self._places.get(chrom)
        if place is None:
            return []
        low, high = self._rows[place.chrom], self._rows[place.chrom + 1]
        start, end = start + place.shift, end + place.shift
        first = low + int(np.searchsorted(self._furthest[low:high], start, side="right"))
        last = low + int(np.searchsorted(self._columns.start[low:high], end, side="left"))
        found = np.arange(first, max(first, last))
        found = found[self._columns.end[found] > start]
        return [self._model(row, chrom, place.shift) for row in found.tolist()]

    def gene(self, name: str) -> list[Model]:
        """The transcripts of a gene, or of the gene of a transcript, on the contig that has the first; [] for none.

        Upper and lower case are the same, unless there are genes that differ in nothing else.
        """
        name = name.strip()
        gene = name if name in self._rows_of else self._folded.get(name.casefold())
        if gene is None:
            return []
        models = [model for row in self._rows_of[gene] for model in self._on_contigs(row)]
        return [model for model in models if model.chrom == models[0].chrom]

    def near(self, name: str) -> list[str]:
        """Names like one that does not exist: those that begin with it, else those that differ little."""
        folded = name.strip().casefold()
        ordered = self._ordered
        begin = bisect_left(ordered, folded)
        same_start = [each for each in ordered[begin : begin + NUM_SUGGESTIONS] if folded and each.startswith(folded)]
        candidates = same_start or difflib.get_close_matches(
            folded, [each for each in ordered if abs(len(each) - len(folded)) <= 2], NUM_SUGGESTIONS, cutoff=0.6
        )
        return list(dict.fromkeys(self._folded[each] for each in candidates))

    @cached_property
    def _ordered(self) -> list[str]:
        return sorted(self._folded)

    def _on_contigs(self, row: int) -> Iterator[Model]:
        columns = self._columns
        for chrom, place in self._places.items():
            is_inside = columns.end[row] > place.shift and columns.start[row] < place.shift + place.length_bp
            if place.chrom == columns.chrom[row] and is_inside:
                yield self._model(row, chrom, place.shift)

    def _model(self, row: int, chrom: str, shift: int) -> Model:
        columns = self._columns
        exons = columns.exons[columns.first_exon[row] : columns.first_exon[row + 1]] - shift
        coding = columns.cds[row]
        cds = (int(coding[0]) - shift, int(coding[1]) - shift) if coding[0] < coding[1] else (0, 0)
        start, end = int(columns.start[row]) - shift, int(columns.end[row]) - shift
        return Model(columns.name[row], columns.gene[row], chrom, str(columns.strand[row]), start, end, exons, cds)


@per_file(maxsize=2)
def gene_index(annotation: Path, contigs: tuple[Contig, ...]) -> GeneIndex:
    """The index of an annotation (GTF, GFF3, BED) on a genome.

    Chromosomes may go by other names, and contigs named chrom:first-last lie within theirs, as in an analysis.
    Raises ValueError naming file and line for what is malformed, and if no chromosome matches.
    """
    return GeneIndex(_columns(annotation), contigs)


def _columns(path: Path) -> TranscriptColumns:
    if annotation_format(path) == "bed12":
        try:
            return TranscriptColumns(*read_bed12_columns(path))
        except UnusualBed:  # read line by line, which accepts more and says what is wrong where
            pass
    return columns_of(read_annotation(path))


def columns_of(annotation: Annotation) -> TranscriptColumns:
    """The transcripts of an annotation as columns; intervals of a BED file are transcripts of one exon."""
    table, is_bed6 = annotation.transcripts, annotation.format == "bed6"
    if is_bed6:
        table = annotation.features
        place = table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str)
        named = table["name"].where(table["name"] != "", place)
        table = table.assign(transcript_id=named, gene_name=named)
    chroms, chrom = np.unique(table["chrom"].to_numpy(dtype=object), return_inverse=True)
    order = np.lexsort((table["end"].to_numpy(), table["start"].to_numpy(), chrom))
    table, chrom = table.iloc[order], chrom[order]
    span = table[["start", "end"]].to_numpy(dtype=np.int64)
    if is_bed6:
        blocks = list(span.reshape(-1, 1, 2))
        cds = np.zeros((len(table), 2), dtype=np.int64)
    else:
        # without exon rows only the extent is known, and drawn as one block
        blocks = [exons if len(exons) else extent[None] for exons, extent in zip(table["exons"], span, strict=True)]
        cds = table[["cds_start", "cds_end"]].fillna(0).to_numpy(dtype=np.int64)
    return TranscriptColumns(
        tuple(map(str, chroms)),
        chrom,
        span[:, 0].copy(),
        span[:, 1].copy(),
        table["strand"].to_numpy(dtype="U1"),
        table["transcript_id"].tolist(),
        table["gene_name"].tolist(),
        np.cumsum([0, *map(len, blocks)]),
        np.concatenate(blocks),
        cds,
    )


def _places(chroms: Sequence[str], contigs: Sequence[Contig]) -> dict[str, _Place]:
    """Contigs by name; raises ValueError, with both lists of names, if none lies in the annotation."""
    records = records_in_names(contigs)
    names = match_chromosomes(
        dict.fromkeys(records["chrom"]), chroms, what="the FASTA file", where="the annotation"
    ).names
    number_of = {name: number for number, name in enumerate(chroms)}
    return {
        row.contig: _Place(number_of[names[row.chrom]], row.start, row.end - row.start)
        for row in records.itertuples()
        if row.chrom in names
    }
