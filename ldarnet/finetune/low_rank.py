"""Low-rank changes of linear layers (LoRA, arXiv:2106.09685), and their addition to the weights in the end."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ldarnet.model import LDARNet
from ldarnet.model.router import Router

ALPHA = 16.0
"""The change is scaled by this over its rank, so that the learning rate need not follow the rank."""


class LowRank(nn.Module):
    """weight -> weight + alpha / rank * up @ down; no change at first."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        down = torch.randn(rank, columns, generator=generator) / columns**0.5
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))
        self.scale = ALPHA / rank

    def forward(self, weight: Tensor) -> Tensor:
        """[rows, columns] -> the same shape."""
        return weight + (self.scale * (self.up @ self.down)).to(weight.dtype)


def add_low_rank(model: LDARNet, rank: int, seed: int) -> None:
    """Freeze a model, and give every linear layer outside its routers a low-rank change that can be trained.

    A router compares neighbours by the states it is given; it follows what the encoder learns.
    """
    model.requires_grad_(False)
    in_routers = {id(layer) for each in model.modules() if isinstance(each, Router) for layer in each.modules()}
    generator = torch.Generator().manual_seed(seed)
    for layer in [each for each in model.stage.modules() if isinstance(each, nn.Linear)]:
        if id(layer) not in in_routers:
            change = LowRank(layer.weight, min(rank, *layer.weight.shape), generator)
            parametrize.register_parametrization(layer, "weight", change)


def merge_low_rank(model: LDARNet) -> None:
    """Make the changes part of the weights: the model is then an ordinary one again."""
    for layer in [each for each in model.modules() if parametrize.is_parametrized(each, "weight")]:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
