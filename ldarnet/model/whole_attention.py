"""Windowed attention with rotary positions in one pass, for tracks on CPUs in float32; `attention` has it step by step.

A stretch of queries meets the keys it can see as products of small matrices; a row of scores stays in the cache
until it has become weights and met the values, so that memory does not grow with the window.
"""

import numpy as np
import torch
from torch import Tensor

from ldarnet.model.attention import LocalAttention, Span
from ldarnet.model.bfloat16_tiles import multiply_pairs, pair_row, pair_rows
from ldarnet.model.cpu_precision import native_bfloat16
from ldarnet.model.jit import kernel, run_in_pieces
from ldarnet.model.mixers import RMSNorm
from ldarnet.model.row_kernels import add_projected, norm_and_project
from ldarnet.model.ssd.steps import address, padded
from ldarnet.model.tiles import BLOCK, multiply, transpose
from ldarnet.model.vector_math import exp

QUERIES_PER_ITEM = 512
_NEW = np.float32(0)
_SAFE = np.float32(60)
"""Scores within this need no largest among them: thousands of exp(60) still add up, and exp(-60) still counts."""


def whole_attention_layer(
    x: Tensor,
    valid: Tensor | None,
    norm: RMSNorm,
    mixer: LocalAttention,
    position: Tensor | None = None,
    span: Span | None = None,
) -> Tensor:
    """x + mixer(norm(x), valid, position) for the residual stream [B, L, D], or a span of it: [B, last - first, D]."""
    first, last = (0, x.shape[1]) if span is None else span
    stream = x[:, first:last]
    to_q, to_kv = mixer.qkv.weight.split([x.shape[-1], 2 * x.shape[-1]])
    q = norm_and_project(stream, norm.weight, to_q).unflatten(-1, (mixer.num_heads, -1))
    kv = norm_and_project(x, norm.weight, to_kv).unflatten(-1, (2, mixer.num_heads, -1))
    turns = mixer.turns(x, position)
    seen = attend(q, kv, turns, valid, mixer.window, causal=mixer.causal, first_query=first)
    return add_projected(stream, seen.flatten(-2), mixer.out_proj.weight)


