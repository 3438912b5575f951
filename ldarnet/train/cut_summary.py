"""How the routers of a model cut a set of sequences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ldarnet.model.router import Routing
from ldarnet.train.losses import free_tokens

LONGEST_CHUNK_BP = 32
NEAR_HALF = 0.01


@dataclass(frozen=True, kw_only=True)
class CutSummary:
    """How the routers cut, one entry per stage; the tokens of a later stage are the chunks of the one before.

    Counted as in the ratio loss: over all tokens but those around [MASK] whose cut is forced, with the first of each
    window, whose p = 1 is given. Shares F of cuts, mean probabilities G, shares of tokens with p within 0.01 of 0.5.
    `chunk_lengths[i]` counts the chunks of stage 0 with i + 1 bases, were nothing forced, the last entry those with 32
    or more; the end of a window ends a chunk.
    """

    cut_share: tuple[float, ...]
    mean_prob: tuple[float, ...]
    near_half_share: tuple[float, ...]
    chunk_lengths: tuple[int, ...]

    @property
    def bases_per_chunk(self) -> float:
        """Compression: mean length of the chunks of the innermost stage."""
        return 1 / math.prod(self.cut_share)


class CutCounts:
    """Running sums of what a `CutSummary` says."""

    def __init__(self) -> None:
        self._sums = np.zeros(4)
        self._chunk_lengths = np.zeros(LONGEST_CHUNK_BP, dtype=np.int64)

    def add(self, routing: Sequence[Routing]) -> None:
        """Count what the stages of one forward pass did; every sequence must fill its row."""
        self._sums = self._sums + np.array([_routing_sums(stage) for stage in routing])
        outer = routing[0]
        # A rule may cut where the router's probability is low: only forced cuts are to be undone by it.
        is_cut = (outer.cut if outer.unforced is None else outer.unforced > 0.5).cpu().numpy().ravel()
        # Every window is full and starts with a cut, so that no chunk runs from one into the next.
        lengths = np.diff(np.append(np.flatnonzero(is_cut), is_cut.size))
        self._chunk_lengths += np.bincount(np.minimum(lengths, LONGEST_CHUNK_BP) - 1, minlength=LONGEST_CHUNK_BP)

    def summary(self) -> CutSummary:
        """All that was counted so far."""
        cut_share, mean_prob, near_half_share = (self._sums[:, 1:] / self._sums[:, :1]).T.tolist()
        return CutSummary(
            cut_share=tuple(cut_share),
            mean_prob=tuple(mean_prob),
            near_half_share=tuple(near_half_share),
            chunk_lengths=tuple(self._chunk_lengths.tolist()),
        )


def _routing_sums(routing: Routing) -> list[float]:
    """Tokens, cuts, probabilities, and tokens with p near one half."""
    prob, cut, free = routing.prob, routing.cut, free_tokens(routing)
    counted = torch.ones_like(cut) if free is None else free
    near_half = (prob - 0.5).abs() <= NEAR_HALF
    return [float(values.sum()) for values in (counted, cut & counted, prob * counted, near_half & counted)]
