"""Local self-attention with rotary positions: each base attends to its neighbours within a window."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldarnet.model.cpu_precision import native_bfloat16
from ldarnet.model.mixers import uses_cpu_kernels

ROTARY_BASE = 10_000.0
QUERY_BLOCK = 512
"""Queries share one gathered stretch of keys in blocks of this many."""
Span = tuple[int, int]
"""The tokens first..last-1 of every sequence."""
FULL_MASK_UP_TO = 1024
"""Up to this length one length x length mask is cheaper than blocks."""


class LocalAttention(nn.Module):
    """Multi-head self-attention within a window to either side (-1 = everywhere), no biases; causal: backwards only."""

    def __init__(self, width: int, num_heads: int, rotary_dim: int, window: int, *, causal: bool = False) -> None:
        super().__init__()
        self.num_heads, self.rotary_dim, self.window, self.causal = num_heads, rotary_dim, window, causal
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out_proj = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, valid: Tensor | None, position: Tensor | None = None, span: Span | None = None
    ) -> Tensor:
        """[B, L, D] -> [B, L, D]; keys where `valid` [B, L] is False are never attended to.

        `position` [B, L] is where each token stands; None = at its index. With a span, the output is that of these
        tokens alone, which still attend to all.
        """
        first, last = (0, x.shape[1]) if span is None else span
        turns = self.turns(x, position)
        if self.fits_cpu_kernel(x):
            from ldarnet.model.whole_attention import attend  # numba, which GPU runs do not pay for

            to_q, to_kv = self.qkv.weight.split([x.shape[-1], 2 * x.shape[-1]])
            q = F.linear(x[:, first:last], to_q).unflatten(-1, (self.num_heads, -1))
            kv = F.linear(x, to_kv).unflatten(-1, (2, self.num_heads, -1))
            seen = attend(q, kv, turns, valid, self.window, causal=self.causal, first_query=first)
            return self.out_proj(seen.flatten(-2))
        q, k, v = self.project(x)
        q, k = rotate(q, turns), rotate(k, turns)
        q, k, v = (t.transpose(1, 2) for t in (q[:, first:last], k, v))
        # Causal: padding is on the right, so that no base looks at it.
        seen_keys = None if self.causal else valid
        seen = windowed_attention(q, k, v, self.window, seen_keys, causal=self.causal, first_query=first)
        return self.out_proj(seen.transpose(1, 2).flatten(-2))

    def turns(self, x: Tensor, position: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the tokens of x [B, L, D], by index or by `position` [B, L]."""
        if position is None:
            return rotary_turns(x.shape[1], self.rotary_dim, x.device)
        return turns_at(position, self.rotary_dim)

    def fits_cpu_kernel(self, x: Tensor) -> bool:
        """Whether one compiled pass may do it all: tracks on CPUs, heads in whole tiles."""
        if torch.is_grad_enabled() or not uses_cpu_kernels(x):
            return False
        if torch.is_autocast_enabled("cpu") and not native_bfloat16():
            return False
        return self.qkv.weight.dtype == torch.float32 and x.shape[-1] // self.num_heads % 16 == 0

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of tokens [B, L, D], each [B, L, H, P], before they are turned."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(2)
        return q, k, v


def windowed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int,
    valid: Tensor | None,
    *,
    causal: bool = False,
    first_query: int = 0,
) -> Tensor:
    """Softmax attention of q [B, H, Q, P] to keys and values [B, H, L, P] at most `window` apart: [B, H, Q, P].

    Queries stand at keys first_query, first_query + 1, ... Memory grows with Q x window, not Q x L. `valid` [B, L]
    marks the keys that count. Causal: those after the query do not, and padding on the right needs no `valid`.
    """
    num_queries, length = q.shape[2], k.shape[2]
    if window < 0 or window >= length - 1:
        if causal and num_queries == length:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        if not causal:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=_key_mask(valid))
        window = length
    ahead = 0 if causal else window
    if length <= FULL_MASK_UP_TO:
        mask = _band(num_queries, length, first_query, window, ahead, q.device)
        if valid is not None:
            mask = mask & valid[:, None, None, :] | _band(num_queries, length, first_query, 0, 0, q.device)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return _in_blocks(q, k, v, window, ahead, valid, first_query)


def _in_blocks(
    q: Tensor, k: Tensor, v: Tensor, back: int, ahead: int, valid: Tensor | None, first_query: int
) -> Tensor:
    """Queries in blocks, each against the keys that some query of the block can see."""
    length, last_query = k.shape[2], first_query + q.shape[2]
    outputs = []
    for start in range(first_query, last_query, QUERY_BLOCK):
        end = min(start + QUERY_BLOCK, last_query)
        low, high = max(start - back, 0), min(end + ahead, length)
        mask = _band(end - start, high - low, start - low, back, ahead, q.device)
        if valid is not None:
            mask = mask & valid[:, None, None, low:high]
            # A query always sees itself, so that the rows of padding stay finite.
            mask = mask | _band(end - start, high - low, start - low, 0, 0, q.device)
        keys, values = k[:, :, low:high], v[:, :, low:high]
        outputs.append(
            F.scaled_dot_product_attention(
                q[:, :, start - first_query : end - first_query], keys, values, attn_mask=mask
            )
        )
    return torch.cat(outputs, dim=2)


@lru_cache(maxsize=16)
def _band(num_queries: int, num_keys: int, offset: int, back: int, ahead: int, device: torch.device) -> Tensor:
    """bool [queries, keys]: is key j at most `back` before, `ahead` after query i, which stands at key i + offset?"""
    with torch.inference_mode(False):  # kept for later calls, which may need gradients
        queries = torch.arange(num_queries, device=device) + offset
        distance = torch.arange(num_keys, device=device) - queries[:, None]
        return (distance >= -back) & (distance <= ahead)


def _key_mask(valid: Tensor | None) -> Tensor | None:
    return None if valid is None else valid[:, None, None, :]


@lru_cache(maxsize=16)
def rotary_turns(length: int, dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of position times frequency: each float32 [L, dim / 2]."""
    with torch.inference_mode(False):  # kept for later calls, which may need gradients
        return turns_at(torch.arange(length, device=device), dim)


def turns_at(position: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The same for any positions [...]: each float32 [..., dim / 2]."""
    frequency = ROTARY_BASE ** (-torch.arange(0, dim, 2, device=position.device, dtype=torch.float32) / dim)
    angles = position.float()[..., None] * frequency
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions on the first `dim` numbers of each head of [B, L, H, P]: halves paired, not interleaved.

    Turns are those of positions [L], shared by the batch, or [B, L].
    """
    half = turns[0].shape[-1]
    if half == 0:
        return x
    cos, sin = (t.unsqueeze(-2).to(x.dtype) for t in turns)
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], dim=-1)
