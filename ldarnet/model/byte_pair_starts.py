"""Where the byte-pair tokens of letters start."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ldarnet import vocab
from ldarnet.byte_pairs import KNOWN_LETTERS, tokens_of

_UNKNOWN = "."
_LETTERS = np.frombuffer((KNOWN_LETTERS + _UNKNOWN * (vocab.VOCAB_SIZE - len(KNOWN_LETTERS))).encode(), dtype=np.uint8)


def byte_pair_starts(ids: Tensor, merges: tuple[str, ...]) -> Tensor:
    """bool [B, L] on the CPU: True where a token starts.

    Tokens are those of the letters the model is shown: made of the hidden ones too, they would give them away. A letter
    that is unknown or hidden ends a token and belongs to it: a token of its own would make many more of them.
    """
    letters = ids.detach().to("cpu", torch.uint8).numpy()
    starts = np.zeros(letters.shape, dtype=bool)
    tokenizer, length_of = _tokenizer(merges)
    texts = [_LETTERS[row].tobytes().decode() for row in letters]
    for row, tokens in zip(starts, tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True):
        ends = np.cumsum(length_of[tokens.ids])
        row[ends[:-1]] = True
    starts &= letters <= vocab.T
    starts[:, 0] = True
    return torch.from_numpy(starts)


@lru_cache(maxsize=4)
def _tokenizer(merges: tuple[str, ...]) -> tuple[Any, np.ndarray]:
    """The tokenizer, and the length of each token by its number; unknown letters are a token that nothing joins."""
    try:
        from tokenizers import Tokenizer, models
    except ImportError:
        raise ValueError("cuts 'byte-pair' need the library tokenizers: pip install 'ldarnet[bpe]'") from None
    tokens = [*tokens_of(merges), _UNKNOWN]
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    model = models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=pairs)
    return Tokenizer(model), np.array([len(token) for token in tokens])
