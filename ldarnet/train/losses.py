"""The two terms of the training objective: masked letters, and how often the router cuts."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ldarnet.model.router import Routing

IGNORED = -100
RATIO_WEIGHT = 0.03


def masked_letter_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats of logits [B, L, vocab] where labels [B, L] are not -100."""
    return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten().long(), ignore_index=IGNORED)


def ratio_loss(routing: Routing, target_tokens_per_chunk: float) -> Tensor:
    """H-Net's ratio loss, 1 when cuts come every `target_tokens_per_chunk` tokens (arXiv:2507.07955, eq. 10).

    N/(N-1) * ((N-1) F G + (1-F)(1-G)): F the share of cuts and G the mean probability over the valid tokens of the
    whole batch, the forced first token included. The gradient flows through G alone.
    """
    if target_tokens_per_chunk <= 1:
        raise ValueError(f"expected a target above 1 token per chunk, got {target_tokens_per_chunk}")
    valid = torch.ones_like(routing.cut) if routing.valid is None else routing.valid
    num_tokens = valid.sum()
    cut_share = (routing.cut & valid).sum() / num_tokens
    mean_prob = (routing.prob * valid).sum() / num_tokens
    n = target_tokens_per_chunk
    return n / (n - 1) * ((n - 1) * cut_share * mean_prob + (1 - cut_share) * (1 - mean_prob))


def total_loss(
    logits: Tensor,
    labels: Tensor,
    routing: Sequence[Routing],
    targets: Sequence[float],
    weight: float = RATIO_WEIGHT,
) -> Tensor:
    """masked_letter_loss + weight * sum of ratio losses, one target per stage."""
    ratios = [ratio_loss(r, n) for r, n in zip(routing, targets, strict=True)]
    return masked_letter_loss(logits, labels) + weight * torch.stack(ratios).sum()
