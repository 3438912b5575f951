"""A linear head on pooled states: outputs, loss, scores."""

from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldarnet.finetune.settings import Task

INIT_STD = 0.02
TASKS: tuple[Task, ...] = get_args(Task)


class Head(nn.Module):
    """One linear layer; a regression is done in units of the training labels' mean and deviation."""

    label_mean: Tensor
    label_scale: Tensor

    def __init__(self, width: int, num_outputs: int, task: Task, *, seed: int = 0) -> None:
        super().__init__()
        self.task = task
        self.linear = nn.Linear(width, num_outputs)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(seed)
            self.linear.weight.normal_(std=INIT_STD, generator=generator)
            self.linear.bias.zero_()
        self.register_buffer("label_mean", torch.zeros(()))
        self.register_buffer("label_scale", torch.ones(()))

    def measure(self, labels: np.ndarray) -> None:
        """Take the units of a regression from its training labels."""
        if self.task == "regression":
            scale = float(np.std(labels))
            if not scale > 0:
                raise ValueError("regression: all training labels are the same; expected labels that differ")
            self.label_mean.fill_(float(np.mean(labels)))
            self.label_scale.fill_(scale)

    def forward(self, states: Tensor) -> Tensor:
        """[B, width] -> outputs [B, k] in float32: logits, or values in units of the training labels."""
        with torch.autocast(states.device.type, enabled=False):
            return self.linear(states.float())

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss per sequence: cross-entropy, its binary kind over all labels, or squared error."""
        if self.task == "classification":
            return F.cross_entropy(outputs, labels.long())
        if self.task == "multilabel":
            return F.binary_cross_entropy_with_logits(outputs, labels.float())
        return F.mse_loss(outputs[:, 0], (labels.float() - self.label_mean) / self.label_scale)

    def scores(self, outputs: Tensor) -> Tensor:
        """Probabilities [B, classes] (of labels, each by itself), or values of a regression [B, 1] in its own units."""
        if self.task == "classification":
            return outputs.softmax(-1)
        if self.task == "multilabel":
            return outputs.sigmoid()
        return outputs * self.label_scale + self.label_mean

    @torch.no_grad()
    def scores_of(self, states: np.ndarray) -> np.ndarray:
        """Scores float32 [n, k] of pooled states [n, width]."""
        device = self.linear.weight.device
        return self.scores(self(torch.from_numpy(states).to(device))).cpu().numpy()
