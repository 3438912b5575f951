"""What a table of neighbouring letters knows about a hidden one: the losses a trained model has to beat (numpy only).

Tables count both strands, since training draws either, and are shown the true neighbours even where a model sees
[MASK] or a replaced letter: the comparison favours the tables.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol, Self

import numpy as np

from ldarnet import vocab

BLOCK_BP = 1 << 22
HELD_BACK_SHARE = 10
"""The last tenth of every block chooses the shrinkage, and is then counted like the rest."""
SHRINKAGES = tuple(4.0**power for power in range(7, -4, -1))
MAX_WORD = 13
"""The longest word whose counts fit in memory without a thought (two times 0.5 GB)."""


class LetterTable(Protocol):
    """Something that predicts a letter from those around it."""

    @property
    def name(self) -> str:
        """What results call it."""

    def log_prob(self, ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Log-probability (nats) of A, C, G, T at positions [n] of ids (uint8 [L]): float64 [n, 4].

        The letter at a position itself is never looked at.
        """


class Reach(NamedTuple):
    """How many neighbours are seen on each side."""

    left: int
    right: int


@dataclass(frozen=True)
class WordCounts:
    """How often each word (a letter and its neighbours) occurs on both strands, in two disjoint parts of the bases.

    Both int64 with one axis of four per letter of the word, left to right; the letter itself is axis `reach.left`.
    """

    reach: Reach
    counted: np.ndarray
    held_back: np.ndarray


