"""Boundary density: hard cuts per base and mean p over classes of annotation, classes compared at equal composition.

A cut belongs to a class if the bases on both its sides do; a cut between two classes belongs to none. Counting by the
base on its right alone would give each exon its first junction on one strand and its last on the other.

Classes differ in composition, and composition alone moves the density. So each class is compared with the reference
(intergenic) at its own composition: what is expected of it is the density that the reference has at each k-mer around
the cut (half of it on each side), weighted by how often the class has that k-mer, and the effect is what it has less
what is expected (direct standardisation). k = 2 by default, the dinucleotide that the cut parts; k-mers that the
reference does not have are left out on both sides, and the share of the class that is compared is told. Composition
farther from the cut is not held equal: run it with k = 4 and on the residual track before a direction is claimed.

Intervals: bins of 50 kb of a contig are drawn with replacement, whole, so that neighbouring bases, and the transcripts
of a locus but for those a border parts, stand or fall together; everything is computed again from each draw. Limits are
percentiles of the draws, widened for small numbers of bins as a t interval is (Hesterberg 2015, section 5.3).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ldarnet import vocab
from ldarnet.genome import Contig, Genome
from ldarnet.genome.names import list_names
from ldarnet.tracks import CUT_THRESHOLD
from ldarnet_analysis.annotation_classes import CLASSES, UNCLASSED, PromoterSpan, class_map
from ldarnet_analysis.profiles import Values, check_same_assembly

DENSITY_COLUMNS = [
    "class", "signal", "matching", "density", "expected", "effect", "lo", "hi", "num_cuts", "matched_share",
    "num_bins", "status", "reason",
]  # fmt: skip

MIN_BINS = 20
"""No interval is given for a class, or against a reference, with values in fewer bins than this."""

_READ_BP = 1 << 22
_NUM_DRAWS_AT_ONCE = 50


@dataclass(frozen=True)
class DensitySums:
    """Sums over the cuts with a value, by bin, class and k-mer: float64 [bins, len(CLASSES), 4^k] each.

    `num` counts cuts, `values` sums the track, `hard_cuts` counts values above 0.5. `notes` say what was left out.
    """

    k: int
    bin_bp: int
    num: np.ndarray
    values: np.ndarray
    hard_cuts: np.ndarray
    notes: tuple[str, ...]


class Comparison(NamedTuple):
    """Of each class (last axis): its density, what is expected of it, and the share of its cuts that is compared."""

    density: np.ndarray
    expected: np.ndarray
    matched_share: np.ndarray


def density_sums(
    track: Values,
    genome: Genome,
    transcripts: pd.DataFrame,
    *,
    k: int = 2,
    bin_bp: int = 50_000,
    promoter: PromoterSpan | None = None,
    repeats: pd.DataFrame | None = None,
) -> DensitySums:
    """Read the contigs that track and genome share once, and sum the track over classes, bins and k-mers.

    `transcripts` and `repeats` as in `annotation_classes.class_map`. Values may be probabilities or residuals.
    Raises ValueError for a track or an annotation of another assembly, and if no transcript lies on these contigs.
    """
    if k not in (2, 4) or bin_bp < 1:
        raise ValueError(f"expected k of 2 or 4 and bins of at least 1 bp, got k = {k} and bins of {bin_bp} bp")
    names = check_same_assembly(track, genome)
    contigs = [contig for contig in genome.contigs if contig.name in names]
    is_here = transcripts["chrom"].isin(names)
    if not is_here.any():
        theirs = list_names(sorted(set(transcripts["chrom"].astype(str))))
        raise ValueError(f"no transcript lies on the contigs of track and genome, {list_names(names)}, but on {theirs}")
    parts: list[np.ndarray] = []
    num_apart = 0
    for contig in contigs:
        codes = class_map(transcripts, contig, promoter=promoter, repeats=repeats)
        for start, end in _pieces(contig, bin_bp):
            sums, num_unclassed = _sum_piece(track, genome, contig, codes, start, end, k, bin_bp)
            num_apart += num_unclassed
            parts.append(sums)
    num, values, hard_cuts = np.concatenate(parts, axis=1)
    notes = [f"{num_apart:,} cuts with a value are between two classes or in transcripts that are not told apart"]
    num_elsewhere = int((~is_here).sum())
    if num_elsewhere:
        notes.append(f"{num_elsewhere:,} of {len(transcripts):,} transcripts lie on contigs without a track")
    here = transcripts[is_here]
    num_beyond = int((here["end"] > here["chrom"].map(dict(contigs))).sum())
    if num_beyond:
        notes.append(f"{num_beyond:,} of {len(here):,} transcripts reach or lie beyond the end of their contig")
    return DensitySums(k, bin_bp, num, values, hard_cuts, tuple(notes))


def density_table(
    sums: DensitySums,
    *,
    reference: str = "intergenic",
    value_signal: Literal["raw", "residual"] = "raw",
    num_draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Each class against the reference, one row per signal, matching and class, with `DENSITY_COLUMNS`.

    signal: "cut-rate" (hard cuts per base; not of residuals) or `value_signal` (mean value). matching: "none" or
    "k=2" (as `sums` was made). density and expected are over the compared cuts; effect = density - expected, lo and
    hi its interval. status: ok, reference, no values, nothing to
    compare, too few bins. Raises ValueError if the reference has no values.
    """
    if reference not in CLASSES:
        raise ValueError(f"expected a reference out of {', '.join(CLASSES)}, got {reference!r}")
    num_bins = np.count_nonzero(sums.num.sum(axis=2), axis=0)
    reference_code = CLASSES.index(reference)
    if not num_bins[reference_code]:
        raise ValueError(f"no base of class {reference} has a value: there is nothing to compare the classes with")
    signals = {"cut-rate": sums.hard_cuts} if value_signal == "raw" else {}
    signals[value_signal] = sums.values
    is_used = sums.num.any(axis=(1, 2))
    comparisons = []
    for signal, totals in signals.items():
        both = sums.num[is_used], totals[is_used]
        comparisons.append((signal, "none", *(each.sum(axis=2, keepdims=True) for each in both)))
        comparisons.append((signal, f"k={sums.k}", *both))
    drawn: list[list[np.ndarray]] = [[] for _ in comparisons]
    for weights in _draws(int(is_used.sum()), num_draws, np.random.default_rng(seed)):
        for effects, (_, _, num, totals) in zip(drawn, comparisons, strict=True):
            effects.append(_effects(weights, num, totals, reference_code))

    tables = []
    for effects, (signal, matching, num, totals) in zip(drawn, comparisons, strict=True):
        table = pd.DataFrame({"class": CLASSES, "signal": signal, "matching": matching, "num_bins": num_bins})
        found = compare(num.sum(axis=0), totals.sum(axis=0), reference_code)
        table["density"], table["expected"], table["matched_share"] = found
        table["effect"] = table["density"] - table["expected"]
        table["lo"], table["hi"] = _limits(np.concatenate(effects), num_bins, level)
        table["num_cuts"] = num.sum(axis=(0, 2)).astype(np.int64)
        tables.append(table)
    return _with_status(pd.concat(tables, ignore_index=True), reference, int(num_bins[reference_code]))[DENSITY_COLUMNS]


