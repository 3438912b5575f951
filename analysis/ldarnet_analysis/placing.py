"""Annotations, sites and regions under the names, and within the extent, of the genome at hand."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from ldarnet.genome import Contig
from ldarnet_analysis.aliases import match_chromosomes
from ldarnet_analysis.annotations import Annotation
from ldarnet_analysis.dropped import Dropped


def on_genome(
    annotation: Annotation, contigs: Sequence[Contig], *, partial: bool = False, dropped: Dropped | None = None
) -> Annotation:
    """The annotation under the genome's contig names, without what lies on contigs that the genome does not have.

    Raises ValueError, with both lists, if no name matches (see `match_chromosomes`), and for a record that reaches
    beyond its contig; with `partial`, for a genome that holds only the beginning of chromosomes, such records are
    left out. What is left out is counted in `dropped`.
    """
    dropped = dropped if dropped is not None else Dropped()
    both = pd.concat([annotation.transcripts["chrom"], annotation.features["chrom"]])
    names = [contig.name for contig in contigs]
    match = match_chromosomes(sorted(both.unique()), names, what=annotation.name, where="the genome")
    length_of = dict(contigs)
    placed: dict[str, pd.DataFrame] = {}
    for kind, label in (("transcripts", "transcript_id"), ("features", "name")):
        placed[kind] = table = getattr(annotation, kind)
        if table.empty:
            continue
        table = dropped.keep(table, table["chrom"].isin(match.names), f"{kind} on contigs that the genome lacks")
        table = table.assign(chrom=table["chrom"].map(match.names))
        beyond = table["end"] > table["chrom"].map(length_of)
        if beyond.any() and not partial:
            first = table[beyond].iloc[0]
            length_bp = length_of[first["chrom"]]
            raise ValueError(
                f"{annotation.name}: expected {kind} inside the contigs of the genome, but {first[label]!r} lies at "
                f"{first['start']:,}-{first['end']:,} of {first['chrom']}, which has {length_bp:,} bases "
                f"({beyond.sum():,} such {kind}): another assembly, or a genome with beginnings of chromosomes only?"
            )
        placed[kind] = dropped.keep(table, ~beyond, f"{kind} that reach beyond the end of their contig")
    if placed["transcripts"].empty and placed["features"].empty:
        raise ValueError(f"nothing of {annotation.name} lies on the genome; {dropped}")
    return replace(annotation, **placed)


def on_contigs(
    table: pd.DataFrame, contigs: Sequence[Contig], *, name: str, what: str, dropped: Dropped
) -> pd.DataFrame:
    """The rows of a table (column chrom) that lie on contigs of the genome, under its names; others go to `dropped`.

    Where there is a column `cut`, rows with one beyond the end of their contig are left out, else those that `start`
    there. Raises ValueError, with both lists, if no name matches.
    """
    names = [contig.name for contig in contigs]
    match = match_chromosomes(sorted(table["chrom"].unique()), names, what=name, where="the genome")
    table = dropped.keep(table, table["chrom"].isin(match.names), f"{what} on contigs that the genome lacks")
    table = table.assign(chrom=table["chrom"].map(match.names))
    length_bp = table["chrom"].map(dict(contigs))
    inside = table["cut"] <= length_bp if "cut" in table.columns else table["start"] < length_bp
    return dropped.keep(table, inside, f"{what} beyond the end of their contig")
