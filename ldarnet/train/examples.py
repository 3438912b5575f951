"""From windows of bases to what a model is shown, what it has to say, and how much each answer counts (numpy only)."""

from typing import Literal, NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.train.draws import Windows
from ldarnet.train.masking import IGNORED, mask_letters
from ldarnet.train.soft_mask import is_repeat, letters

Objective = Literal["masked", "causal"]


class Examples(NamedTuple):
    """Windows as a model learns from them, each [B, L]."""

    inputs: np.ndarray
    """int64: ids, some replaced where letters are masked."""
    labels: np.ndarray
    """int64: the letter to say at a position, -100 where none is asked for."""
    weights: np.ndarray | None
    """float32: how much each label counts; None = all the same."""


def make_examples(
    windows: Windows, objective: Objective, *, seed: int, mask_share: float, repeat_weight: float = 1.0
) -> Examples:
    """Masked letters to fill in, or (causal) at every base the next one to foretell.

    Ids may carry the repeat bit; labels that stand for repeats count `repeat_weight`, others 1.
    """
    ids, repeats = letters(windows.ids), is_repeat(windows.ids)
    if objective == "causal":
        inputs, labels = ids.astype(np.int64), next_letters(ids)
        repeats = np.pad(repeats[:, 1:], ((0, 0), (0, 1)))
    else:
        inputs, labels, _ = mask_letters(ids, windows.draws, seed, mask_share)
    weights = None if repeat_weight == 1 else np.where(repeats, repeat_weight, 1).astype(np.float32)
    return Examples(inputs, labels, weights)


def next_letters(ids: np.ndarray) -> np.ndarray:
    """Labels of a causal model, int64 [B, L]: the base after each, -100 before N, padding and the end of the window."""
    labels = np.full(ids.shape, IGNORED, dtype=np.int64)
    following = ids[:, 1:].astype(np.int64)
    labels[:, :-1] = np.where(following <= vocab.T, following, IGNORED)
    return labels
