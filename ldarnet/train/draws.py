"""Numbered draws of windows: a window depends on the seed and its number alone, whichever rank takes it and when."""

from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np

MAX_SEED = (1 << 63) - 1


class Purpose(IntEnum):
    """What random numbers are for; each has streams of its own, so that one choice tells nothing of another."""

    WINDOW = 1
    MASK = 2
    STRAND = 3
    FILE_ORDER = 4
    WINDOW_ORDER = 5


def random_stream(seed: int, purpose: Purpose, number: int) -> np.random.Generator:
    """The random numbers that belong to a draw (epoch, block): a counter-based generator, so nothing is to be saved.

    Philox with the key (seed, purpose); the number is the top word of its counter, which leaves 2^192 blocks to each.
    """
    return np.random.Generator(np.random.Philox(key=[seed, purpose], counter=[0, 0, 0, number]))


class Windows(NamedTuple):
    """Windows of a batch: `ids` uint8 [num, window_bp], and their numbers among all draws, `draws` int64 [num]."""

    ids: np.ndarray
    draws: np.ndarray


class Draws(Protocol):
    """Where the training loop gets its windows."""

    def take(self, num: int) -> Windows:
        """The next `num` windows of this rank."""

    def state(self) -> dict[str, Any]:
        """Where the draws stand, JSON-able and good for any number of ranks."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. Raises ValueError where the data are not those it was taken from."""


class NumberedWindows(Protocol):
    """Any number of windows of one length, each found by its number: what a `Corpus` is."""

    def window(self, draw: int) -> np.ndarray:
        """Ids (uint8 [window_bp]) of a window."""

    def fingerprint(self) -> str:
        """The same for the same windows, on any machine."""


class Turns:
    """Which draws are this rank's: of every `num_ranks * num` taken by all ranks together, the rank-th `num`.

    One process that takes twice therefore sees what two ranks see once. `position` is the next draw of rank 0.
    """

    def __init__(self, rank: int, num_ranks: int) -> None:
        if not 0 <= rank < num_ranks:
            raise ValueError(f"expected a rank from 0 to {num_ranks - 1} of {num_ranks}, got {rank}")
        self.position = 0
        self._rank = rank
        self._num_ranks = num_ranks

    def next(self, num: int) -> range:
        """The next `num` draws of this rank; the position moves past those of all ranks."""
        if num < 1:
            raise ValueError(f"expected to take 1 window or more, got {num}")
        first = self.position + self._rank * num
        self.position += self._num_ranks * num
        return range(first, first + num)


class CorpusDraws:
    """`Draws` from genomes in memory."""

    def __init__(self, corpus: NumberedWindows, rank: int = 0, num_ranks: int = 1) -> None:
        self._corpus = corpus
        self._fingerprint = corpus.fingerprint()
        self._turns = Turns(rank, num_ranks)

    def take(self, num: int) -> Windows:
        """The next `num` windows of this rank."""
        draws = self._turns.next(num)
        return Windows(np.stack([self._corpus.window(draw) for draw in draws]), np.array(draws, dtype=np.int64))

    def state(self) -> dict[str, Any]:
        """The next draw and what it is drawn from."""
        return {"position": self._turns.position, "corpus": self._fingerprint}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. Raises ValueError if it was taken from another corpus."""
        if state["corpus"] != self._fingerprint:
            raise ValueError(
                f"expected the corpus of the saved run, {state['corpus']}, got {self._fingerprint}: its genomes, "
                "intervals, weights or window were changed; put them back, or start in another folder"
            )
        self._turns.position = state["position"]
