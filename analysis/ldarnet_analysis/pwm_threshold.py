"""How likely a score is by chance: the exact distribution of a matrix's scores over random sequence.

Scores are whole numbers (units of 1/1024 bit, see `motifs`), so the distribution is summed exactly, column by column,
and a threshold taken from it is never too low: at random bases drawn from the background, P(score >= threshold) is at
most the p-value that was asked for. Both numbers are per position and strand; no correction for the number of
positions looked at is made.
"""

from dataclasses import dataclass

import numpy as np

MAX_SPAN = 1 << 24
"""Largest distance between the best and the worst score of a matrix: below it float32 sums of scores are exact."""


@dataclass(frozen=True, eq=False)
class ScoreDistribution:
    """`tail[i]` is the probability of a score of `lowest + i` or more; float64, never rising, 1 at the start."""

    lowest: int
    tail: np.ndarray

    def p_value(self, scores: np.ndarray | int) -> np.ndarray:
        """Probability of each score (whole numbers) or a better one at one position of one strand: float64."""
        places = np.clip(np.asarray(scores, dtype=np.int64) - self.lowest, 0, len(self.tail))
        return np.append(self.tail, 0.0)[places]

    def threshold(self, p_value: float) -> int:
        """The smallest score whose probability is at most `p_value`; ValueError where the best score is likelier."""
        if not 0 < p_value <= 1:
            raise ValueError(f"expected a p-value above 0 and at most 1, got {p_value}")
        if self.tail[-1] > p_value:
            raise ValueError(
                f"p-value {p_value:g} cannot be reached: even the best match of this motif has probability "
                f"{self.tail[-1]:.3g}; ask for that or more"
            )
        return self.lowest + int(np.argmax(self.tail <= p_value))


def score_distribution(scores: np.ndarray, background: np.ndarray) -> ScoreDistribution:
    """Distribution of the sum of one score per column (int [width, 4]) for bases drawn from `background` (float [4]).

    Dynamic programming over columns. Raises ValueError if best and worst score are `MAX_SPAN` or more apart.
    """
    floors = scores.min(axis=1)
    spans = scores.max(axis=1) - floors
    if (span := int(spans.sum(dtype=np.int64))) >= MAX_SPAN:
        raise ValueError(f"expected scores less than {MAX_SPAN:,} units apart, got {span:,}: raise the pseudocount")
    chance = np.ones(1)
    for column, floor, column_span in zip(scores, floors, spans, strict=True):
        following = np.zeros(len(chance) + int(column_span))
        for score, probability in zip(column - floor, background, strict=True):
            following[score : score + len(chance)] += probability * chance
        chance = following
    return ScoreDistribution(int(floors.sum(dtype=np.int64)), np.minimum(np.cumsum(chance[::-1])[::-1], 1.0))
