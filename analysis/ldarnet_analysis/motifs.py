"""Motifs as scores: counts or IUPAC letters in, whole-number scores with a threshold out.

Scores are log2 odds in whole units of 1/1024 bit. Rounding each matrix entry once makes every sum exact, in whole
numbers and in float32 alike, so that a hit does not depend on who added it up. Against unrounded log odds a score is
off by at most width / 2048 bits.
"""

import math
from dataclasses import dataclass

import numpy as np

from ldarnet import vocab
from ldarnet_analysis.pwm_threshold import MAX_SPAN, ScoreDistribution, score_distribution

UNITS_PER_BIT = 1024
MAX_WIDTH = 100
BASES_OF_LETTER = {
    **{"A": "A", "C": "C", "G": "G", "T": "T", "U": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT"},
    **{"M": "AC", "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"},
}
"""IUPAC letter -> the bases it stands for."""

_LETTER_OF_BASES = {bases: letter for letter, bases in BASES_OF_LETTER.items() if letter != "U"}
_ANY = "ACGT"
_N_SCORE = -MAX_SPAN  # below the worst sum of known bases, so that no stretch with N reaches a threshold


@dataclass(frozen=True)
class CountMatrix:
    """How often each base was seen at each position of a motif: one row (A, C, G, T) per position."""

    motif_id: str
    name: str
    counts: tuple[tuple[float, float, float, float], ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.counts) <= MAX_WIDTH:
            raise ValueError(f"motif {self.motif_id}: expected 1 to {MAX_WIDTH} columns, got {len(self.counts)}")
        for number, column in enumerate(self.counts, start=1):
            if len(column) != 4 or not all(math.isfinite(count) and count >= 0 for count in column):
                raise ValueError(f"motif {self.motif_id}, column {number}: expected 4 counts >= 0, got {column}")
            if not 0 < sum(column) < math.inf:
                raise ValueError(f"motif {self.motif_id}, column {number}: expected counts above zero, got {column}")

    def frequencies(self) -> np.ndarray:
        """Share of each base at each position: float64 [width, 4]."""
        counts = np.array(self.counts, dtype=np.float64)
        return counts / counts.sum(axis=1, keepdims=True)

    def information(self) -> np.ndarray:
        """Bits by which each position falls short of four equal bases: float64 [width], from 0 to 2."""
        shares = self.frequencies()
        return 2 + (shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)

    def trimmed(self, min_bits: float) -> "CountMatrix":
        """The matrix from the first to the last position of at least `min_bits`; ValueError where there is none."""
        kept = np.flatnonzero(self.information() >= min_bits)
        if not kept.size:
            raise ValueError(f"motif {self.motif_id}: no column has {min_bits} bits")
        return CountMatrix(self.motif_id, self.name, self.counts[kept[0] : kept[-1] + 1])


@dataclass(frozen=True, eq=False)
class Motif:
    """Scores of a motif and the score from which a place is a hit.

    `scores` is int32 [width, 5], columns A C G T N, in units of 1/1024 bit; `p_value` is the exact probability of
    `threshold` or more at one position of one strand of random sequence.
    """

    consensus: str
    scores: np.ndarray
    threshold: int
    p_value: float
    distribution: ScoreDistribution

    @property
    def width(self) -> int:
        """Bases that a hit covers."""
        return len(self.scores)

    def reversed_scores(self) -> np.ndarray:
        """The scores of the opposite strand, read along this one."""
        return np.ascontiguousarray(self.scores[::-1, vocab.COMPLEMENT[: vocab.N + 1]])


def background(gc: float) -> np.ndarray:
    """Probabilities of A, C, G, T (float64 [4]) at a GC content; the same on both strands, as one threshold asks for.

    Raises ValueError unless 0 < gc < 1.
    """
    if not 0 < gc < 1:
        raise ValueError(f"expected a GC content between 0 and 1, got {gc}")
    return np.array([1 - gc, gc, gc, 1 - gc]) / 2


def motif_from_counts(matrix: CountMatrix, p_value: float, pseudocount: float = 1.0, gc: float = 0.5) -> Motif:
    """Log odds of a count matrix, with the threshold that `p_value` gives.

    `pseudocount` is added to each column, shared out by the background. Raises ValueError for a p-value the motif
    cannot reach (with the least it can) and a pseudocount under a millionth of a site.
    """
    if not 1e-6 <= pseudocount < math.inf:
        raise ValueError(f"motif {matrix.motif_id}: expected a pseudocount of 0.000001 or more, got {pseudocount}")
    chance = background(gc)
    counts = np.array(matrix.counts, dtype=np.float64)
    shares = (counts + pseudocount * chance) / (counts.sum(axis=1, keepdims=True) + pseudocount)
    scores = np.rint(np.log2(shares / chance) * UNITS_PER_BIT).astype(np.int64)
    try:
        distribution = score_distribution(scores, chance)
        threshold = distribution.threshold(p_value)
    except ValueError as error:
        raise ValueError(f"motif {matrix.motif_id}: {error}") from None
    return _motif(_consensus(matrix), scores, threshold, distribution)


def motif_from_iupac(letters: str, gc: float = 0.5) -> Motif:
    """An IUPAC string: a hit matches every letter, and scores -log2 of the chance of such a match.

    Raises ValueError for letters that are no IUPAC codes, an empty or too long string, and one of N alone.
    """
    letters = letters.upper()
    if not 1 <= len(letters) <= MAX_WIDTH:
        raise ValueError(f"expected 1 to {MAX_WIDTH} IUPAC letters, got {len(letters)}")
    if unknown := sorted(set(letters) - BASES_OF_LETTER.keys()):
        raise ValueError(f"motif {letters}: expected IUPAC letters ({''.join(BASES_OF_LETTER)}), got {unknown}")
    if set(letters) == {"N"}:
        raise ValueError(f"motif {letters}: expected a letter other than N, which everything matches")
    chance = background(gc)
    allowed = np.array([[base in BASES_OF_LETTER[letter] for base in _ANY] for letter in letters])
    matched = np.rint(-np.log2(allowed @ chance) * UNITS_PER_BIT)
    scores = np.where(allowed, matched[:, None], -UNITS_PER_BIT).astype(np.int64)
    return _motif(letters, scores, int(matched.sum()), score_distribution(scores, chance))


def _motif(consensus: str, scores: np.ndarray, threshold: int, distribution: ScoreDistribution) -> Motif:
    with_n = np.column_stack([scores, np.full(len(scores), _N_SCORE)]).astype(np.int32)
    return Motif(consensus, with_n, threshold, float(distribution.p_value(threshold)), distribution)


def _consensus(matrix: CountMatrix) -> str:
    """IUPAC letters of the bases that are at least half as frequent as the most frequent one."""
    shares = matrix.frequencies()
    likely = shares >= shares.max(axis=1, keepdims=True) / 2
    return "".join(_LETTER_OF_BASES["".join(np.array(list(_ANY))[column])] for column in likely)
