"""Zero-shot scores of variants: how much less, or more, likely a model finds the sequence with the variant in it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet.likelihood import hidden_log_probs, log_likelihoods
from ldarnet.model import LDARNet
from ldarnet.orfs import Orf
from ldarnet.variants import CodonChanges, Frames, Variant, applied, codon_changes

NUM_AT_ONCE = 256
Method = Literal["auto", "next-base", "hidden-base"]
Placed = tuple[np.ndarray, int]
"""A stretch of ids, and the base of the contig it starts at."""


class VariantScore(NamedTuple):
    """A variant, its score, and the counts that a score has to beat."""

    variant: Variant
    score: float
    """Log-likelihood of the mutant minus that of the wild type, in nats; the mean of the strands read."""
    num_changes: int
    codons: CodonChanges | None
    """Of a reading frame that holds the variant; None where there is none."""


def score_variants(
    model: LDARNet,
    genome: Genome,
    variants: Sequence[Variant],
    *,
    orfs: Sequence[Orf] = (),
    window_bp: int | None = None,
    both_strands: bool = True,
    method: Method = "auto",
) -> list[VariantScore]:
    """Scores of variants, each in a window of the genome around it (by default the model's training context).

    "next-base", for causal models: the sum over the window of log p(base | bases before it), mutant minus wild type.
    "hidden-base", for masked ones: log p(alt) - log p(ref) with the changed bases behind [MASK] together, summed over
    them; substitutions only. "auto" is the one that fits. Raises ValueError.
    """
    model.config.check_reads_dna()
    if method == "auto":
        method = "next-base" if model.config.is_causal else "hidden-base"
    scores_of = {"next-base": _next_base_scores, "hidden-base": _hidden_base_scores}[method]
    window_bp = model.config.context_bp if window_bp is None else window_bp
    frames, found = Frames(orfs), list[VariantScore]()
    lengths = {contig.name: contig.length_bp for contig in genome.contigs}
    for first in range(0, len(variants), NUM_AT_ONCE):
        some = variants[first : first + NUM_AT_ONCE]
        windows = [_window(genome, variant, window_bp, lengths[variant.chrom]) for variant in some]
        scores = scores_of(model, windows, some)
        if both_strands:
            turned = [_turned(ids, first_bp, variant) for (ids, first_bp), variant in zip(windows, some, strict=True)]
            on_reverse = scores_of(model, [window for window, _ in turned], [variant for _, variant in turned])
            scores = (scores + on_reverse) / 2
        for variant, score in zip(some, scores, strict=True):
            orf = frames.longest_around(variant)
            codons = None if orf is None else codon_changes(genome, variant, orf)
            found.append(VariantScore(variant, float(score), variant.num_changes, codons))
    return found


def _window(genome: Genome, variant: Variant, window_bp: int, length_bp: int) -> Placed:
    """The variant in the middle, as far as the contig, of `length_bp` bases, allows."""
    room = window_bp - len(variant.ref)
    if room < 2:
        raise ValueError(f"window: expected more than the {len(variant.ref)} bases of a variant, got {window_bp}")
    start = max(0, min(variant.start - room // 2, length_bp - window_bp))
    return genome.ids(variant.chrom, start, min(start + window_bp, length_bp)), start


def _turned(ids: np.ndarray, first: int, variant: Variant) -> tuple[Placed, Variant]:
    """The same on the opposite strand, placed at 0."""
    end = variant.start + len(variant.ref) - first
    ref, alt = (vocab.decode(vocab.reverse_complement(vocab.encode(allele))) for allele in (variant.ref, variant.alt))
    return (vocab.reverse_complement(ids), 0), Variant(variant.chrom, len(ids) - end, ref, alt)


def _next_base_scores(model: LDARNet, windows: Sequence[Placed], variants: Sequence[Variant]) -> np.ndarray:
    pairs = [(ids, applied(ids, first, v)) for (ids, first), v in zip(windows, variants, strict=True)]
    sums = np.array([values.sum() for values in log_likelihoods(model, [ids for pair in pairs for ids in pair])])
    return sums[1::2] - sums[::2]


def _hidden_base_scores(model: LDARNet, windows: Sequence[Placed], variants: Sequence[Variant]) -> np.ndarray:
    places = []
    for (_, first), variant in zip(windows, variants, strict=True):
        if len(variant.ref) != len(variant.alt):
            raise ValueError(
                f"{variant.chrom}:{variant.start + 1:,} {variant.ref[:20]} > {variant.alt[:20]}: a masked model scores "
                "substitutions only; a causal model takes insertions and deletions too"
            )
        differing = [i for i, (a, b) in enumerate(zip(variant.ref, variant.alt, strict=True)) if a != b]
        places.append(variant.start - first + np.array(differing, dtype=np.int64))
    log_probs = hidden_log_probs(model, [ids for ids, _ in windows], places)
    scores = []
    for variant, (_, first), place, found in zip(variants, windows, places, log_probs, strict=True):
        at = place - (variant.start - first)
        ref, alt = vocab.encode(variant.ref)[at], vocab.encode(variant.alt)[at]
        rows = np.arange(len(at))
        scores.append(float((found[rows, alt] - found[rows, ref]).sum()))
    return np.array(scores)
