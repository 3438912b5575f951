"""The router: how likely is a cut between two neighbouring tokens?"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldarnet.config import ModelConfig


class Routing(NamedTuple):
    """What the router of one stage says, on the tokens of that stage (stage 0: bases).

    `prob[b, t]` is the probability of a cut at t, the junction of tokens t-1 and t; `prob[:, 0]` is 1 by construction
    and no prediction. `cut` is True where a chunk starts (prob > 0.5, never on padding). `valid` marks the tokens
    that are not padding; None = all. All [batch, tokens]; prob is float32.
    """

    prob: Tensor
    cut: Tensor
    valid: Tensor | None

    @property
    def confidence(self) -> Tensor:
        """Probability of the decision taken: prob where there is a cut, 1 - prob elsewhere."""
        return torch.where(self.prob > 0.5, self.prob, 1 - self.prob)


class Router(nn.Module):
    """Cosine dissimilarity of neighbours, both ways round (ICML-LDARNet@f247d59, symmetric router), in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.query.weight)
        nn.init.eye_(self.key.weight)

    def forward(self, x: Tensor, valid: Tensor | None) -> Routing:
        """Routing of tokens [B, L, D]."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            q = F.normalize(F.linear(x, self.query.weight.float()), dim=-1)
            k = F.normalize(F.linear(x, self.key.weight.float()), dim=-1)
            likeness = ((q[:, :-1] * k[:, 1:]).sum(-1) + (q[:, 1:] * k[:, :-1]).sum(-1)) / 2
            prob = F.pad(((1 - likeness) / 2).clamp(0, 1), (1, 0), value=1.0)
        cut = prob > 0.5
        return Routing(prob, cut if valid is None else cut & valid, valid)


class FixedRouter(Router):
    """A cut every `cut_every` tokens, with probability 1; its weights stay as they are, unused.

    They are kept so that the baseline has as many parameters as the model it is compared with.
    """

    def __init__(self, width: int, cut_every: int) -> None:
        super().__init__(width)
        self.cut_every = cut_every
        self.requires_grad_(False)

    def forward(self, x: Tensor, valid: Tensor | None) -> Routing:
        """Routing of tokens [B, L, D]."""
        prob = (torch.arange(x.shape[1], device=x.device) % self.cut_every == 0).float().expand(x.shape[:2])
        cut = prob > 0.5
        return Routing(prob, cut if valid is None else cut & valid, valid)


def make_router(width: int, config: ModelConfig) -> Router:
    """The router a configuration asks for."""
    return Router(width) if config.cuts == "learned" else FixedRouter(width, config.cut_every)
