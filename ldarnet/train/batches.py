"""Batches of examples for the loop, made one step ahead on a thread of their own."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ldarnet.train.draws import Draws, Windows
from ldarnet.train.examples import Examples


class MicroBatch(NamedTuple):
    """What one forward pass sees."""

    inputs: Tensor
    """ids [B, L], with hidden letters replaced where letters are masked."""
    labels: Tensor
    """ids [B, L] where a letter is to be predicted, -100 elsewhere."""
    draws: np.ndarray
    """Global numbers of the windows [B]: with the seed, they determine the batch."""
    weights: Tensor | None
    """float32 [B, L]: how much each label counts; None = all the same."""


class StepBatches(NamedTuple):
    """The micro-batches of one optimiser step, and where the draws stand after them."""

    micro: list[MicroBatch]
    draws_state: dict[str, Any]


class Batches:
    """Micro-batches of this rank, step after step; to be closed. `make` turns windows into examples."""

    def __init__(self, draws: Draws, *, num_windows: int, num_micro: int, make: Callable[[Windows], Examples]) -> None:
        self._draws, self._num_windows, self._num_micro, self._make_examples = draws, num_windows, num_micro, make
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
            inputs, labels, weights = self._make_examples(windows)
            weighed = None if weights is None else torch.from_numpy(weights)
            micro.append(MicroBatch(torch.from_numpy(inputs), torch.from_numpy(labels), windows.draws, weighed))
        return StepBatches(micro, self._draws.state())
