"""The two terms of the training objective: letters, masked or next, and how often the router cuts."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ldarnet.model.router import Routing

IGNORED = -100
RATIO_WEIGHT = 0.03


def letter_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy in nats of logits [B, L, vocab] where labels [B, L] are not -100.

    With weights [B, L], the weighted mean; 0 where there is no label, as small micro-batches may have none. Labels
    stand where the model says them: those of a causal model are the letters one further on.
    """
    flat_logits, flat_labels = logits.float().flatten(0, 1), labels.flatten().long()
    has_label = flat_labels != IGNORED
    if weights is None:
        total = F.cross_entropy(flat_logits, flat_labels, ignore_index=IGNORED, reduction="sum")
        return total / has_label.sum().clamp(min=1)
    losses = F.cross_entropy(flat_logits, flat_labels, ignore_index=IGNORED, reduction="none")
    counted = weights.flatten() * has_label
    weight = counted.sum()
    return (losses * counted).sum() / torch.where(weight > 0, weight, 1)


class CutShares(NamedTuple):
    """Share of a stage's tokens that are cut, and mean probability of a cut: the F and G of the ratio loss."""

    cut: Tensor
    prob: Tensor


def cut_shares(routing: Routing, *, with_forced: bool = False) -> CutShares:
    """F and G over the valid tokens of the whole batch, the first token of every sequence included.

    Tokens around [MASK] whose cut was forced are left out unless asked for: there the router hardly ever cuts by
    itself, so that its rate elsewhere, which is that of sequences without [MASK], would come out too high.
    """
    counted = routing.valid if with_forced else free_tokens(routing)
    if counted is None:
        return CutShares(routing.cut.float().mean(), routing.prob.mean())
    num_tokens = counted.sum()
    return CutShares((routing.cut & counted).sum() / num_tokens, (routing.prob * counted).sum() / num_tokens)


def free_tokens(routing: Routing) -> Tensor | None:
    """bool [batch, tokens]: valid, and cut or not by the router alone; None = all of them."""
    if routing.unforced is None:
        return routing.valid
    is_free = routing.prob == routing.unforced
    return is_free if routing.valid is None else is_free & routing.valid


def ratio_loss(routing: Routing, target_tokens_per_chunk: float, *, with_forced: bool = False) -> Tensor:
    """H-Net's ratio loss, 1 when cuts come every `target_tokens_per_chunk` tokens (arXiv:2507.07955, eq. 10).

    N/(N-1) * ((N-1) F G + (1-F)(1-G)), with the `cut_shares` F and G. The gradient flows through G alone.
    """
    if target_tokens_per_chunk <= 1:
        raise ValueError(f"expected a target above 1 token per chunk, got {target_tokens_per_chunk}")
    cut_share, mean_prob = cut_shares(routing, with_forced=with_forced)
    n = target_tokens_per_chunk
    return n / (n - 1) * ((n - 1) * cut_share * mean_prob + (1 - cut_share) * (1 - mean_prob))


def total_loss(
    logits: Tensor,
    labels: Tensor,
    routing: Sequence[Routing],
    targets: Sequence[float],
    weight: float = RATIO_WEIGHT,
) -> Tensor:
    """letter_loss + weight * sum of ratio losses, one target per stage."""
    ratios = [ratio_loss(r, n) for r, n in zip(routing, targets, strict=True)]
    return letter_loss(logits, labels) + weight * torch.stack(ratios).sum()
