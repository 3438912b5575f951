"""From tokens to chunks and back: one vector per chunk, and chunk states smoothed back onto the tokens."""

from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ldarnet.model.router import Routing

PROB_FLOOR = 1e-4
EMA_BLOCK = 64


class Tokens(NamedTuple):
    """What is known of the tokens of a stage besides their vectors, each [batch, tokens]; None = not asked for."""

    valid: Tensor | None = None
    """False on padding; None = there is none."""
    has_mask: Tensor | None = None
    """Whether a [MASK] is in the token."""
    start_bp: Tensor | None = None
    end_bp: Tensor | None = None
    """The bases a token spans, the end not included."""
    digest: Tensor | None = None
    """A number for the letters up to the token's first: what random cuts are drawn from."""
    starts: Tensor | None = None
    """Where chunks start, if the letters decide on that."""

    @property
    def centre_bp(self) -> Tensor | None:
        """The middle of each token, in bases from the start of the sequence: the centre of a base is its index."""
        if self.start_bp is None or self.end_bp is None:
            return None
        return (self.start_bp + self.end_bp - 1) / 2

    def around_masks(self) -> Tensor | None:
        """True where a token with a [MASK] starts, and where one has just ended."""
        return None if self.has_mask is None else self.has_mask | F.pad(self.has_mask[:, :-1], (1, 0))

    def of_chunks(self, chunks: "Chunks", routing: Routing) -> Self:
        """The same about the chunks of these tokens."""
        num = chunks.prob.shape[1]
        return self._replace(
            valid=chunks.valid,
            has_mask=None if self.has_mask is None else _most_in_chunk(self.has_mask.byte(), routing, num) > 0,
            start_bp=None if self.start_bp is None else self.start_bp.gather(1, chunks.first),
            end_bp=None if self.end_bp is None else _most_in_chunk(self.end_bp, routing, num),
            digest=None if self.digest is None else self.digest.gather(1, chunks.first),
            starts=None,
        )


class Chunks(NamedTuple):
    """Chunks of a batch, padded on the right to the largest count."""

    hidden: Tensor
    """[batch, chunks, width]: the token at each cut, or the mean of each chunk's tokens."""
    prob: Tensor
    """[batch, chunks]: the cut's probability."""
    valid: Tensor | None
    """[batch, chunks]; None = every sequence has the same number of chunks."""
    first: Tensor
    """[batch, chunks]: where the chunk's first token stands among the tokens."""


def make_chunks(x: Tensor, routing: Routing, chunking: Literal["select", "mean"] = "select") -> Chunks:
    """The chunks of tokens [B, L, D], in order."""
    counts = routing.cut.sum(1)
    most = int(counts.max())
    order = torch.argsort((~routing.cut).to(torch.uint8), dim=1, stable=True)[:, :most]
    valid = torch.arange(most, device=x.device) < counts[:, None]
    hidden = _mean_of_chunks(x, routing, most) if chunking == "mean" else x.gather(1, _across(order, x))
    return Chunks(hidden, routing.prob.gather(1, order), None if bool(valid.all()) else valid, order)


def _mean_of_chunks(x: Tensor, routing: Routing, num_chunks: int) -> Tensor:
    weight = torch.ones_like(x[..., 0]) if routing.valid is None else routing.valid.to(x.dtype)
    index = chunk_index(routing)
    sums = x.new_zeros(len(x), num_chunks, x.shape[-1]).scatter_add(1, _across(index, x), x * weight[..., None])
    counts = weight.new_zeros(len(x), num_chunks).scatter_add(1, index, weight)
    return sums / counts.clamp(min=1)[..., None]


def _most_in_chunk(values: Tensor, routing: Routing, num_chunks: int) -> Tensor:
    """The largest of a chunk's values, which are 0 or more: [B, L] -> [B, chunks]."""
    if routing.valid is not None:
        values = values * routing.valid
    most = values.new_zeros(len(values), num_chunks)
    return most.scatter_reduce(1, chunk_index(routing), values, "amax")


def _across(index: Tensor, x: Tensor) -> Tensor:
    """[B, n] -> [B, n, D]: one index for all numbers of a vector."""
    return index[..., None].expand(-1, -1, x.shape[-1])


def chunk_index(routing: Routing) -> Tensor:
    """[B, L]: the number of the chunk each token is in; padding counts to the last."""
    return (routing.cut.cumsum(1) - 1).clamp(min=0)


def spread(chunk_values: Tensor, routing: Routing) -> Tensor:
    """Give every token its chunk's value: [B, chunks, D] -> [B, L, D]; 0 on padding."""
    tokens = chunk_values.gather(1, _across(chunk_index(routing), chunk_values))
    return tokens if routing.valid is None else tokens * routing.valid[..., None]


def smooth(z: Tensor, prob: Tensor, valid: Tensor | None, *, causal: bool = False) -> Tensor:
    """Mean of the forward and backward moving averages of states [B, M, D], in float32; causal: the forward one.

    Forward s[j] = p[j] z[j] + (1 - p[j]) s[j-1]; backward the same with s[j+1]; both start from zero, p clamped to
    [1e-4, 1 - 1e-4]. The backward pass gates state j by p[j] too (ICML-LDARNet@f247d59).
    """
    with torch.autocast(z.device.type, enabled=False):
        p = prob.float().clamp(PROB_FLOOR, 1 - PROB_FLOOR)
        z = z.float()
        if valid is not None:
            z = z * valid[..., None]
        forward = moving_average(z, p)
        if causal:
            return forward
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
