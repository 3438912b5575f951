"""Annotation as a segmenter: cuts at the edges of exons, of coding sequence, or at the sites of a panel."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ldarnet.genome import Genome
from ldarnet_analysis.segmenters import CUT, SequenceSegmenter

KINDS = ("exon", "CDS", "site")


class AnnotatedCuts(SequenceSegmenter):
    """A cut at every edge of a kind, whatever its strand; an edge at the end of a contig is none."""

    def __init__(self, genome: Genome, kind: str, cuts: Mapping[str, np.ndarray]) -> None:
        super().__init__(f"annotation:{kind}", genome)
        self._cuts = {chrom: np.unique(each) for chrom, each in cuts.items()}

    def _values(self, chrom: str, start: int, end: int) -> np.ndarray:
        values = np.zeros(end - start, dtype=np.float32)
        cuts = self._cuts.get(chrom, np.empty(0, dtype=np.int64))
        low, high = np.searchsorted(cuts, [max(start, 1), end])
        values[cuts[low:high] - start] = CUT
        return values


def exon_edges(transcripts: pd.DataFrame, *, coding: bool) -> dict[str, np.ndarray]:
    """First and last cut of every exon, or of its coding part, by contig."""
    found: dict[str, list[np.ndarray]] = {}
    columns = zip(*(transcripts[name] for name in ("chrom", "exons", "cds_start", "cds_end")), strict=True)
    for chrom, exons, cds_start, cds_end in columns:
        spans = np.asarray(exons, dtype=np.int64).reshape(-1, 2)
        if coding:
            if cds_start != cds_start:
                continue
            spans = np.clip(spans, int(cds_start), int(cds_end))
            spans = spans[spans[:, 0] < spans[:, 1]]
        found.setdefault(str(chrom), []).append(spans.ravel())
    return {chrom: np.concatenate(edges) for chrom, edges in found.items()}


def annotated_cuts(genome: Genome, kind: str, transcripts: pd.DataFrame | None, sites: pd.DataFrame) -> AnnotatedCuts:
    """The segmenter of a kind: exon, CDS, or site (every site of the panel). Raises ValueError where there is none."""
    if kind == "site":
        cuts = {str(chrom): rows["cut"].to_numpy(dtype=np.int64) for chrom, rows in sites.groupby("chrom")}
    else:
        cuts = {} if transcripts is None else exon_edges(transcripts, coding=kind == "CDS")
    length_of = dict(genome.contigs)
    # transcripts that reach out of a contig were clipped: what looks like an edge there is the contig's
    inside = {chrom: each[(each > 0) & (each < length_of[chrom])] for chrom, each in cuts.items() if chrom in length_of}
    if not any(each.size for each in inside.values()):
        raise ValueError(f"the annotation has no {kind} edges on the contigs of {genome.name}")
    return AnnotatedCuts(genome, kind, inside)
