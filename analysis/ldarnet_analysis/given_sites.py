"""Sites that a user brings along: intervals in a BED file, and sequences already aligned at an anchor."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Contig
from ldarnet_analysis.aligned_sequences import AlignedSequences
from ldarnet_analysis.bed import read_bed_features
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.lines import numbered_lines
from ldarnet_analysis.loci import loci_of
from ldarnet_analysis.placing import on_contigs
from ldarnet_analysis.sites import make_sites

Anchor = Literal["start", "end", "center"]


def read_bed_sites(
    path: str | Path,
    anchor: Anchor,
    site_class: str,
    *,
    strandless_as_plus: bool = False,
    contigs: Sequence[Contig] | None = None,
    dropped: Dropped | None = None,
) -> pd.DataFrame:
    """Site table of one cut per interval of a BED file: its 5' edge (start), its 3' edge (end) or its centre.

    Edges are those of the interval's strand; the centre of an odd number of bases is the cut on the 5' side of the
    middle one. Intervals that overlap on a strand share a locus; the name is taken for the gene. A cut that comes
    again is counted in `dropped`, and so is one off the genome's `contigs`, if given; sites then have their names.
    Raises ValueError for intervals without a strand unless they may count as +, and if no site is left.
    """
    dropped = dropped if dropped is not None else Dropped()
    table = read_bed_features(path)
    strandless = table["strand"] == "."
    if strandless.any() and not strandless_as_plus:
        raise ValueError(
            f"{path}: expected strand + or - in column 6, got none for {int(strandless.sum()):,} of {len(table):,} "
            "intervals; if their strand does not matter, ask for them to be read as +"
        )
    table["strand"] = table["strand"].where(~strandless, "+")
    table["cut"] = _anchor_cuts(table, anchor)
    if contigs is not None:
        table = on_contigs(table, contigs, name=str(path), what="sites", dropped=dropped)
        dropped.require_some(table, f"sites of {path}")
    table["locus"] = loci_of(table)
    table = dropped.keep(table, ~table.duplicated(["chrom", "cut", "strand"]), "sites listed before")
    return make_sites(
        chrom=table["chrom"],
        cut=table["cut"],
        strand=table["strand"],
        site_class=site_class,
        locus=table["locus"],
        gene=table["name"].where(table["name"] != ".", ""),
        score=table["score"],
    )


def read_aligned(path: str | Path, anchor_index: int) -> AlignedSequences:
    """Sequences of a FASTA file, or of text with one per line, with the cut `anchor_index` of each as its anchor.

    Indices below 0 count from the end of each sequence. In text, what stands before the first word that is no
    sequence is read, words joined (exon, intron and exon, say). FASTA names end at the first blank; those of text
    are line numbers. Raises ValueError with file and line for other letters and for anchors outside their sequence.
    """
    names, sequences, anchors = [], [], []
    seen: dict[str, int] = {}
    for name, ids, where in _sequences(path):
        anchor = anchor_index if anchor_index >= 0 else len(ids) + anchor_index
        if not 0 <= anchor <= len(ids):
            raise ValueError(f"{where}: expected a sequence that has cut {anchor_index}, got one of {len(ids)} bases")
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
        sequences.append(ids)
        anchors.append(anchor)
    if not names:
        raise ValueError(f"{path}: expected aligned sequences, got none")
    return AlignedSequences(names, sequences, anchors)


def _anchor_cuts(table: pd.DataFrame, anchor: Anchor) -> pd.Series:
    if anchor not in get_args(Anchor):
        raise ValueError(f"expected anchor {', '.join(get_args(Anchor))}, got {anchor!r}")
    forward = table["strand"] == "+"
    start, end = table["start"], table["end"]
    if anchor == "center":
        return ((start + end) // 2).where(forward, -((-start - end) // 2))
    return start.where(forward, end) if anchor == "start" else end.where(forward, start)


def _sequences(path: str | Path) -> Iterator[tuple[str, np.ndarray, str]]:
    """Name, ids and place in the file of every sequence."""
    lines = ((number, line.strip()) for number, line in numbered_lines(path) if line.strip())
    name, where, pieces = "", "", list[np.ndarray]()
    is_fasta: bool | None = None
    for number, line in lines:
        here = f"{path}, line {number}"
        is_fasta = line.startswith(">") if is_fasta is None else is_fasta
        if not is_fasta:
            yield f"line{number}", _leading_sequence(line, here), here
        elif line.startswith(">"):
            if pieces or name:
                yield name, _joined(pieces, where), where
            name, where, pieces = (line[1:].split() or [f"line{number}"])[0], here, []
        else:
            pieces.append(_encode(line, here))
    if is_fasta:
        yield name, _joined(pieces, where), where


def _joined(pieces: list[np.ndarray], where: str) -> np.ndarray:
    if not pieces:
        raise ValueError(f"{where}: expected a sequence below this name, got none")
    return np.concatenate(pieces)


def _encode(text: str, where: str) -> np.ndarray:
    try:
        return vocab.encode(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _leading_sequence(line: str, where: str) -> np.ndarray:
    first, *others = line.split()
    pieces = [_encode(first, where)]
    for word in others:
        letters = np.frombuffer(word.encode("latin-1", errors="replace"), dtype=np.uint8)
        ids = vocab.CLASSIFY[letters]
        if (ids == vocab.INVALID).any():
            break
        pieces.append(ids)
    return np.concatenate(pieces)
