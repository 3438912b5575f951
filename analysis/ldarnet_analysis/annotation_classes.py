"""Which class of annotation each base of a contig is in: coding, UTR, intron, promoter, repeat, intergenic."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet.genome import Contig

CLASSES = ("CDS", "UTR5", "UTR3", "noncoding-exon", "promoter", "repeat", "intron", "intergenic")
"""In order of precedence: a base that several transcripts put into different classes is in the first of these.

So an exon of any transcript is never intron, a promoter inside a gene is promoter where that gene has an intron, and
intron and intergenic are what repeats leave of them (where repeats are given).
"""

UNCLASSED = 255
"""Bases of which the annotation does not say enough, where no other transcript does: see `class_map`."""

_CODE = {name: code for code, name in enumerate(CLASSES)}


class PromoterSpan(NamedTuple):
    """Bases upstream and downstream of the TSS that count as promoter."""

    upstream_bp: int = 1000
    downstream_bp: int = 0


def class_map(
    transcripts: pd.DataFrame,
    contig: Contig,
    *,
    promoter: PromoterSpan | None = None,
    repeats: pd.DataFrame | None = None,
) -> np.ndarray:
    """The class of each base of a contig: uint8 [length_bp], an index of `CLASSES` or `UNCLASSED`.

    `transcripts` has the columns chrom, strand, start, end, exons (int [num, 2]), cds_start and cds_end (NaN without
    a CDS), 0-based and half-open; rows of other contigs are passed over. `repeats` has chrom, start, end. Unclassed
    are transcripts without a strand or without exons, and the promoter span of one whose tss_known is False.
    What reaches beyond the end of the contig is cut off, so that a FASTA may hold the first part of a chromosome.
    """
    promoter = promoter or PromoterSpan()
    rows = transcripts[transcripts["chrom"] == contig.name]
    codes = np.full(contig.length_bp, _CODE["intergenic"], dtype=np.uint8)
    is_told = rows["strand"].isin(["+", "-"]) & (rows["exons"].map(len) > 0)
    for start, end in zip(rows["start"][~is_told], rows["end"][~is_told], strict=True):
        codes[start:end] = UNCLASSED
    told = rows[is_told]
    has_tss = told["tss_known"] if "tss_known" in told.columns else pd.Series(True, index=told.index)
    promoters = [_promoter_span(row, promoter) for row in told[["strand", "start", "end"]].itertuples(index=False)]
    for (start, end), known in zip(promoters, has_tss, strict=True):
        if not known:
            codes[start:end] = UNCLASSED

    for start, end in zip(told["start"], told["end"], strict=True):
        codes[start:end] = _CODE["intron"]  # what is left of it when the exons are in
    if repeats is not None:
        _paint_repeats(codes, repeats[repeats["chrom"] == contig.name])
    for (start, end), known in zip(promoters, has_tss, strict=True):
        if known:
            codes[start:end] = _CODE["promoter"]
    pieces = _exon_pieces(told)
    for name in ("noncoding-exon", "UTR3", "UTR5", "CDS"):
        for start, end in pieces[name].tolist():
            codes[start:end] = _CODE[name]
    return codes


def _promoter_span(row: tuple[str, int, int], promoter: PromoterSpan) -> tuple[int, int]:
    strand, start, end = row
    if strand == "+":
        return max(start - promoter.upstream_bp, 0), start + promoter.downstream_bp
    return max(end - promoter.downstream_bp, 0), end + promoter.upstream_bp


def _paint_repeats(codes: np.ndarray, repeats: pd.DataFrame) -> None:
    in_repeat = np.zeros(codes.size, dtype=bool)
    for start, end in zip(repeats["start"], repeats["end"], strict=True):
        in_repeat[start:end] = True
    codes[in_repeat & (codes != UNCLASSED)] = _CODE["repeat"]


def _exon_pieces(transcripts: pd.DataFrame) -> dict[str, np.ndarray]:
    """Parts of exons by class: int64 [num, 2] each."""
    if transcripts.empty:
        return {name: np.empty((0, 2), dtype=np.int64) for name in CLASSES[:4]}
    exons = np.concatenate(transcripts["exons"].to_list()).astype(np.int64)
    num_exons = transcripts["exons"].map(len).to_numpy()

    def per_exon(values: pd.Series) -> np.ndarray:
        repeated: np.ndarray = np.repeat(values.to_numpy(), num_exons)
        return repeated

    cds_start, cds_end = per_exon(transcripts["cds_start"]), per_exon(transcripts["cds_end"])
    is_coding, is_plus = ~np.isnan(cds_start), per_exon(transcripts["strand"]) == "+"
    low, high = (np.nan_to_num(each).astype(np.int64)[is_coding] for each in (cds_start, cds_end))
    start, end = exons[is_coding].T
    left = np.column_stack([start, np.minimum(end, low)])
    right = np.column_stack([np.maximum(start, high), end])
    on_plus = is_plus[is_coding]
    pieces = {
        "CDS": np.column_stack([np.maximum(start, low), np.minimum(end, high)]),
        "UTR5": np.concatenate([left[on_plus], right[~on_plus]]),
        "UTR3": np.concatenate([right[on_plus], left[~on_plus]]),
        "noncoding-exon": exons[~is_coding],
    }
    return {name: spans[spans[:, 0] < spans[:, 1]] for name, spans in pieces.items()}
