"""How likely a model finds letters: of a causal model those to come, of a masked one those that are hidden."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ldarnet import vocab
from ldarnet.model import LDARNet

BATCH_TOKENS = 8192
NUM_BASES = vocab.N
"""Probabilities are those among A, C, G, T: given that it is a base at all."""


def log_likelihoods(
    model: LDARNet, sequences: Sequence[np.ndarray], *, batch_tokens: int = BATCH_TOKENS
) -> list[np.ndarray]:
    """Natural log-probability of every base given those before it: per sequence of ids float64 [length].

    The first base has none (there is no sign for the start of a sequence), nor has N: they count 0. ValueError unless
    the model is a causal one of DNA.
    """
    model.config.check_reads_dna()
    model.config.check_is("causal", to="say how likely the next base is")
    log_probs = _log_probs(model, sequences, batch_tokens)
    return [_of_next(ids, found) for ids, found in zip(sequences, log_probs, strict=True)]


def hidden_log_probs(
    model: LDARNet, sequences: Sequence[np.ndarray], hidden: Sequence[np.ndarray], *, batch_tokens: int = BATCH_TOKENS
) -> list[np.ndarray]:
    """Log-probabilities of A, C, G, T at positions put behind [MASK] together: per sequence float64 [positions, 4].

    ValueError unless the model is a masked one.
    """
    model.config.check_is("masked", to="score hidden letters")
    covered = []
    for ids, positions in zip(sequences, hidden, strict=True):
        copy = ids.copy()
        copy[positions] = vocab.MASK
        covered.append(copy)
    return [found[places] for found, places in zip(_log_probs(model, covered, batch_tokens), hidden, strict=True)]


def _log_probs(model: LDARNet, sequences: Sequence[np.ndarray], batch_tokens: int) -> Iterator[np.ndarray]:
    """Log-probabilities among the four bases at every position: per sequence float64 [length, 4]."""
    num_at_once = max(1, batch_tokens // max(map(len, sequences), default=1))
    for first in range(0, len(sequences), num_at_once):
        yield from _of_batch(model, sequences[first : first + num_at_once])


def _of_batch(model: LDARNet, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    lengths = torch.tensor([len(row) for row in rows])
    ids = np.full((len(rows), int(lengths.max())), vocab.PAD, dtype=np.uint8)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = row
    device = next(model.parameters()).device
    valid = torch.arange(ids.shape[1]) < lengths[:, None]
    with torch.inference_mode():
        logits = model(torch.from_numpy(ids).to(device), valid.to(device)).logits[..., :NUM_BASES]
        log_probs = logits.float().cpu().double().log_softmax(-1).numpy()
    return [log_probs[i, :length] for i, length in enumerate(lengths.tolist())]


def _of_next(ids: np.ndarray, log_probs: np.ndarray) -> np.ndarray:
    values = np.zeros(len(ids))
    is_base = np.flatnonzero(ids[1:] < NUM_BASES) + 1
    values[is_base] = log_probs[is_base - 1, ids[is_base]]
    return values
