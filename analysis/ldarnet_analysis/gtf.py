"""Transcripts of a GTF file, as Ensembl, GENCODE, UCSC and RefSeq write them."""

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from ldarnet_analysis.gff_rows import gff_rows
from ldarnet_analysis.transcripts import PIECES, Parts, Row, assemble

_TRANSCRIPT_KINDS = {"transcript", "mRNA"}


def _attribute(key: str) -> re.Pattern[str]:
    return re.compile(rf'(?:^|;)\s*{key} +(?:"([^"]*)"|([^";\s]+))')


_TRANSCRIPT_ID, _GENE_ID = _attribute("transcript_id"), _attribute("gene_id")
_GENE_NAMES = [_attribute("gene_name"), _attribute("gene")]


def read_gtf(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """The table of transcripts and notes for the user.

    A gene without transcripts stands for one of its own. The same transcript_id under another gene_id or on another
    contig is another transcript. Raises ValueError with file and line for malformed lines, a transcript declared
    twice, and a file without transcripts.
    """
    parts_of: dict[tuple[str, str, str], Parts] = {}
    genes: list[Parts] = []
    declared: dict[tuple[str, str, str], str] = {}
    kinds: Counter[str] = Counter()
    for row, attributes in gff_rows(path):
        kinds[row.kind] += 1
        is_transcript = row.kind in _TRANSCRIPT_KINDS
        if not (is_transcript or row.kind in PIECES or row.kind == "gene"):
            continue
        gene_id = _value(_GENE_ID, attributes)
        transcript_id = _value(_TRANSCRIPT_ID, attributes)
        if not (gene_id or transcript_id):
            raise ValueError(f'{row.where}: expected gene_id "..." or transcript_id "..." in column 9, got neither')
        if row.kind == "gene":
            genes.append(_new_parts(row, gene_id, gene_id, attributes))
            continue
        key = (gene_id, transcript_id, row.chrom)
        parts = parts_of.get(key)
        if parts is None:
            parts = parts_of[key] = _new_parts(row, gene_id, transcript_id, attributes)
        if "_start_NF" in attributes:
            parts.tss_known &= '"mRNA_start_NF"' not in attributes
            parts.start_codon_known &= '"cds_start_NF"' not in attributes
        if not is_transcript:
            parts.add(row)
            continue
        if key in declared:
            raise ValueError(
                f"{row.where}: expected every transcript once, got {transcript_id!r} as on {declared[key]}"
            )
        declared[key] = row.where
        parts.span = (row.start, row.end)
    if not (parts_of or genes):
        found = ", ".join(f"{kind} ({count:,})" for kind, count in kinds.most_common(8)) or "no rows"
        raise ValueError(f"{path}: expected exon, CDS, transcript or gene rows, got {found}")
    with_transcripts = {gene_id for gene_id, _, _ in parts_of}
    lone = [gene for gene in genes if gene.gene_id not in with_transcripts]
    return assemble([*parts_of.values(), *lone])


def _value(pattern: re.Pattern[str], attributes: str) -> str:
    found = pattern.search(attributes)
    return (found[1] or found[2] or "") if found else ""


def _new_parts(row: Row, gene_id: str, transcript_id: str, attributes: str) -> Parts:
    gene_id = gene_id or transcript_id
    gene_name = next(filter(None, (_value(pattern, attributes) for pattern in _GENE_NAMES)), gene_id)
    span = (row.start, row.end) if row.kind == "gene" else None
    return Parts(transcript_id or gene_id, gene_id, gene_name, row.chrom, row.strand, span)
