"""Transcripts of a GFF3 file, as Ensembl, GENCODE, RefSeq, FlyBase, TAIR, WormBase and SGD write them."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pandas as pd

from ldarnet_analysis.gff_rows import gff_rows
from ldarnet_analysis.transcripts import PIECES, Parts, Row, assemble

_PREFIX = re.compile(r"^(gene|transcript|rna|mrna)[:-]", re.IGNORECASE)
_GENE_NAME_KEYS = ("Name", "gene_name", "gene", "locus_tag")
_PRODUCTS = {"protein", "polypeptide"}


class _Feature(NamedTuple):
    """A row that others may name as their Parent."""

    row: Row
    parents: tuple[str, ...]
    gene_name: str
    gene_id: str
    tss_known: bool
    start_codon_known: bool
    trans_spliced: bool

    @property
    def is_gene(self) -> bool:
        return self.row.kind.endswith("gene")

    @property
    def is_transcript(self) -> bool:
        return self.row.kind.endswith(("RNA", "transcript")) or self.row.kind.startswith("mRNA")


def read_gff3(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """The table of transcripts and notes for the user.

    A transcript is what exon and CDS rows name as their Parent; rows without one make a transcript per ID. A gene
    without transcripts stands for one of its own. Raises ValueError with file and line for malformed lines, an ID
    that two rows share, Parents in a circle, and for a file without genes.
    """
    features: dict[str, _Feature] = {}
    pieces: dict[str, Parts] = {}
    kinds: Counter[str] = Counter()
    for row, text in gff_rows(path):
        row = row._replace(chrom=_plain(row.chrom))
        kinds[row.kind] += 1
        attributes = _attributes(text)
        parents = tuple(_plain(parent) for parent in attributes["Parent"].split(",")) if "Parent" in attributes else ()
        own_id = _plain(attributes.get("ID", ""))
        if row.kind not in PIECES:
            if own_id:
                _declare(features, own_id, _feature(row, parents, attributes))
            continue
        for parent in parents or (own_id or row.where,):
            parts = pieces.get(parent)
            if parts is None:
                gene = _gene_name(attributes) or own_id or parent
                parts = pieces[parent] = Parts(parent, gene, gene, row.chrom, row.strand)
            parts.trans_spliced |= _trans_spliced(attributes)
            parts.start_codon_known &= row.kind != "CDS" or _starts_inside(row, attributes)
            parts.add(row)
    chosen, notes = _transcripts(features, pieces)
    if not chosen:
        found = ", ".join(f"{kind} ({count:,})" for kind, count in kinds.most_common(8)) or "no rows"
        raise ValueError(f"{path}: expected exon, CDS, transcript or gene rows, got {found}")
    table, more_notes = assemble(chosen)
    return table, notes + more_notes


def _transcripts(features: dict[str, _Feature], pieces: dict[str, Parts]) -> tuple[list[Parts], list[str]]:
    """Transcripts with exon or CDS rows, those without, and genes that have no other transcript."""
    orphans = [parts for name, parts in pieces.items() if name not in features]
    declared = {name: parts for name, parts in pieces.items() if name in features}
    # What lies inside a transcript (a miRNA in its primary transcript, say) has no TSS of its own.
    inner = {
        name
        for name, feature in features.items()
        if any(parent in declared and not features[parent].is_gene for parent in feature.parents)
    }
    processed = inner | {name for name in declared if features[name].row.kind in _PRODUCTS}
    built = [name for name in declared if not features[name].is_gene and name not in processed]
    transcripts_of: dict[str, list[str]] = {}
    for name in built:
        transcripts_of.setdefault(_gene_of(name, features), []).append(name)
    direct = [name for name in declared if features[name].is_gene]
    built += [name for name in direct if name not in transcripts_of]
    covered = declared.keys() | inner
    bare = [name for name, feature in features.items() if feature.is_transcript and name not in covered]
    met = {_gene_of(name, features) for name in built + bare}
    lone = [name for name, feature in features.items() if feature.is_gene and name not in met]
    notes = []
    if orphans:
        notes.append(f"{len(orphans):,} transcripts are known by their exon or CDS rows alone: no row declares them")
    num_unread = sum(
        not _hand_down(declared[name], transcripts_of[name], declared) for name in direct if name in transcripts_of
    )
    if num_unread:
        notes.append(f"{num_unread:,} genes have exon or CDS rows of their own beside transcripts: these are not read")
    placed = [_placed(name, declared.get(name), features) for name in built + bare + lone]
    return orphans + placed, notes


def _hand_down(gene: Parts, transcripts: list[str], declared: dict[str, Parts]) -> bool:
    """Give the CDS rows of a gene to its transcript, if there is but one and it has none of its own."""
    only = declared[transcripts[0]]
    fits = len(transcripts) == 1 and not (only.coding or gene.exons)
    if fits:
        only.coding.extend(gene.coding)
    return fits


def _placed(name: str, parts: Parts | None, features: dict[str, _Feature]) -> Parts:
    """The parts of a declared transcript (None if it has none), with what its own row and its gene's say of it."""
    feature = features[name]
    gene = _gene_of(name, features)
    parts = parts or Parts(name, gene, gene, feature.row.chrom, feature.row.strand)
    parts.transcript_id = _bare(name)
    parts.gene_id = features[gene].gene_id or _bare(gene)
    parts.gene_name = features[gene].gene_name or parts.gene_id
    parts.trans_spliced |= feature.trans_spliced or parts.chrom != feature.row.chrom
    parts.tss_known &= feature.tss_known
    parts.start_codon_known &= feature.start_codon_known
    parts.span = (feature.row.start, feature.row.end)
    if parts.strand == ".":
        parts.strand = feature.row.strand
    return parts


