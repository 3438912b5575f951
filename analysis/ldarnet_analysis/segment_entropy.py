"""Conditional-entropy patches: a cut where the next base is hard to guess from the bases before it.

The guess is that of a Markov model of order k, fitted on train sequence: the entropy of the next base, in bits, ranks
the places, and the threshold follows from the rate that is asked for (one threshold everywhere).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome, Interval
from ldarnet_analysis.segmenters import SequenceSegmenter

MAX_ORDER = 10
PRIOR_BASES = 4.0
"""How many bases seen the model of the next lower order counts for."""
_READ_BP = 1 << 20


class MarkovEntropy(NamedTuple):
    """Entropy of the next base (bits, float32 [4^j]) by the j bases before it, for j = 0..order."""

    order: int
    tables: tuple[np.ndarray, ...]
    num_bases: int


class EntropyPatches(SequenceSegmenter):
    """Places ranked by the entropy of the base behind them; near N and contig starts shorter contexts answer."""

    is_graded = True
    has_cuts = False

    def __init__(self, genome: Genome, model: MarkovEntropy) -> None:
        super().__init__(f"entropy:{model.order}", genome)
        self._model = model

    def _values(self, chrom: str, start: int, end: int) -> np.ndarray:
        order, tables, _ = self._model
        read_start = max(start - order, 0)
        ids = self._genome.ids(chrom, read_start, end)
        ids = np.concatenate([np.full(order - (start - read_start), vocab.N, dtype=np.uint8), ids])
        context, num_known = _contexts(ids, order)
        values = tables[order][context]
        for length in range(order):
            near = num_known == length
            values[near] = tables[length][context[near] % 4**length]
        return values


def fit_entropy(genome: Genome, regions: Sequence[Interval], order: int) -> MarkovEntropy:
    """The model of an order (1 to 10), fitted on regions. Raises ValueError if they hold no known base."""
    counts = np.zeros(4 ** (order + 1))
    for chrom, start, end in regions:
        for low in range(start, end, _READ_BP):
            first = max(low - order, start)
            ids = genome.ids(chrom, first, min(low + _READ_BP, end))
            context, num_known = _contexts(ids, order)
            following = ids[order:]
            whole = (num_known == order) & (following < vocab.N)
            counts += np.bincount(context[whole] * 4 + following[whole], minlength=counts.size)
    if not counts.any():
        raise ValueError("expected known bases in the train regions, got none")
    shares = np.full((1, 4), 0.25)
    tables = []
    for length in range(order + 1):
        seen = counts.reshape(-1, 4**length, 4).sum(axis=0)
        # a context's own counts, and the shares of the context without its first base
        lower = np.tile(shares, (4, 1)) if length else shares
        shares = (seen + PRIOR_BASES * lower) / (seen.sum(axis=1, keepdims=True) + PRIOR_BASES)
        tables.append((-(shares * np.log2(shares)).sum(axis=1)).astype(np.float32))
    return MarkovEntropy(order, tuple(tables), int(counts.sum()))


def _contexts(ids: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each base from `order` on: the number of the bases before it (N as A), and how many are known in a row."""
    num = max(len(ids) - order, 0)
    context = np.zeros(num, dtype=np.int64)
    num_known = np.zeros(num, dtype=np.int64)
    for i in range(order):
        letters = ids[i : i + num]
        is_known = letters < vocab.N
        context = context * 4 + np.where(is_known, letters, 0)
        num_known = np.where(is_known, num_known + 1, 0)
    return context, num_known
