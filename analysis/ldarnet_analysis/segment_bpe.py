"""Byte-pair encoding of DNA: tokens learned on train sequence, cuts where they meet."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome, Interval
from ldarnet_analysis.segmenters import CUT, SequenceSegmenter

PIECE_BP = 4096
"""Train sequence is cut into pieces of this length, as windows of DNA language models are."""
MAX_TRAIN_BP = 4_000_000
"""Of longer train sequence, pieces at equal distances are taken."""
_WINDOW_BP = 8192
_HALO_BP = 256


class BpeTokens(SequenceSegmenter):
    """Tokens of a byte-pair encoding, in overlapping windows, so that no window border is a cut.

    Windows lie at multiples of their length, and 256 bases around each are encoded with it. Merges depend on letters
    near them only, so that a token is rarely another than the whole contig in one piece would have.
    """

    def __init__(self, genome: Genome, tokenizer: Any, vocabulary: int) -> None:  # noqa: ANN401 - tokenizers' own class
        super().__init__(f"bpe:{vocabulary}", genome)
        self._tokenizer = tokenizer
        letters = {number: token for token, number in tokenizer.get_vocab().items()}
        self._length_of = np.array([len(letters[number]) for number in range(len(letters))])
        self.longest_bp = int(self._length_of.max())

    def _values(self, chrom: str, start: int, end: int) -> np.ndarray:
        values = np.zeros(end - start, dtype=np.float32)
        for core, text_start, text in self._windows(chrom, start, end):
            numbers = self._tokenizer.encode(text, add_special_tokens=False).ids
            token_ends = np.cumsum(self._length_of[numbers])
            cuts = text_start + np.concatenate([[0], token_ends[:-1]])
            kept = cuts[(cuts >= max(core[0], start)) & (cuts < min(core[1], end))]
            values[kept - start] = CUT
        return values

    def _windows(self, chrom: str, start: int, end: int) -> Iterator[tuple[tuple[int, int], int, str]]:
        for low, high in self._known_runs(chrom, start, end):
            first = max(low, start) // _WINDOW_BP
            last = -(-min(high, end) // _WINDOW_BP)
            for number in range(first, last):
                core = max(number * _WINDOW_BP, low), min((number + 1) * _WINDOW_BP, high)
                text = max(core[0] - _HALO_BP, low), min(core[1] + _HALO_BP, high)
                yield core, text[0], vocab.decode(self._genome.ids(chrom, *text))


def train_bpe(genome: Genome, regions: Sequence[Interval], vocabulary: int) -> Any:  # noqa: ANN401
    """A byte-pair encoding with so many tokens (single letters included), of the library `tokenizers`.

    The same sequence gives the same tokens. Raises ValueError where the library is missing, and for sequence too
    short for so many tokens.
    """
    try:
        from tokenizers import Tokenizer, models, trainers
    except ImportError:
        raise ValueError("needs the library tokenizers: pip install tokenizers") from None
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    pieces = list(_pieces(genome, regions))
    if not pieces:
        raise ValueError(f"expected train regions with runs of known bases, got none of {PIECE_BP // 16} bases or more")
    step = max(1, -(-len(pieces) * PIECE_BP // MAX_TRAIN_BP))
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=list("ACGT"), special_tokens=[], show_progress=False
    )
    tokenizer.train_from_iterator(pieces[::step], trainer)
    if tokenizer.get_vocab_size() != vocabulary:
        raise ValueError(
            f"expected {vocabulary:,} tokens, got {tokenizer.get_vocab_size():,}: the train regions are too short"
        )
    return tokenizer


def _pieces(genome: Genome, regions: Sequence[Interval]) -> Iterator[str]:
    for chrom, start, end in regions:
        for low in range(start, end, PIECE_BP):
            letters = vocab.decode(genome.ids(chrom, low, min(low + PIECE_BP, end)))
            yield from (run for run in letters.split("N") if len(run) >= PIECE_BP // 16)
