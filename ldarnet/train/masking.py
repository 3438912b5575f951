"""Which letters a model has to guess, and what it is shown in their place (numpy only)."""

from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.train.draws import Purpose, random_stream

IGNORED = -100
"""Label of a position that is not to be guessed: what torch's cross-entropy leaves out."""
MASK_SHARE = 0.15
HIDDEN_SHARE = 0.8
REPLACED_SHARE = 0.1
"""Of the selected letters so many are shown as [MASK], so many as a base drawn anew, the rest as they are."""


class Masked(NamedTuple):
    """Masked windows, all [B, L]: `inputs` and `labels` int64, `hidden` bool (shown as [MASK])."""

    inputs: np.ndarray
    labels: np.ndarray
    hidden: np.ndarray


def mask_letters(ids: np.ndarray, draws: np.ndarray, seed: int, share: float = MASK_SHARE) -> Masked:
    """Select every A, C, G, T with probability `share`; N and padding never (ICML-LDARNet@f247d59).

    Of the selected, 80 % are shown as [MASK], 10 % as a base uniform over A, C, G, T (the true one included), 10 %
    as they are. `labels` has the true letter where selected, -100 elsewhere. A window's mask depends on the seed
    and its number in `draws` alone. `ids` uint8 [B, L], `draws` int64 [B].
    """
    if ids.ndim != 2 or draws.shape != ids.shape[:1]:
        raise ValueError(f"expected ids [B, L] and draws [B], got shapes {ids.shape} and {draws.shape}")
    if not 0 < share <= 1:
        raise ValueError(f"expected a share of letters above 0 and at most 1, got {share}")
    chance = np.empty(ids.shape)
    for row, draw in zip(chance, draws.tolist(), strict=True):
        random_stream(seed, Purpose.MASK, draw).random(out=row)
    # One uniform number decides everything: cut down to the selected, it is uniform again.
    chance /= share
    selected = (chance < 1) & (ids <= vocab.T)
    hidden = selected & (chance < HIDDEN_SHARE)
    replaced = selected & ~hidden & (chance < HIDDEN_SHARE + REPLACED_SHARE)
    inputs = ids.astype(np.int64)
    labels = np.where(selected, inputs, IGNORED)
    inputs[hidden] = vocab.MASK
    inputs[replaced] = (chance[replaced] - HIDDEN_SHARE) * (4 / REPLACED_SHARE)
    return Masked(inputs, labels, hidden)
