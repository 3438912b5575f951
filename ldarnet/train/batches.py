"""Masked batches for the loop, made one step ahead on a thread of their own."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ldarnet.train.draws import Draws
from ldarnet.train.masking import mask_letters


class MicroBatch(NamedTuple):
    """What one forward pass sees."""

    inputs: Tensor
    """ids [B, L] with the hidden letters replaced."""
    labels: Tensor
    """ids [B, L] where a letter is to be predicted, -100 elsewhere."""
    draws: np.ndarray
    """Global numbers of the windows [B]: with the seed, they determine the batch."""


class StepBatches(NamedTuple):
    """The micro-batches of one optimiser step, and where the draws stand after them."""

    micro: list[MicroBatch]
    draws_state: dict[str, Any]


class Batches:
    """Micro-batches of this rank, step after step; to be closed."""

    def __init__(self, draws: Draws, *, num_windows: int, num_micro: int, seed: int, mask_share: float) -> None:
        self._draws, self._num_windows, self._num_micro = draws, num_windows, num_micro
        self._seed, self._mask_share = seed, mask_share
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ldarnet-batches")
        self._next: Future[StepBatches] | None = None

    def take(self) -> StepBatches:
        """The batches of the next step; those after it begin to be made."""
        ready = self._make() if self._next is None else self._next.result()
        self._next = self._pool.submit(self._make)
        return ready

    def close(self) -> None:
        """Stop making batches."""
        self._pool.shutdown(cancel_futures=True)

    def _make(self) -> StepBatches:
        micro = []
        for _ in range(self._num_micro):
            windows = self._draws.take(self._num_windows)
            masked = mask_letters(windows.ids, windows.draws, self._seed, self._mask_share)
            micro.append(MicroBatch(torch.from_numpy(masked.inputs), torch.from_numpy(masked.labels), windows.draws))
        return StepBatches(micro, self._draws.state())
