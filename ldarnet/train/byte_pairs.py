"""A byte-pair tokenizer learned on the windows that a run would train on."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ldarnet import vocab
from ldarnet.byte_pairs import KNOWN_LETTERS
from ldarnet.train.draws import NumberedWindows

DEFAULT_BASES = 4_000_000


def train_tokenizer(corpus: NumberedWindows, num_tokens: int, num_bases: int = DEFAULT_BASES) -> Any:  # noqa: ANN401
    """A byte-pair encoding of the library `tokenizers` with so many tokens, the four letters among them.

    It sees the first windows of the corpus, until they have `num_bases`; the same ones give the same tokens. Raises
    ValueError where the library is missing, and where the windows are too few for so many tokens.
    """
    try:
        from tokenizers import Tokenizer, models, trainers
    except ImportError:
        raise ValueError("needs the library tokenizers: pip install 'ldarnet[bpe]'") from None
    if num_tokens <= len(KNOWN_LETTERS):
        raise ValueError(f"expected more than {len(KNOWN_LETTERS)} tokens, one for each letter, got {num_tokens}")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=num_tokens, initial_alphabet=list(KNOWN_LETTERS), special_tokens=[], show_progress=False
    )
    tokenizer.train_from_iterator(_texts(corpus, num_bases), trainer)
    if tokenizer.get_vocab_size() != num_tokens:
        raise ValueError(
            f"expected {num_tokens:,} tokens, got {tokenizer.get_vocab_size():,}: {num_bases:,} bases are too few"
        )
    return tokenizer


def _texts(corpus: NumberedWindows, num_bases: int) -> Iterator[str]:
    """Runs of known letters."""
    draw = num_seen = 0
    while num_seen < num_bases:
        ids: np.ndarray = corpus.window(draw)
        draw, num_seen = draw + 1, num_seen + len(ids)
        yield from (run for run in vocab.decode(ids).split("N") if run)