def _gene_of(name: str, features: dict[str, _Feature]) -> str:
    """The nearest gene above a feature (itself included), or the topmost feature where there is none."""
    path = [name]
    while not features[path[-1]].is_gene:
        above = [parent for parent in features[path[-1]].parents if parent in features]
        if not above:
            break
        if above[0] in path:
            raise ValueError(f"{features[name].row.where}: expected Parents that lead to a gene, got the circle {path}")
        path.append(above[0])
    return path[-1]


def _declare(features: dict[str, _Feature], own_id: str, feature: _Feature) -> None:
    """Features in several lines (alignments, say) share an ID; genes and transcripts may not, lest exons mix."""
    first = features.setdefault(own_id, feature)
    matters = any(each.is_gene or each.is_transcript for each in (first, feature))
    if first is not feature and matters and not first.trans_spliced:
        raise ValueError(f"{feature.row.where}: expected every ID once, got {own_id!r} as on {first.row.where}")


def _feature(row: Row, parents: tuple[str, ...], attributes: dict[str, str]) -> _Feature:
    tags = attributes.get("tag", "").split(",")
    return _Feature(
        row,
        parents,
        _gene_name(attributes),
        _plain(attributes.get("gene_id", "")),
        "mRNA_start_NF" not in tags and _starts_inside(row, attributes),
        "cds_start_NF" not in tags,
        _trans_spliced(attributes),
    )


def _starts_inside(row: Row, attributes: dict[str, str]) -> bool:
    """False where RefSeq says that the 5' end lies beyond what is annotated."""
    return not (attributes.get("partial") == "true" and ("start_range", "end_range")[row.strand == "-"] in attributes)


def _trans_spliced(attributes: dict[str, str]) -> bool:
    return attributes.get("exception") == "trans-splicing"


def _gene_name(attributes: dict[str, str]) -> str:
    return _plain(next((attributes[key] for key in _GENE_NAME_KEYS if attributes.get(key)), ""))


def _attributes(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(";"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _plain(text: str) -> str:
    return unquote(text) if "%" in text else text


def _bare(name: str) -> str:
    return _PREFIX.sub("", name)