def attend(
    q: Tensor,
    kv: Tensor,
    turns: tuple[Tensor, Tensor],
    valid: Tensor | None,
    window: int,
    *,
    causal: bool = False,
    first_query: int = 0,
) -> Tensor:
    """Attention of q [B, Q, H, P] to kv [B, L, 2, H, P], as projected: [B, Q, H, P], P a multiple of 16.

    Queries stand at tokens first_query, first_query + 1, ... of the L. `turns` are cosine and sine [L, half] or
    [B, L, half]; `valid` [B, L] with padding on the right; a window below 0 reaches everywhere. Nothing is said about
    the output at padding but that it is finite.
    """
    batch, length, _, num_heads, _ = kv.shape
    lengths = torch.full((batch,), length) if valid is None else valid.sum(1)
    reach = length if window < 0 else min(window, length)
    cos, sin = (t if t.dim() == 3 else t[None] for t in turns)
    out = torch.empty(q.shape)
    arrays = [t.detach().contiguous().numpy() for t in (q.float(), kv.float(), cos.float(), sin.float(), lengths)]
    num_items = batch * num_heads * -(-q.shape[1] // QUERIES_PER_ITEM)
    run_in_pieces(
        _attend, num_items, first_query, native_bfloat16(), *arrays, reach, 0 if causal else reach, out.numpy()
    )
    return out


@kernel()
def _attend(
    first: int,
    last: int,
    first_query: int,
    pairs: bool | None,
    q: np.ndarray,
    kv: np.ndarray,
    cos: np.ndarray,
    sin: np.ndarray,
    lengths: np.ndarray,
    back: int,
    ahead: int,
    out: np.ndarray,
) -> None:
    _, length, _, num_heads, dim = kv.shape
    stretches = (q.shape[1] + QUERIES_PER_ITEM - 1) // QUERIES_PER_ITEM
    most = padded(min(length, QUERIES_PER_ITEM + back + ahead))
    keys = np.zeros((most, dim), dtype=np.float32)
    turned_keys = np.empty((dim, most), dtype=np.float32)
    values = np.zeros((most, dim), dtype=np.float32)
    queries = np.zeros((BLOCK, dim), dtype=np.float32)
    scores = np.empty((BLOCK, most), dtype=np.float32)
    result = np.empty((BLOCK, dim), dtype=np.float32)
    totals = np.empty(BLOCK, dtype=np.float32)
    if pairs is not None:
        key_pairs = np.empty((most, dim // 2), dtype=np.int32)
        turned_pairs = np.empty((dim // 2, most), dtype=np.int32)
        value_pairs = np.empty((most // 2, dim), dtype=np.int32)
        query_pairs = np.empty((BLOCK, dim // 2), dtype=np.int32)
        weight_pairs = np.empty((BLOCK, most // 2), dtype=np.int32)
    scale = np.float32(1) / np.sqrt(np.float32(dim))
    for item in range(first, last):
        b, h = item // stretches // num_heads, item // stretches % num_heads
        start = first_query + item % stretches * QUERIES_PER_ITEM
        end = min(start + QUERIES_PER_ITEM, first_query + q.shape[1])
        # Keys of the stretch: from `low` on, `num_keys` of them, then zeros up to whole tiles.
        low, high = max(0, start - back), min(lengths[b], end + ahead)
        num_keys = max(0, high - low)
        wide = padded(num_keys)
        for j in range(wide):
            if j < num_keys:
                _turn(kv[b, low + j, 0, h], cos, sin, b, low + j, np.float32(1), keys[j])
                for p in range(dim):
                    values[j, p] = kv[b, low + j, 1, h, p]
            else:
                for p in range(dim):
                    keys[j, p] = 0
                    values[j, p] = 0
        longest_key = np.float32(0)
        for j in range(num_keys):
            longest_key = max(longest_key, _length(keys[j]))
        if pairs is None:
            transpose(address(turned_keys), most, address(keys), dim, wide, dim)
        else:
            pair_row(address(keys), wide * dim, address(key_pairs))
            for j in range(wide):  # pairs come in eights, which is too few for `transpose`
                for p in range(dim // 2):
                    turned_pairs[p, j] = key_pairs[j, p]
            pair_rows(address(values), dim, wide, dim, address(value_pairs))
        for query in range(start, end, BLOCK):
            num = min(BLOCK, end - query)
            for i in range(num):
                _turn(q[b, query + i - first_query, h], cos, sin, b, query + i, scale, queries[i])
            from_key = max(0, query - back - low) // BLOCK * BLOCK
            to_key = min(wide, padded(max(0, query + num + ahead - low)))
            width = to_key - from_key
            at_scores, at_result = address(scores), address(result)
            if pairs is None:
                at_keys = address(turned_keys) + 4 * from_key
                multiply(at_scores, most, BLOCK, width, address(queries), dim, 1, at_keys, most, dim, _NEW)
            else:
                at_keys, half = address(turned_pairs) + 4 * from_key, dim // 2
                pair_row(address(queries), BLOCK * dim, address(query_pairs))
                multiply_pairs(at_scores, most, BLOCK, width, address(query_pairs), half, 1, at_keys, most, half, _NEW)
            for i in range(num):
                t = query + i
                seen_from = max(0, t - back - low - from_key)
                seen_to = max(seen_from, min(num_keys, t + ahead + 1 - low) - from_key)
                row = scores[i]
                row[:seen_from] = 0
                totals[i] = _weigh(row[seen_from:seen_to], _length(queries[i]) * longest_key)
                row[seen_to:width] = 0
            if pairs is None:
                at_values = address(values) + 4 * from_key * dim
                multiply(at_result, dim, BLOCK, dim, at_scores, most, 1, at_values, dim, width, _NEW)
            else:
                at_values, half = address(value_pairs) + 2 * from_key * dim, most // 2
                for i in range(BLOCK):
                    pair_row(at_scores + 4 * i * most, width, address(weight_pairs) + 4 * i * half)
                multiply_pairs(
                    at_result, dim, BLOCK, dim, address(weight_pairs), half, 1, at_values, dim, width // 2, _NEW
                )
            for i in range(num):
                for p in range(dim):
                    out[b, query + i - first_query, h, p] = result[i, p] * totals[i]


@kernel(inline=True)
def _turn(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, b: int, t: int, scale: np.float32, out: np.ndarray) -> None:
    """out = scale * x, its first numbers turned by the position's angles: halves paired."""
    row = b if cos.shape[0] > 1 else 0
    half = cos.shape[2]
    for p in range(half):
        out[p] = scale * (x[p] * cos[row, t, p] - x[half + p] * sin[row, t, p])
    for p in range(half):
        out[half + p] = scale * (x[half + p] * cos[row, t, p] + x[p] * sin[row, t, p])
    for p in range(2 * half, x.shape[0]):
        out[p] = scale * x[p]


@kernel(inline=True)
def _weigh(row: np.ndarray, bound: np.float32) -> np.float32:
    """Scores, none beyond +-`bound`, become weights but for a factor; returns 1 / their sum, 0 where there are none.

    The caller hands over a slice: loops from 0 on vectorise, loops that start elsewhere do not.
    """
    num = row.shape[0]
    if num == 0:
        return np.float32(0)
    reference = np.float32(0)
    if bound > _SAFE:  # exp may leave the range of float32: measure from the largest
        reference = row[0]
        for j in range(num):
            reference = max(reference, row[j])
    total = np.float32(0)
    for j in range(num):
        weight = exp(row[j] - reference)
        row[j] = weight
        total += weight
    return np.float32(1) / total


@kernel(inline=True)
def _length(row: np.ndarray) -> np.float32:
    squares = np.float32(0)
    for p in range(row.shape[0]):
        squares += row[p] * row[p]
    return np.sqrt(squares)
