"""Ablating a motif: its own letters in an order in which it is no motif any more."""

from collections.abc import Callable

import numpy as np

from ldarnet import vocab
from ldarnet_analysis.decoys import Span

NUM_ORDERS = 400

StillMatches = Callable[[np.ndarray, int], bool]
"""Whether a sequence (ids) still has the motif at the anchor (index of the cut), e.g. a PWM score above a threshold."""


def ablate(
    ids: np.ndarray, cut: int, span: Span, still_matches: StillMatches, rng: np.random.Generator
) -> np.ndarray | None:
    """The sequence with the letters in `span` of the cut in another order that `still_matches` denies.

    Out of random orders, one that changes the most positions is taken. None if no order will do.
    """
    start, end = cut + span[0], cut + span[1]
    motif = ids[start:end]
    orders = rng.permuted(np.tile(motif, (NUM_ORDERS, 1)), axis=1)
    num_changed = (orders != motif).sum(axis=1)
    for row in np.argsort(-num_changed, kind="stable"):
        if not num_changed[row]:
            return None
        changed = ids.copy()
        changed[start:end] = orders[row]
        if not still_matches(changed, cut):
            return changed
    return None


def literal_test(ids: np.ndarray, cut: int, span: Span) -> StillMatches:
    """A test for the very letters of `ids` in `span`, on either strand, wherever they would touch the span."""
    start, end = cut + span[0], cut + span[1]
    width = end - start
    motif = ids[start:end].copy()
    both = (motif.tobytes(), vocab.reverse_complement(motif).tobytes())

    def still_matches(changed: np.ndarray, cut: int) -> bool:
        stretch = changed[max(0, cut + span[0] - width + 1) : cut + span[1] + width - 1].tobytes()
        return any(letters in stretch for letters in both)

    return still_matches