def compare(num: np.ndarray, totals: np.ndarray, reference_code: int) -> Comparison:
    """Density of each class and what the reference would have at the same k-mers; [..., classes, k-mers] in.

    Both over the k-mers that the reference has. NaN for a class without any.
    """
    num_reference, total_reference = (each[..., reference_code, None, :] for each in (num, totals))
    is_known = num_reference > 0
    rate = np.divide(total_reference, num_reference, out=np.zeros_like(total_reference), where=is_known)
    compared = (num * is_known).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        density = (totals * is_known).sum(axis=-1) / compared
        expected = (num * rate).sum(axis=-1) / compared
        return Comparison(density, expected, compared / num.sum(axis=-1))


def _pieces(contig: Contig, bin_bp: int) -> Iterator[tuple[int, int]]:
    step_bp = bin_bp * max(1, _READ_BP // bin_bp)
    for start in range(0, contig.length_bp, step_bp):
        yield start, min(start + step_bp, contig.length_bp)


def _sum_piece(
    track: Values, genome: Genome, contig: Contig, codes: np.ndarray, start: int, end: int, k: int, bin_bp: int
) -> tuple[np.ndarray, int]:
    """num, values and hard cuts as [3, bins, classes, k-mers], and how many cuts with a value have no class."""
    values = track.values(contig.name, start, end)
    here = codes[start:end]
    before = np.concatenate([[UNCLASSED], here[:-1]]) if start == 0 else codes[start - 1 : end - 1]
    kmer, is_kmer = _kmers(genome, contig, start, end, k)
    has_value = ~np.isnan(values) & is_kmer
    in_class = (here == before) & (here != UNCLASSED)
    kept = np.flatnonzero(has_value & in_class)
    num_bins, num_kmers = -(-(end - start) // bin_bp), 4**k
    cell = ((kept // bin_bp) * len(CLASSES) + here[kept]) * num_kmers + kmer[kept]
    found = values[kept].astype(np.float64)
    size = num_bins * len(CLASSES) * num_kmers
    sums = [np.bincount(cell, weights, minlength=size) for weights in (None, found, found > CUT_THRESHOLD)]
    shape = (3, num_bins, len(CLASSES), num_kmers)
    return np.stack(sums).astype(np.float64).reshape(shape), int(np.count_nonzero(has_value & ~in_class))


def _kmers(genome: Genome, contig: Contig, start: int, end: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Number of the k-mer around each cut start..end-1, and whether it is whole and without N."""
    low, high = max(start - k // 2, 0), min(end + k // 2, contig.length_bp)
    around = np.full(end - start + k, vocab.N, dtype=np.uint8)
    around[low - start + k // 2 : high - start + k // 2] = genome.ids(contig.name, low, high)
    kmer = np.zeros(end - start, dtype=np.int64)
    is_kmer = np.ones(end - start, dtype=bool)
    for i in range(k):
        letters = around[i : i + end - start]
        kmer = kmer * 4 + letters
        is_kmer &= letters < vocab.N
    return kmer, is_kmer


def _draws(num_bins: int, num_draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each bin is in each draw: float64 [some draws, bins]."""
    for first in range(0, num_draws, _NUM_DRAWS_AT_ONCE):
        size = min(_NUM_DRAWS_AT_ONCE, num_draws - first)
        yield rng.multinomial(num_bins, np.full(num_bins, 1 / num_bins), size=size).astype(np.float64)


def _effects(weights: np.ndarray, num: np.ndarray, totals: np.ndarray, reference_code: int) -> np.ndarray:
    drawn = (np.tensordot(weights, each, axes=1) for each in (num, totals))
    density, expected, _ = compare(next(drawn), next(drawn), reference_code)
    return density - expected


def _limits(drawn: np.ndarray, num_bins: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    lo, hi = np.full((2, len(num_bins)), np.nan)
    for code, num in enumerate(num_bins):
        effects = drawn[~np.isnan(drawn[:, code]), code]
        if num >= MIN_BINS and effects.size:
            tail = stats.norm.cdf(np.sqrt(num / (num - 1)) * stats.t.ppf((1 - level) / 2, num - 1))
            lo[code], hi[code] = np.quantile(effects, [tail, 1 - tail])
    return lo, hi


def _with_status(table: pd.DataFrame, reference: str, num_reference_bins: int) -> pd.DataFrame:
    num_bins = table["num_bins"].clip(upper=num_reference_bins)
    reason_of_status = {
        "no values": (table["num_bins"] == 0, "no base of this class has a value"),
        "reference": (table["class"] == reference, ""),
        "nothing to compare": (table["matched_share"] == 0, f"none of its k-mers is in class {reference}"),
        "too few bins": (
            num_bins < MIN_BINS,
            num_bins.astype(str) + f" bins with values, expected at least {MIN_BINS}",
        ),
    }
    table["status"], table["reason"] = "ok", ""
    for status, (applies, reason) in reason_of_status.items():
        is_first = applies & (table["status"] == "ok")
        table["reason"] = table["reason"].mask(is_first, reason)
        table["status"] = table["status"].mask(is_first, status)
    table.loc[table["status"] != "ok", ["lo", "hi"]] = np.nan
    return table
