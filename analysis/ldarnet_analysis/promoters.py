"""Motif sites at their place in a promoter: hits inside a window relative to the TSS.

Offsets are those of cuts: 0 is the TSS cut, on the 5' side of the TSS base, so that base o stands between offsets o
and o + 1 and the TSS base is base 0. A window (first, end) is half-open and holds the whole hit: (-5, 6) are the
eleven bases that numbering without a zero calls -5..+6.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Interval, merge_intervals
from ldarnet_analysis.flanks import Bases
from ldarnet_analysis.motif_scan import keep_best, kmer_text, window_scores
from ldarnet_analysis.motifs import UNITS_PER_BIT, CountMatrix, Motif, motif_from_counts, motif_from_iupac
from ldarnet_analysis.sites import make_sites

MAX_OFFSET_BP = 10_000


@dataclass(frozen=True)
class MotifEntry:
    """A motif of a panel: what it looks like, on which strands of the TSS, where, and how good a hit must be."""

    name: str
    motif: CountMatrix | str
    """Counts, or an IUPAC string, which must match letter for letter."""
    strands: Literal["sense", "both"]
    window: tuple[int, int]
    p_value: float | None = None
    """Chance of a hit at one position of one strand; a count matrix needs it, an IUPAC string has its own."""
    pseudocount: float = 1.0
    background_gc: float = 0.5
    min_bits: float = 0.0
    """Outer columns of a count matrix with less information are left out."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("expected a name for every motif entry, got an empty one")
        if self.strands not in ("sense", "both"):
            raise ValueError(f"{self.name}: expected strands 'sense' or 'both', got {self.strands!r}")
        if isinstance(self.motif, str) != (self.p_value is None):
            raise ValueError(
                f"{self.name}: expected a p-value with a count matrix and none with an IUPAC string, got {self.p_value}"
            )
        first, end = self.window
        if not -MAX_OFFSET_BP <= first < end <= MAX_OFFSET_BP:
            raise ValueError(
                f"{self.name}: expected a window with start < end within 10 kb of the TSS, got {first}..{end}"
            )
        if end - first < self.scored.width:
            raise ValueError(
                f"{self.name}: expected a window that holds the motif ({self.scored.width} bases), got {first}..{end}"
            )

    @property
    def is_literal(self) -> bool:
        """Whether it is an IUPAC string: decoys then share their site's letters, else its score."""
        return isinstance(self.motif, str)

    @cached_property
    def scored(self) -> Motif:
        """Scores and threshold."""
        if isinstance(self.motif, str):
            return motif_from_iupac(self.motif, self.background_gc)
        assert self.p_value is not None, "checked when the entry was made"
        return motif_from_counts(self.motif.trimmed(self.min_bits), self.p_value, self.pseudocount, self.background_gc)

    def provenance(self) -> dict[str, Any]:
        """What a report must say about the entry: all fields, the threshold in bits and the p-value it has."""
        fields = asdict(self)
        fields["motif"] = self.motif if isinstance(self.motif, str) else self.motif.motif_id
        return fields | {
            "consensus": self.scored.consensus,
            "threshold_bits": self.scored.threshold / UNITS_PER_BIT,
            "threshold_p_value": self.scored.p_value,
            "score_resolution_bits": 1 / UNITS_PER_BIT,
        }


class WindowHits(NamedTuple):
    """Hits in windows, as the TSS sees them; sorted by TSS and place, overlapping ones included.

    `tss` is the row of the TSS, `left` the offset of the hit's edge farthest upstream, `is_antisense` whether it
    reads against the TSS, `score` is in units of 1/1024 bit, `kmers` are ids [num_hits, width] as the hit reads.
    """

    tss: np.ndarray
    left: np.ndarray
    is_antisense: np.ndarray
    score: np.ndarray
    kmers: np.ndarray


def window_hits(genome: Bases, tss_sites: pd.DataFrame, entry: MotifEntry) -> WindowHits:
    """All hits of an entry in the windows of TSS sites, on the strands it asks for.

    What a window lacks at the end of a contig cannot be part of a hit, nor can N. Raises ValueError for sites on
    unknown contigs or outside them.
    """
    motif = entry.scored
    windows = _sense_windows(genome, tss_sites, entry.window)
    found = []
    for is_antisense in (False, True)[: 1 + (entry.strands == "both")]:
        scores = window_scores(windows, motif.reversed_scores() if is_antisense else motif.scores)
        tss, place = np.nonzero(scores >= motif.threshold)
        kmers = windows[tss[:, None], place[:, None] + np.arange(motif.width)]
        kmers = vocab.reverse_complement(kmers) if is_antisense else kmers
        flags = np.full(len(tss), is_antisense)
        found.append((tss, place + entry.window[0], flags, scores[tss, place], kmers))
    tss, left, flags, score, kmers = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((flags, left, tss))
    return WindowHits(tss[order], left[order], flags[order], score[order], kmers[order])


