"""Pooled states and scores of sequences, in the order they were given."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ldarnet.devices import pick_device
from ldarnet.finetune.examples import Examples, batches_by_length
from ldarnet.finetune.head import Head
from ldarnet.finetune.settings import FineTuneSettings
from ldarnet.model import LDARNet

TEST_TOKENS = {"cpu": 1 << 15}
MANY_TOKENS = 1 << 18
"""Bases that go through a body together where no gradients are kept."""


class HasHead(Protocol):
    """What scores are made with."""

    @property
    def model(self) -> LDARNet:
        """The body."""

    @property
    def head(self) -> Head:
        """The head."""

    @property
    def settings(self) -> FineTuneSettings:
        """How both are run."""


def pool(model: LDARNet, ids: Tensor, lengths: Tensor) -> Tensor:
    """Mean of the last hidden states over the bases of each sequence: ids [B, L], lengths [B] -> [B, width]."""
    valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
    hidden = model(ids, valid).last_hidden_state.float()
    return (hidden * valid[..., None]).sum(1) / lengths[:, None]


def pooled_states(model: LDARNet, examples: Examples, settings: FineTuneSettings) -> np.ndarray:
    """Pooled states float32 [n, width]; what a fixed body gives, whatever is trained on it."""
    return in_batches(model, examples, settings, lambda states: states)


def predict(fitted: HasHead, examples: Examples) -> np.ndarray:
    """Scores float32 [n, k] of sequences, see `Head.scores`; the mean of both strands where settings ask for it."""
    strands = [examples]
    if fitted.settings.reverse_complement_at_test:
        strands.append(examples.reverse_complement())
    head = fitted.head
    scores = [
        in_batches(fitted.model, strand, fitted.settings, lambda states: head.scores(head(states)))
        for strand in strands
    ]
    return np.stack(scores).mean(0)


def on_device(examples: Examples, index: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids [B, longest] and lengths [B] of some of them."""
    lengths = examples.lengths[index]
    ids = examples.ids[index, : int(lengths.max())]
    return torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)


def autocast(settings: FineTuneSettings, device: torch.device) -> torch.autocast:
    """Arithmetic of a body as settings ask for it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.dtype == "bfloat16")


@torch.no_grad()
def in_batches(
    model: LDARNet, examples: Examples, settings: FineTuneSettings, finish: Callable[[Tensor], Tensor]
) -> np.ndarray:
    """What `finish` makes of pooled states [B, width], float32 [n, k] in the order of the examples, without gradients.

    The body is moved to the device that settings name.
    """
    device = pick_device(settings.device)
    model.to(device)
    rows: list[np.ndarray] = []
    batches = batches_by_length(examples.lengths, TEST_TOKENS.get(device.type, MANY_TOKENS))
    for index in batches:
        with autocast(settings, device):
            states = pool(model, *on_device(examples, index, device))
        rows.append(finish(states).float().cpu().numpy())
    out = np.empty((len(examples.lengths), rows[0].shape[1]), dtype=np.float32)
    out[np.concatenate(batches)] = np.concatenate(rows)
    return out
