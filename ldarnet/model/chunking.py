"""From tokens to chunks and back: select the token at each cut, and smooth chunk states back onto the tokens."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ldarnet.model.router import Routing

PROB_FLOOR = 1e-4
EMA_BLOCK = 64


class Chunks(NamedTuple):
    """Chunks of a batch, padded on the right to the largest count."""

    hidden: Tensor
    """[batch, chunks, width]: the token at each cut."""
    prob: Tensor
    """[batch, chunks]: the cut's probability."""
    valid: Tensor | None
    """[batch, chunks]; None = every sequence has the same number of chunks."""


def select_chunks(x: Tensor, routing: Routing) -> Chunks:
    """The tokens [B, L, D] at the cuts, in order."""
    counts = routing.cut.sum(1)
    most = int(counts.max())
    order = torch.argsort((~routing.cut).to(torch.uint8), dim=1, stable=True)[:, :most]
    valid = torch.arange(most, device=x.device) < counts[:, None]
    return Chunks(
        hidden=x.gather(1, order[..., None].expand(-1, -1, x.shape[-1])),
        prob=routing.prob.gather(1, order),
        valid=None if bool(valid.all()) else valid,
    )


def spread(chunk_values: Tensor, routing: Routing) -> Tensor:
    """Give every token its chunk's value: [B, chunks, D] -> [B, L, D]; 0 on padding."""
    index = (routing.cut.cumsum(1) - 1).clamp(min=0)
    tokens = chunk_values.gather(1, index[..., None].expand(-1, -1, chunk_values.shape[-1]))
    return tokens if routing.valid is None else tokens * routing.valid[..., None]


def smooth_chunks(z: Tensor, chunks: Chunks) -> Tensor:
    """Mean of the forward and backward moving averages of chunk states [B, M, D], in float32.

    Forward s[j] = p[j] z[j] + (1 - p[j]) s[j-1]; backward the same with s[j+1]; both start from zero, p clamped to
    [1e-4, 1 - 1e-4]. The backward pass gates chunk j by p[j] too (ICML-LDARNet@f247d59).
    """
    with torch.autocast(z.device.type, enabled=False):
        p = chunks.prob.float().clamp(PROB_FLOOR, 1 - PROB_FLOOR)
        z = z.float()
        if chunks.valid is not None:
            z = z * chunks.valid[..., None]
        forward = moving_average(z, p)
        backward = moving_average(z.flip(1), p.flip(1)).flip(1)
        return (forward + backward) / 2


def moving_average_reference(z: Tensor, p: Tensor) -> Tensor:
    """s[j] = p[j] z[j] + (1 - p[j]) s[j-1], s[-1] = 0, one chunk at a time: [B, M, D], [B, M] -> [B, M, D]."""
    state, states = torch.zeros_like(z[:, 0]), []
    for j in range(z.shape[1]):
        state = p[:, j, None] * z[:, j] + (1 - p[:, j, None]) * state
        states.append(state)
    return torch.stack(states, dim=1)


def moving_average(z: Tensor, p: Tensor) -> Tensor:
    """As `moving_average_reference`, by matrix products over blocks of chunks."""
    length = z.shape[1]
    pad = -length % EMA_BLOCK
    # Products of (1 - p) as exponentials of sums of logarithms; the sums run to hundreds, hence float64.
    precise = torch.float32 if z.device.type == "mps" else torch.float64
    log_keep = F.pad(torch.log1p(-p.to(precise)), (0, pad)).unflatten(1, (-1, EMA_BLOCK)).cumsum(2)  # [B, n, t]
    inputs = F.pad(p[..., None] * z, (0, 0, 0, pad)).unflatten(1, (-1, EMA_BLOCK))  # [B, n, t, D]
    causal = torch.ones(EMA_BLOCK, EMA_BLOCK, dtype=torch.bool, device=z.device).tril()
    weights = (log_keep[..., :, None] - log_keep[..., None, :]).masked_fill(~causal, -torch.inf).exp().to(z.dtype)
    within = weights @ inputs
    keep = log_keep.exp().to(z.dtype)
    state, blocks = torch.zeros_like(z[:, 0]), []
    for n in range(within.shape[1]):
        block = within[:, n] + keep[:, n, :, None] * state[:, None]
        blocks.append(block)
        state = block[:, -1]
    return torch.cat(blocks, dim=1)[:, :length]
