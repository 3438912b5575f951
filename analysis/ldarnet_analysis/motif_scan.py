"""Where a motif's score reaches its threshold, on both strands of any stretch, and which of overlapping hits stay.

Long sequence is searched with lightmotif, short windows with numpy. Scores are multiples of 1/1024 bit and less than
2^24 units apart, so both add them up without rounding and find the same hits; a stretch that holds an N is none.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import lightmotif
import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Interval, merge_intervals
from ldarnet_analysis.flanks import Bases
from ldarnet_analysis.motifs import UNITS_PER_BIT, Motif

BLOCK_BP = 1 << 20
HIT_COLUMNS = ["chrom", "start", "cut", "strand", "score", "p_value", "kmer"]


class Hits(NamedTuple):
    """Places of a motif in a stretch: leftmost base (int64), whether on the reverse strand, score (int32, units)."""

    start: np.ndarray
    is_reverse: np.ndarray
    score: np.ndarray


def window_scores(windows: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Score at every place where the motif fits: int32 [num_windows, length - width + 1].

    `windows` are ids (uint8 [num_windows, length]), `scores` a table [width, 5] with columns A C G T N.
    """
    num_places = max(windows.shape[1] - len(scores) + 1, 0)
    total = np.zeros((len(windows), num_places), dtype=np.int32)
    for offset, column in enumerate(scores):
        total += column[windows[:, offset : offset + num_places]]
    return total


def scan(ids: np.ndarray, motif: Motif) -> Hits:
    """All hits of a motif on both strands of a stretch (ids uint8), by place, forward strand first."""
    found = [_scan_strand(ids, table, motif.threshold) for table in (motif.scores, motif.reversed_scores())]
    start = np.concatenate([places for places, _ in found])
    is_reverse = np.repeat([False, True], [len(places) for places, _ in found])
    order = np.lexsort((is_reverse, start))
    return Hits(start[order], is_reverse[order], np.concatenate([scores for _, scores in found])[order])


def _scan_strand(ids: np.ndarray, table: np.ndarray, threshold: int) -> tuple[np.ndarray, np.ndarray]:
    if len(ids) < len(table):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    columns = {letter: (table[:, base] / UNITS_PER_BIT).tolist() for base, letter in enumerate(vocab.LETTERS)}
    sums = lightmotif.ScoringMatrix(columns).calculate(lightmotif.stripe(vocab.decode(ids)))
    places = np.sort(np.array(sums.threshold(threshold / UNITS_PER_BIT), dtype=np.int64))
    return places, window_scores(kmers_at(ids, places, len(table)), table)[:, 0]


def kmers_at(ids: np.ndarray, places: np.ndarray, width: int) -> np.ndarray:
    """The `width` bases from each place on: uint8 [num_places, width]."""
    return ids[places[:, None] + np.arange(width)]


def kmer_text(kmers: np.ndarray) -> np.ndarray:
    """Letters of k-mers given as ids [num_kmers, width]: array of str."""
    letters = np.frombuffer(vocab.LETTERS.encode(), dtype=np.uint8)[kmers]
    return np.ascontiguousarray(letters).view(f"S{kmers.shape[1]}")[:, 0].astype(str)


def keep_best(start: np.ndarray, width: int, group: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which hits stay when of overlapping ones in the same group the first in `order` wins: bool [num_hits].

    A hit that gives way does not push out others. All hits cover `width` bases.
    """
    kept = np.zeros(len(start), dtype=bool)
    start_in_cell: dict[tuple[int, int], int] = {}  # cells are `width` bases wide, so that each holds one kept start
    groups, starts = group.tolist(), start.tolist()
    for hit in order.tolist():
        owner, place = groups[hit], starts[hit]
        cell = place // width
        near = (start_in_cell.get((owner, cell + step)) for step in (-1, 0, 1))
        if all(other is None or abs(other - place) >= width for other in near):
            start_in_cell[owner, cell] = place
            kept[hit] = True
    return kept


def motif_hits(genome: Bases, regions: Sequence[Interval] | None, motif: Motif) -> pd.DataFrame:
    """Hits of a motif lying wholly in the regions (None: everywhere), whatever is annotated there.

    Columns `HIT_COLUMNS`: `start` is the leftmost base, `cut` the hit's 5' cut, `score` in bits, `p_value` that of
    the score, `kmer` as read on the hit's strand. Of overlapping hits the best stays, of equal ones the leftmost,
    the one on + first, so that a palindrome counts once. Sorted by contig and place. Raises ValueError for regions
    outside the genome.
    """
    frames = [_region_hits(genome, region, motif) for region in _regions(genome, regions)]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=HIT_COLUMNS)
    return frame.astype({"start": np.int64, "cut": np.int64, "score": np.float64, "p_value": np.float64})


def _regions(genome: Bases, regions: Sequence[Interval] | None) -> tuple[Interval, ...]:
    lengths = dict(genome.contigs)
    if regions is None:
        return tuple(Interval(chrom, 0, length_bp) for chrom, length_bp in lengths.items())
    for chrom, start, end in regions:
        if not 0 <= start <= end <= lengths.get(chrom, -1):
            raise ValueError(f"region {chrom}:{start}-{end}: expected a stretch of the genome's contigs")
    return merge_intervals(regions, list(lengths))


def _region_hits(genome: Bases, region: Interval, motif: Motif) -> pd.DataFrame:
    parts = list(_block_hits(genome, region, motif))
    hits = Hits(*(np.concatenate(column) for column in zip(*(hits for hits, _ in parts), strict=True)))
    kmers = np.concatenate([kmers for _, kmers in parts])
    order = np.lexsort((hits.is_reverse, hits.start, -hits.score))
    kept = keep_best(hits.start, motif.width, np.zeros(len(hits.start), dtype=np.int64), order)
    start, is_reverse, score = (column[kept] for column in hits)
    return pd.DataFrame(
        {
            "chrom": region.chrom,
            "start": start,
            "cut": start + motif.width * is_reverse,
            "strand": np.where(is_reverse, "-", "+"),
            "score": score / UNITS_PER_BIT,
            "p_value": motif.distribution.p_value(score),
            "kmer": kmer_text(kmers[kept]),
        }
    )


def _block_hits(genome: Bases, region: Interval, motif: Motif) -> Iterator[tuple[Hits, np.ndarray]]:
    """Hits and their k-mers, block by block; blocks overlap by what a hit that starts in one reaches into the next."""
    for block_start in range(region.start, max(region.end, region.start + 1), BLOCK_BP):
        ids = genome.ids(region.chrom, block_start, min(block_start + BLOCK_BP + motif.width - 1, region.end))
        hits = scan(ids, motif)
        kmers = kmers_at(ids, hits.start, motif.width)
        kmers[hits.is_reverse] = vocab.reverse_complement(kmers[hits.is_reverse])
        yield hits._replace(start=hits.start + block_start), kmers
