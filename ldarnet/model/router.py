"""The router: how likely is a cut between two neighbouring tokens?"""

import math
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldarnet.config import ModelConfig
from ldarnet.model.mixers import uses_cpu_kernels

Comparison = Literal["symmetric", "previous", "current"]


class Routing(NamedTuple):
    """What the router of one stage says, on the tokens of that stage (stage 0: bases).

    `prob[b, t]` is the probability of a cut at t, the junction of tokens t-1 and t; `prob[:, 0]` is 1 by construction
    and no prediction. `cut` is True where a chunk starts (prob > 0.5 where cuts are learned, never on padding). `valid`
    marks the tokens that are not padding; None = all. `unforced` is what the router said before cuts were forced around
    [MASK]; None = nothing was forced. All [batch, tokens]; probabilities are float32.
    """

    prob: Tensor
    cut: Tensor
    valid: Tensor | None
    unforced: Tensor | None = None

    @property
    def raw_prob(self) -> Tensor:
        """The router's own probabilities, with nothing forced."""
        return self.prob if self.unforced is None else self.unforced

    @property
    def confidence(self) -> Tensor:
        """Probability of the decision taken: prob where there is a cut, 1 - prob elsewhere."""
        return torch.where(self.cut, self.prob, 1 - self.prob)

    def among(self, first: int, length: int, valid: Tensor | None) -> Self:
        """The routing of tokens first, first + 1, ... as that of all `length` of them: elsewhere NaN and no cut.

        `valid` is that of all tokens. The given 1 of a first token that is not the sequence's own goes.
        """
        last = length - first - self.prob.shape[1]

        def spread(values: Tensor, elsewhere: float) -> Tensor:
            known = min(first, 1)
            return F.pad(values[:, known:], (first + known, last), value=elsewhere)

        unforced = None if self.unforced is None else spread(self.unforced, math.nan)
        return self._replace(
            prob=spread(self.prob, math.nan), cut=spread(self.cut, False), valid=valid, unforced=unforced
        )


class Router(nn.Module):
    """Cosine dissimilarity of neighbours, in float32.

    Which of two neighbours asks is `comparison`: the former ("previous", goombalab/hnet@3673fe1), the latter
    ("current", arXiv:2601.03019v4), or each in turn ("symmetric", ICML-LDARNet@f247d59).
    """

    def __init__(self, width: int, comparison: Comparison = "symmetric") -> None:
        super().__init__()
        self.comparison = comparison
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.query.weight)
        nn.init.eye_(self.key.weight)

    def forward(self, x: Tensor, valid: Tensor | None, forced: Tensor | None = None) -> Routing:
        """Routing of tokens [B, L, D]; where `forced` [B, L] is True there is a cut, with probability 1."""
        return self.decide(self.probabilities(x), valid, forced)

    def probabilities(self, x: Tensor) -> Tensor:
        """Of a cut before each token of [B, L, D]: [B, L], float32; the first is 1."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            q = F.normalize(F.linear(x, self.query.weight.float()), dim=-1)
            k = F.normalize(F.linear(x, self.key.weight.float()), dim=-1)
            if self.comparison == "previous":
                likeness = (q[:, :-1] * k[:, 1:]).sum(-1)
            elif self.comparison == "current":
                likeness = (q[:, 1:] * k[:, :-1]).sum(-1)
            else:
                likeness = ((q[:, :-1] * k[:, 1:]).sum(-1) + (q[:, 1:] * k[:, :-1]).sum(-1)) / 2
            return F.pad(((1 - likeness) / 2).clamp(0, 1), (1, 0), value=1.0)

    def decide(self, prob: Tensor, valid: Tensor | None, forced: Tensor | None = None) -> Routing:
        """The routing that follows from probabilities [B, L]."""
        unforced = None if forced is None else prob
        if forced is not None:
            prob = torch.where(forced, 1.0, prob)
        cut = prob > 0.5
        return Routing(prob, cut if valid is None else cut & valid, valid, unforced)


def router_fits(x: Tensor, router: Router) -> bool:
    """Whether the compiled kernel serves this router: tracks on CPUs, widths in whole tiles."""
    is_exact = router.query.weight.dtype == torch.float32
    return not torch.is_grad_enabled() and uses_cpu_kernels(x) and is_exact and x.shape[-1] % 16 == 0


class PlacedRouter(Router):
    """Cuts where a rule puts them (`placing`), with probability 1, or (soft) with the one the router gives them.

    Hard cuts leave the weights as they are, unused: the baseline has as many parameters as the model it is compared
    with. Soft ones train them, through smoothing and confidence.
    """

    def __init__(self, width: int, comparison: Comparison = "symmetric", *, is_soft: bool = False) -> None:
        super().__init__(width, comparison)
        self.is_soft = is_soft
        self.requires_grad_(is_soft)

    def forward(self, x: Tensor, valid: Tensor | None, placed: Tensor | None = None) -> Routing:
        """Routing of tokens [B, L, D] with cuts where `placed` [B, L] is True, and nowhere else."""
        assert placed is not None, "a rule says where the cuts are"
        prob = super().forward(x, valid).prob if self.is_soft else placed.float()
        return Routing(prob, placed if valid is None else placed & valid, valid)


def make_router(width: int, config: ModelConfig) -> Router:
    """The router a configuration asks for."""
    if config.cuts == "learned":
        return Router(width, config.router)
    return PlacedRouter(width, config.router, is_soft=config.cut_prob == "router")
