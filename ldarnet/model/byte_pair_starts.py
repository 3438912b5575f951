"""Where the byte-pair tokens of letters start."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ldarnet import vocab
from ldarnet.byte_pairs import tokens_of


def byte_pair_starts(ids: Tensor, merges: tuple[str, ...]) -> Tensor:
    """bool [B, L] on the CPU: True where a token starts.

    Tokens are those of the letters the model is shown: made of the hidden ones too, they would give them away. A letter
    that is unknown or hidden ends a token and belongs to it, so that about as many tokens start as would without it.
    """
    letters = ids.detach().to("cpu", torch.uint8).numpy()
    starts = np.zeros(letters.shape, dtype=bool)
    runs, places = [], []
    for number, row in enumerate(letters):
        for first, last in _known_runs(row):
            runs.append(vocab.decode(row[first:last]))
            places.append((number, first))
    tokenizer, length_of = _tokenizer(merges)
    for (number, first), tokens in zip(places, tokenizer.encode_batch_fast(runs, add_special_tokens=False), strict=True):
        ends = np.cumsum(length_of[tokens.ids])
        starts[number, first] = True
        starts[number, first + ends[:-1]] = True
    starts[:, 0] = True
    return torch.from_numpy(starts)


def _known_runs(row: np.ndarray) -> list[tuple[int, int]]:
    """The stretches of A, C, G and T."""
    edges = np.flatnonzero(np.diff(np.pad(row <= vocab.T, 1).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@lru_cache(maxsize=4)
def _tokenizer(merges: tuple[str, ...]) -> tuple[Any, np.ndarray]:
    """The tokenizer, and the length of each token by its number."""
    try:
        from tokenizers import Tokenizer, models
    except ImportError:
        raise ValueError("cuts 'byte-pair' need the library tokenizers: pip install 'ldarnet[bpe]'") from None
    tokens = tokens_of(merges)
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    model = models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=pairs)
    return Tokenizer(model), np.array([len(token) for token in tokens])
