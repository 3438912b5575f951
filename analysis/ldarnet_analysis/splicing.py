"""Introns and splice sites of an annotation, and whether the genome bears them out."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet_analysis.aliases import is_nuclear
from ldarnet_analysis.annotations import Annotation
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.flanks import Bases, bases_around, spell
from ldarnet_analysis.loci import loci_of
from ldarnet_analysis.sites import make_sites

MIN_INTRON_BP = 40
"""Shorter gaps between exons are frameshifts and repairs of the annotation, not introns."""

WARN_SHARE = 0.9
ERROR_SHARE = 0.5

INTRON_COLUMNS = ["chrom", "start", "end", "strand", "gene", "locus", "rank", "score"]
_SAME = ["chrom", "start", "end", "strand"]


class IntronCheck(NamedTuple):
    """How introns read on the genome; those too short, without a strand or not nuclear are only counted."""

    num_introns: int
    num_gt_ag: int
    num_gc_ag: int
    num_at_ac: int
    num_short: int
    num_strandless: int
    num_organellar: int

    @property
    def gt_ag_share(self) -> float:
        """Share of the introns read that are GT..AG; NaN if none was read."""
        return self.num_gt_ag / self.num_introns if self.num_introns else float("nan")

    @property
    def warning(self) -> str:
        """A sentence for the user if the share is lower than real introns have it, else nothing."""
        low = self.num_introns and self.gt_ag_share < WARN_SHARE
        return f"{self}: of real introns about 98 % do" if low else ""

    def __str__(self) -> str:
        if not self.num_introns:
            return "no introns to check"
        return (
            f"{self.num_gt_ag:,} of {self.num_introns:,} introns ({self.gt_ag_share:.2%}) read GT..AG, "
            f"{self.num_gc_ag:,} GC..AG, {self.num_at_ac:,} AT..AC"
        )


def introns_of(annotation: Annotation) -> pd.DataFrame:
    """Every intron once, as a table with `INTRON_COLUMNS`, sorted by position.

    Introns are the gaps between the exons of a transcript, or the intervals of a BED file of fewer than 12 columns,
    whose names are then taken for those of genes. rank counts along the transcript from 1 (the lowest where
    transcripts differ, 0 where not known); score is that of the BED file, else NaN. Strand may be ".".
    """
    introns = _given(annotation.features) if annotation.format == "bed6" else _gaps(annotation.transcripts)
    introns = introns.sort_values([*_SAME, "rank", "gene", "locus"], ignore_index=True)
    return introns.drop_duplicates(_SAME, ignore_index=True)[INTRON_COLUMNS]


def splice_sites(
    annotation: Annotation,
    genome: Bases | None = None,
    *,
    min_intron_bp: int = MIN_INTRON_BP,
    dropped: Dropped | None = None,
) -> pd.DataFrame:
    """Site table of the donor and acceptor cuts of all introns, each cut once per strand and class.

    Extra columns: exon_rank, of the exon before a donor and behind an acceptor (0 if not known); with a genome also
    dinucleotide, the intron's first or last two bases as its strand reads them, and canonical (GT, AG).
    Introns without a strand or too short are counted in `dropped`; ValueError if none is left.
    """
    dropped = dropped if dropped is not None else Dropped()
    introns = introns_of(annotation)
    introns = dropped.keep(introns, introns["strand"] != ".", "introns without a strand")
    is_long = introns["end"] - introns["start"] >= min_intron_bp
    introns = dropped.keep(introns, is_long, f"introns shorter than {min_intron_bp} bp")
    dropped.require_some(introns, f"introns of {annotation.name}")
    ends = _ends(introns)
    rank = introns["rank"]
    donors = introns.assign(cut=ends.donor, site_class="donor", exon_rank=rank)
    acceptors = introns.assign(cut=ends.acceptor, site_class="acceptor", exon_rank=rank.where(rank == 0, rank + 1))
    both = pd.concat([donors, acceptors]).sort_values(["exon_rank", "gene", "locus"], kind="stable")
    both = both.drop_duplicates(["chrom", "cut", "strand", "site_class"])
    columns = {name: both[name] for name in ("chrom", "cut", "strand", "site_class", "locus", "gene", "score")}
    sites = make_sites(**columns, extra={"exon_rank": both["exon_rank"]})
    return sites if genome is None else _with_dinucleotides(sites, genome)


def intron_check(introns: pd.DataFrame, genome: Bases, min_intron_bp: int = MIN_INTRON_BP) -> IntronCheck:
    """Read both ends of every nuclear intron of at least `min_intron_bp`; `introns` as `introns_of` gives them.

    Raises ValueError if less than half read GT..AG: annotation and genome are then of different assemblies (on
    another assembly a few percent do, by chance).
    """
    short = introns["end"] - introns["start"] < min_intron_bp
    strandless = introns["strand"] == "."
    organellar = ~introns["chrom"].map(is_nuclear).astype(bool)
    read = introns[~(short | strandless | organellar)]
    ends = _ends(read)
    first = spell(bases_around(genome, read.assign(cut=ends.donor), 0, 2))
    last = spell(bases_around(genome, read.assign(cut=ends.acceptor), 2, 0))
    pairs = pd.Series(first + ".." + last, dtype=object).value_counts()
    num_gt_ag, num_gc_ag, num_at_ac = (int(pairs.get(pair, 0)) for pair in ("GT..AG", "GC..AG", "AT..AC"))
    num_skipped = (int(skipped.sum()) for skipped in (short, strandless, organellar))
    check = IntronCheck(len(read), num_gt_ag, num_gc_ag, num_at_ac, *num_skipped)
    if check.num_introns and check.gt_ag_share < ERROR_SHARE:
        raise ValueError(
            f"{check}: annotation and genome are most likely of different assemblies (or strands are wrong)"
        )
    return check


class _Ends(NamedTuple):
    donor: pd.Series
    acceptor: pd.Series


def _ends(introns: pd.DataFrame) -> _Ends:
    """The cuts at the 5' and the 3' end of introns on their strand."""
    forward = introns["strand"] == "+"
    start, end = introns["start"], introns["end"]
    return _Ends(start.where(forward, end), end.where(forward, start))


def _gaps(transcripts: pd.DataFrame) -> pd.DataFrame:
    """The gaps between the exons of all transcripts, one row each, those of a transcript in ascending order."""
    num_introns = np.maximum(transcripts["exons"].map(len).to_numpy(dtype=np.int64) - 1, 0)
    transcript = np.repeat(np.arange(len(transcripts)), num_introns)
    place = np.arange(len(transcript)) - np.repeat(np.cumsum(num_introns) - num_introns, num_introns)
    named = transcripts[["chrom", "strand"]].assign(gene=transcripts["gene_name"], locus=loci_of(transcripts))
    table = named.iloc[transcript].reset_index(drop=True)
    exons = transcripts["exons"].to_numpy()[num_introns > 0]
    last = num_introns[transcript] - 1
    rank = np.select([table["strand"] == "+", table["strand"] == "-"], [place + 1, last - place + 1], default=0)
    starts, ends = _joined([each[:-1, 1] for each in exons]), _joined([each[1:, 0] for each in exons])
    return table.assign(start=starts, end=ends, rank=rank, score=np.nan)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.array([], dtype=np.int64)


def _given(features: pd.DataFrame) -> pd.DataFrame:
    """Introns as a BED file lists them; those of one name on one strand of a contig are of one gene."""
    names = features["name"].where(features["name"] != ".", "")
    own = features["chrom"] + ":" + features["start"].astype(str) + "-" + features["end"].astype(str)
    by_gene = features.assign(gene=names.where(names != "", own)).groupby(["chrom", "strand", "gene"], sort=False)
    spans = features.assign(start=by_gene["start"].transform("min"), end=by_gene["end"].transform("max"))
    return features.assign(gene=names, locus=loci_of(spans), rank=0)


def _with_dinucleotides(sites: pd.DataFrame, genome: Bases) -> pd.DataFrame:
    is_donor = sites["class"] == "donor"
    flanks = bases_around(genome, sites, 2, 2)
    dinucleotide = spell(np.where(is_donor.to_numpy()[:, None], flanks[:, 2:], flanks[:, :2]))
    canonical = dinucleotide == np.where(is_donor, "GT", "AG")
    return sites.assign(dinucleotide=dinucleotide, canonical=canonical)
