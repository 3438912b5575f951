"""Starts of transcripts and of their coding sequence, as sites."""

import numpy as np
import pandas as pd

from ldarnet_analysis.annotations import Annotation
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.flanks import Bases, bases_around, spell
from ldarnet_analysis.loci import loci_of
from ldarnet_analysis.sites import make_sites


def tss_sites(annotation: Annotation, *, without_utr: bool = False, dropped: Dropped | None = None) -> pd.DataFrame:
    """Site table of transcription start cuts (class TSS), on the 5' side of their base, each once per strand.

    Transcripts that begin with their start codon are left out unless `without_utr`: in yeast's ensGene, for one,
    these are starts of translation only. So are those without a strand and those whose 5' end is incomplete.
    All are counted in `dropped`; ValueError if none is left.
    """
    dropped = dropped if dropped is not None else Dropped()
    table = _stranded(annotation, dropped)
    table = dropped.keep(table, table["tss_known"], "transcripts with an incomplete 5' end")
    if not without_utr:
        has_utr = table["start_codon"] != table["tss"]
        table = dropped.keep(table, has_utr, "transcripts that begin with their start codon: no TSS is annotated")
    dropped.require_some(table, f"TSS of {annotation.name}")
    return _sites_at(table, "tss", "TSS")


def start_codon_sites(
    annotation: Annotation, genome: Bases | None = None, *, dropped: Dropped | None = None
) -> pd.DataFrame:
    """Site table of the cuts before start codons (class start-codon), each once per strand.

    With a genome, two extra columns: codon, the three bases that follow, and canonical (ATG). Transcripts without
    a strand, without a CDS or with an incomplete one are counted in `dropped`; ValueError if none is left.
    """
    dropped = dropped if dropped is not None else Dropped()
    table = _stranded(annotation, dropped)
    table = dropped.keep(table, table["start_codon"].notna(), "transcripts without a CDS")
    table = dropped.keep(table, table["start_codon_known"], "transcripts with an incomplete start of the CDS")
    dropped.require_some(table, f"start codons of {annotation.name}")
    sites = _sites_at(table, "start_codon", "start-codon")
    if genome is not None:
        codon = spell(bases_around(genome, sites, 0, 3))
        sites = sites.assign(codon=codon, canonical=codon == "ATG")
    return sites


def _stranded(annotation: Annotation, dropped: Dropped) -> pd.DataFrame:
    transcripts = annotation.require_transcripts()
    table = transcripts.assign(locus=loci_of(transcripts))
    table = dropped.keep(table, table["strand"] != ".", "transcripts without a strand")
    forward = table["strand"] == "+"
    return table.assign(
        tss=table["start"].where(forward, table["end"]),
        start_codon=table["cds_start"].where(forward, table["cds_end"]),
    )


def _sites_at(table: pd.DataFrame, position: str, site_class: str) -> pd.DataFrame:
    """One site per cut and strand; where genes share one, the first by name has it."""
    table = table.sort_values(["gene_name", "transcript_id"]).drop_duplicates(["chrom", position, "strand"])
    return make_sites(
        chrom=table["chrom"],
        cut=table[position].astype(np.int64),
        strand=table["strand"],
        site_class=site_class,
        locus=table["locus"],
        gene=table["gene_name"],
    )
