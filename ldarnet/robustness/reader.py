"""A model as a reader of many windows of equal length."""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch

from ldarnet import vocab
from ldarnet.boundaries import DTYPES
from ldarnet.model import LDARNet
from ldarnet.model.ldarnet import Padding
from ldarnet.tracks import CUT_THRESHOLD


class Reading(NamedTuple):
    """Cuts 1..length-1 of windows: [num_windows, length - 1], cut c at index c - 1. Cut 0 is given, not read.

    It is what the model does by itself: cuts that it forces around [MASK] do not count, in `prob` neither.
    """

    prob: np.ndarray
    """float32: the probability of a cut."""
    cut: np.ndarray
    """bool: whether there is one; where cuts are learned, where `prob` is above 0.5."""


class Reader:
    """Reads windows with the router of a model's outermost stage."""

    def __init__(self, model: LDARNet) -> None:
        self.model = model
        self._device = next(model.parameters()).device

    def read(
        self, ids: np.ndarray, *, dtype: str = "float32", num_padding: int = 0, padding: Padding | None = None
    ) -> Reading:
        """The cuts of windows, uint8 [num_windows, length], read together.

        `num_padding` letters are put behind every window; `padding` is the model's own unless given.
        """
        length = ids.shape[1]
        padded = np.pad(ids, ((0, 0), (0, num_padding)), constant_values=vocab.PAD)
        tokens = torch.from_numpy(padded).to(self._device)
        valid = torch.arange(length + num_padding, device=self._device).expand(tokens.shape) < length
        own = self.model.padding
        self.model.padding = own if padding is None else padding
        try:
            with torch.inference_mode(), self._precision(dtype):
                routing = self.model.boundaries(tokens, valid, max_stages=1).routing[0]
        finally:
            self.model.padding = own
        prob = routing.raw_prob.float().cpu().numpy()[:, 1:length]
        if routing.unforced is not None:
            return Reading(prob, prob > CUT_THRESHOLD)
        # What a rule puts on a grid, or draws, need not be where the router's probability is high.
        return Reading(prob, routing.cut.cpu().numpy()[:, 1:length])

    def _precision(self, dtype: str) -> AbstractContextManager[object]:
        return nullcontext() if dtype == "float32" else torch.autocast(self._device.type, DTYPES[dtype])
