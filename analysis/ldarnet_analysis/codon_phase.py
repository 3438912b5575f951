"""Do cuts keep to a position of the codon? Share of coding bases that start a chunk, by codon position.

The null keeps the cuts, the genes and the period of three, and turns each gene's phase at random: what is left is what
three positions differ by when no gene knows its frame. The unit is the gene. A phase is no knowledge of genes: the
letters of codons differ by position, so that any rule about neighbouring letters has one.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

Values = Callable[[str, int, int], np.ndarray]
"""Values of a track: contig, start, end -> float32 [end - start], NaN = none."""
POSITIONS = 3
MIN_GENES = 20


class PhaseCounts(NamedTuple):
    """Per gene, by codon position: int [genes, 3]."""

    num_cuts: np.ndarray
    num_bases: np.ndarray


class Phase(NamedTuple):
    """Share of bases at which a chunk starts, by codon position, with 95 % intervals over genes."""

    rate: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    spread: float
    """The largest rate minus the smallest."""
    null_spread: float
    """The same with phases turned at random, on average."""
    null_hi: float
    """The 95th percentile of the null."""
    p: float
    num_genes: int


def coding_bases(transcript: pd.Series) -> np.ndarray:
    """Positions of the coding bases in reading order; empty where the transcript codes for nothing."""
    if math.isnan(transcript["cds_start"]):
        return np.zeros(0, dtype=np.int64)
    low, high = int(transcript["cds_start"]), int(transcript["cds_end"])
    spans = [np.arange(max(start, low), min(end, high)) for start, end in transcript["exons"]]
    bases = np.concatenate(spans) if spans else np.zeros(0, dtype=np.int64)
    return bases if transcript["strand"] == "+" else bases[::-1]


def phase_counts(
    transcripts: pd.DataFrame, plus: Values, minus: Values | None, contigs: Mapping[str, int]
) -> PhaseCounts:
    """Counts of the longest coding sequence of every gene, on contigs given with their lengths.

    A gene is read on its own strand: those on - from the track of that strand, where the cut in front of base b, as the
    strand is read, is b + 1; without such a track they are left out. So are coding sequences of broken length.
    """
    cuts, bases = [], []
    for transcript in _one_per_gene(transcripts, contigs):
        values = plus if transcript["strand"] == "+" else minus
        coding = coding_bases(transcript)
        if values is None or len(coding) % POSITIONS:
            continue
        low, high = int(coding.min()), int(coding.max()) + 1
        shift = int(transcript["strand"] == "-")
        # The cut in front of the first base of a contig's - strand is its end, which no track has a value for.
        last = min(high + shift, contigs[transcript["chrom"]])
        found = values(transcript["chrom"], low + shift, last)
        along = np.append(found, np.full(high + shift - last, np.nan))[coding - low]
        by_position = along.reshape(-1, POSITIONS)
        cuts.append((by_position > 0.5).sum(0))
        bases.append((~np.isnan(by_position)).sum(0))
    return PhaseCounts(*(np.array(rows, dtype=np.int64).reshape(-1, POSITIONS) for rows in (cuts, bases)))


def _one_per_gene(transcripts: pd.DataFrame, contigs: Mapping[str, int]) -> list[pd.Series]:
    longest: dict[str, tuple[int, pd.Series]] = {}
    for _, transcript in transcripts[transcripts["chrom"].isin(list(contigs))].iterrows():
        size = len(coding_bases(transcript))
        if size and size > longest.get(transcript["gene_id"], (0, None))[0]:
            longest[transcript["gene_id"]] = (size, transcript)
    return [transcript for _, transcript in longest.values()]


def codon_phase(counts: PhaseCounts, *, seed: int, num: int = 2000) -> Phase:
    """Rates with percentile intervals of a bootstrap over genes, and the null. ValueError under 20 genes."""
    num_genes = len(counts.num_cuts)
    if num_genes < MIN_GENES:
        raise ValueError(f"expected {MIN_GENES} genes or more with a coding sequence on the track, got {num_genes}")
    rng = np.random.default_rng(seed)
    rate = _rate(*counts)
    weights = rng.multinomial(num_genes, np.full(num_genes, 1 / num_genes), size=num)
    drawn = (weights @ counts.num_cuts) / (weights @ counts.num_bases)
    lo, hi = np.quantile(drawn, [0.025, 0.975], axis=0)
    observed = float(np.ptp(rate))
    null = np.array([_turned_spread(counts, rng) for _ in range(num)])
    p = (1 + int((null >= observed).sum())) / (1 + num)
    return Phase(rate, lo, hi, observed, float(null.mean()), float(np.quantile(null, 0.95)), p, num_genes)


def _rate(num_cuts: np.ndarray, num_bases: np.ndarray) -> np.ndarray:
    rates: np.ndarray = num_cuts.sum(0) / num_bases.sum(0)
    return rates


def _turned_spread(counts: PhaseCounts, rng: np.random.Generator) -> float:
    turn = rng.integers(0, POSITIONS, size=(len(counts.num_cuts), 1))
    place = (np.arange(POSITIONS) + turn) % POSITIONS
    return float(np.ptp(_rate(*(np.take_along_axis(each, place, axis=1) for each in counts))))
