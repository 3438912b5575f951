"""From what the routers say in one window to values at cuts (numpy only).

Coordinates: the value at index i of a window of `length` bases is that of the cut left of its base i. Index 0 never
has one: there the router's 1 is given, not predicted. The reverse complement maps cut i to cut length - i.
"""

from collections.abc import Sequence

import numpy as np

from ldarnet import vocab


def values_at_cuts(probs: Sequence[np.ndarray], cuts: Sequence[np.ndarray], length_bp: int, stage: int) -> np.ndarray:
    """Probability of a cut at every base of a window, by the router of a stage: float32 [length_bp].

    `probs[s]` and `cuts[s]` are the routing of stage s on its tokens. Tokens of stage 0 are bases; those of stage s
    are the chunks of stage s-1, so later stages have values only where such a chunk starts; elsewhere NaN.
    """
    start_of_token = np.arange(length_bp)
    for earlier in range(stage):
        start_of_token = start_of_token[cuts[earlier][: len(start_of_token)]]
    values = np.full(length_bp, np.nan, dtype=np.float32)
    values[start_of_token[1:]] = probs[stage][1 : len(start_of_token)]
    return values


def from_reverse_complement(values: np.ndarray) -> np.ndarray:
    """Values of the reverse-complemented window, put at the cuts of the forward strand: cut i from cut length - i."""
    turned = np.full_like(values, np.nan)
    turned[1:] = values[:0:-1]
    return turned


def span_on_reverse_complement(span: tuple[int, int], length_bp: int) -> tuple[int, int]:
    """Where on the reverse complement the cuts first..last-1 of a window lie; the one past its end has no value."""
    first, last = span
    return length_bp - last + 1, min(length_bp - first + 1, length_bp)


def mean_of_strands(forward: np.ndarray, reverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (of the two, divisor 2) per cut; NaN where either strand has no value."""
    return (forward + reverse) / 2, np.abs(forward - reverse) / 2


def without_unknown_bases(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The values, NaN at every base that is N."""
    return np.where(ids == vocab.N, np.float32(np.nan), values)