def motif_sites(genome: Bases, tss_sites: pd.DataFrame, entry: MotifEntry) -> pd.DataFrame:
    """Site table of an entry's hits in the windows of TSS sites; class is the entry's name, anchor the 5' cut.

    Extra columns: `kmer` as the hit reads, `tss_offset` of its 5' cut, `p_value` of its score; `score` is in bits;
    gene and locus are those of its TSS. Of overlapping hits on the genome the best stays, of equal ones the one that
    reads with its TSS, then the one nearest to it, so that a hit seen from several TSS or a palindrome is one site.
    """
    hits = window_hits(genome, tss_sites, entry)
    width = entry.scored.width
    tss = tss_sites.iloc[hits.tss]
    on_minus = (tss["strand"] == "-").to_numpy()
    tss_offset = hits.left + width * hits.is_antisense
    cut = tss["cut"].to_numpy() + np.where(on_minus, -tss_offset, tss_offset)
    is_reverse = on_minus != hits.is_antisense
    rank_of_tss = tss_sites["site_id"].rank(method="first").to_numpy()[hits.tss]
    order = np.lexsort((rank_of_tss, np.abs(hits.left), hits.is_antisense, -hits.score))
    # A motif that counts on the sense strand only belongs to the promoter of that strand: nothing competes across.
    group = tss.groupby(["chrom"] if entry.strands == "both" else ["chrom", "strand"]).ngroup().to_numpy()
    kept = np.flatnonzero(keep_best(cut - width * is_reverse, width, group, order))
    tss = tss.iloc[kept]
    return make_sites(
        chrom=tss["chrom"],
        cut=cut[kept],
        strand=np.where(is_reverse[kept], "-", "+"),
        site_class=entry.name,
        locus=tss["locus"],
        gene=tss["gene"],
        score=hits.score[kept] / UNITS_PER_BIT,
        extra={
            "kmer": kmer_text(hits.kmers[kept]),
            "tss_offset": tss_offset[kept],
            "p_value": entry.scored.distribution.p_value(hits.score[kept]),
        },
    )


def outside_windows(hits: pd.DataFrame, tss_sites: pd.DataFrame, entry: MotifEntry) -> pd.DataFrame:
    """The rows of `motif_hits` that touch no TSS's window for this entry, on either strand: decoys of equal score."""
    first, end = entry.window
    on_minus = (tss_sites["strand"] == "-").to_numpy()
    cut = tss_sites["cut"].to_numpy()
    left, right = cut + np.where(on_minus, -end, first), cut + np.where(on_minus, -first, end)
    spans = [Interval(*span) for span in zip(tss_sites["chrom"], left.tolist(), right.tolist(), strict=True)]
    merged = merge_intervals(spans, tss_sites["chrom"].unique().tolist())
    touches = np.zeros(len(hits), dtype=bool)
    for chrom, rows in hits.groupby("chrom", sort=False).indices.items():
        edges = np.array([(start, stop) for name, start, stop in merged if name == chrom]).reshape(-1, 2)
        starts = hits["start"].to_numpy()[rows]
        following = np.searchsorted(edges[:, 1], starts, side="right")
        ends = np.append(edges[:, 0], np.iinfo(np.int64).max)[following]
        touches[rows] = ends < starts + entry.scored.width
    return hits[~touches].reset_index(drop=True)


def _sense_windows(genome: Bases, tss_sites: pd.DataFrame, window: tuple[int, int]) -> np.ndarray:
    """Bases of every site's window on its own strand, N where the contig has ended: ids uint8 [num_sites, length]."""
    first, end = window
    lengths = dict(genome.contigs)
    windows = np.full((len(tss_sites), end - first), vocab.N, dtype=np.uint8)
    columns = [tss_sites[name].tolist() for name in ("site_id", "chrom", "cut", "strand")]
    order = np.lexsort((tss_sites["cut"], tss_sites["chrom"])).tolist()  # neighbours share the blocks a genome keeps
    for row in order:
        site_id, chrom, cut, strand = (column[row] for column in columns)
        if not 0 <= cut <= lengths.get(chrom, -1):
            raise ValueError(
                f"site {site_id} at {chrom}:{cut}: expected a cut of the genome's contigs; is it of another assembly?"
            )
        left = cut + first if strand == "+" else cut - end
        low, high = max(left, 0), min(left + end - first, lengths[chrom])
        if low < high:
            ids = genome.ids(chrom, low, high)
            place = low - left if strand == "+" else left + end - first - high
            windows[row, place : place + high - low] = ids if strand == "+" else vocab.reverse_complement(ids)
    return windows