def count_words(sequences: Iterable[np.ndarray], reach: Reach) -> WordCounts:
    """Counts of all words of sequences of ids (uint8) on both strands; words with N are left out.

    Raises ValueError where there is no such word at all.
    """
    length = reach.left + 1 + reach.right
    if min(reach) < 0 or length > MAX_WORD:
        raise ValueError(f"expected words of 1 to {MAX_WORD} letters, got {reach.left} + 1 + {reach.right}")
    parts = np.zeros((2, 4**length), dtype=np.int64)
    for block in _blocks(sequences, length):
        codes = _word_codes(block, length)
        for part, some in zip(parts, np.split(codes, [len(codes) - len(codes) // HELD_BACK_SHARE]), strict=True):
            part += np.bincount(some[some >= 0], minlength=part.size)
    if not parts.any():
        raise ValueError(f"expected at least one stretch of {length} known letters to fit a table on, got none")
    counted, held_back = (part.reshape((4,) * length) for part in parts)
    # Reading a word on the other strand reverses its letters (axes) and complements each (3 - id).
    return WordCounts(reach, counted + np.flip(counted.T), held_back + np.flip(held_back.T))


@dataclass(frozen=True)
class ContextTable:
    """Letter given its neighbours, each level of reach leaning on the one before where it has seen little.

    p_k = (count_k + shrinkage_k * p_(k-1)) / (n_k + shrinkage_k), below the first level uniform. Where neighbours are
    N or past an end, the deepest level that fits speaks. `log_probs[k]` is float64 [4 ** neighbours, 4].
    """

    name: str
    levels: tuple[Reach, ...]
    shrinkage: tuple[float, ...]
    log_probs: tuple[np.ndarray, ...]

    def log_prob(self, ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Log-probability (nats) of A, C, G, T at positions [n] of ids (uint8 [L]): float64 [n, 4]."""
        left, right = self.levels[-1]
        # Outside of the sequence as inside of it, N is what nothing is known of.
        padded = np.pad(ids, (left, right), constant_values=vocab.N)
        offsets = np.delete(np.arange(left + 1 + right), left)
        neighbours = padded[positions[:, None] + offsets].astype(np.int64)
        is_known = neighbours < vocab.N
        result = np.empty((len(positions), 4))
        for level, log_probs in zip(self.levels, self.log_probs, strict=True):
            seen = slice(left - level.left, left + level.right)
            fits = is_known[:, seen].all(axis=1)
            powers = 4 ** np.arange(sum(level))[::-1]
            result[fits] = log_probs[neighbours[fits, seen] @ powers]
        return result

    @classmethod
    def _fit(
        cls,
        name: str,
        levels: Sequence[Reach],
        sequences: Iterable[np.ndarray] | WordCounts,
        shrinkage: Sequence[float] | None,
    ) -> Self:
        counts = sequences if isinstance(sequences, WordCounts) else count_words(sequences, levels[-1])
        if shrinkage is not None and (len(shrinkage) != len(levels) or min(shrinkage) <= 0):
            raise ValueError(f"shrinkage: expected {len(levels)} positive numbers, one per level, got {shrinkage}")
        prior = np.full(4, 0.25)
        chosen, log_probs = [], []
        for k, (outer, level) in enumerate(pairwise((Reach(0, 0), *levels))):
            parts = (counts.counted, counts.held_back)
            counted, held_back = (_per_context(part, counts.reach, level) for part in parts)
            # Neighbours that the level before did not see become axes of one, to be broadcast over.
            prior = prior.reshape(
                (1,) * (level.left - outer.left) + (4,) * sum(outer) + (1,) * (level.right - outer.right) + (4,)
            )
            chosen.append(_best_shrinkage(counted, held_back, prior) if shrinkage is None else shrinkage[k])
            prior = _shrunk(counted + held_back, prior, chosen[-1])
            log_probs.append(np.log(prior).reshape(-1, 4))
        return cls(name, tuple(levels), tuple(chosen), tuple(log_probs))


class Composition(ContextTable):
    """How frequent the letters are, whatever stands around them."""

    @classmethod
    def fit(cls, sequences: Iterable[np.ndarray] | WordCounts) -> Self:
        """The table of sequences of ids (uint8), or of words counted before."""
        return cls._fit("composition", (Reach(0, 0),), sequences, None)


class Markov(ContextTable):
    """The letter given the `order` letters before it."""

    @classmethod
    def fit(
        cls,
        sequences: Iterable[np.ndarray] | WordCounts,
        order: int = 5,
        shrinkage: Sequence[float] | None = None,
    ) -> Self:
        """The table of sequences of ids (uint8), or of words counted before with at least this reach.

        Shrinkage, one number per level 0..order, is chosen on held-back bases unless given.
        """
        return cls._fit(f"markov{order}", [Reach(k, 0) for k in range(order + 1)], sequences, shrinkage)


class Flanks(ContextTable):
    """The letter given the `flank` letters on each side of it."""

    @classmethod
    def fit(
        cls,
        sequences: Iterable[np.ndarray] | WordCounts,
        flank: int = 5,
        shrinkage: Sequence[float] | None = None,
    ) -> Self:
        """The table of sequences of ids (uint8), or of words counted before with at least this reach.

        Shrinkage, one number per level 0..flank, is chosen on held-back bases unless given.
        """
        return cls._fit(f"flank{flank}", [Reach(k, k) for k in range(flank + 1)], sequences, shrinkage)


def fit_tables(
    sequences: Iterable[np.ndarray] | WordCounts, objective: Literal["masked", "causal"] = "masked"
) -> tuple[ContextTable, ...]:
    """The tables that every model is compared with, from one pass over the bases (or words with reach 5, 5).

    A causal model is compared with those that look to the left only. Words that do not have five known letters on
    either side are counted by none of them.
    """
    counts = sequences if isinstance(sequences, WordCounts) else count_words(sequences, Reach(5, 5))
    looking_left = (Composition.fit(counts), Markov.fit(counts, 5))
    return looking_left if objective == "causal" else (*looking_left, Flanks.fit(counts, 3), Flanks.fit(counts, 5))


def _per_context(counts: np.ndarray, reach: Reach, level: Reach) -> np.ndarray:
    """Counts of a level, [4] * neighbours + [4]: the letter comes last."""
    last = reach.left + level.right + 1
    unseen = (*range(reach.left - level.left), *range(last, counts.ndim))
    return np.moveaxis(counts.sum(axis=unseen), level.left, -1)


def _shrunk(counts: np.ndarray, prior: np.ndarray, shrinkage: float) -> np.ndarray:
    return (counts + shrinkage * prior) / (counts.sum(axis=-1, keepdims=True) + shrinkage)


def _best_shrinkage(counted: np.ndarray, held_back: np.ndarray, prior: np.ndarray) -> float:
    matters = held_back.any(axis=-1)
    prior = np.broadcast_to(prior, counted.shape)[matters]
    counted, held_back = counted[matters], held_back[matters]

    def loss(shrinkage: float) -> float:
        return -float(np.vdot(held_back, np.log(_shrunk(counted, prior, shrinkage))))

    return min(SHRINKAGES, key=loss)


def _blocks(sequences: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """The sequences end to end with an N between them, in blocks that share no word and miss none."""
    pieces: list[np.ndarray] = []
    num_waiting = 0
    for sequence in sequences:
        for start in range(0, len(sequence) - length + 1, BLOCK_BP):
            pieces += (sequence[start : start + BLOCK_BP + length - 1], np.full(1, vocab.N, np.uint8))
            num_waiting += len(pieces[-2])
            if num_waiting >= BLOCK_BP:
                yield np.concatenate(pieces[:-1])
                pieces, num_waiting = [], 0
    if pieces:
        yield np.concatenate(pieces[:-1])


def _word_codes(ids: np.ndarray, length: int) -> np.ndarray:
    """The word that starts at each base as a number in base 4 (int32 [len(ids) - length + 1]); -1 with an N in it."""
    num_words = len(ids) - length + 1
    codes = np.zeros(num_words, dtype=np.int32)
    for i in range(length):
        codes *= 4
        codes += ids[i : i + num_words]
    unknown_before = np.concatenate(([0], np.cumsum(ids >= vocab.N, dtype=np.int32)))
    codes[unknown_before[length:] > unknown_before[:-length]] = -1
    return codes
