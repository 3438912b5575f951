"""Attention of tracks on CPUs in one compiled pass, against the same attention step by step."""

import pytest
import torch

from ldarnet.model.attention import LocalAttention, rotary_turns, turns_at
from ldarnet.model.ssd import use_backend
from ldarnet.model.whole_attention import QUERIES_PER_ITEM, attend

# length, window, causal, heads, numbers per head, rotary
SHAPES = [
    (1, 4, False, 1, 16, 8),
    (33, 5, True, 1, 16, 0),
    (100, 7, False, 3, 16, 8),
    (512, 1023, False, 2, 32, 32),
    (QUERIES_PER_ITEM + 70, -1, False, 1, 48, 32),
    (2 * QUERIES_PER_ITEM + 3, 100, True, 2, 32, 32),
    (2 * QUERIES_PER_ITEM + 3, 600, False, 1, 32, 32),
]


def module(heads, dim, rotary, window, causal):
    torch.manual_seed(heads)
    return LocalAttention(heads * dim, heads, rotary, window, causal=causal)


def projected(attention, x):
    """Queries [B, L, H, P], keys and values [B, L, 2, H, P]."""
    qkv = attention.qkv(x).unflatten(-1, (3, attention.num_heads, -1))
    return qkv[:, :, 0], qkv[:, :, 1:]


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize(("length", "window", "causal", "heads", "dim", "rotary"), SHAPES)
def test_some_queries_see_what_they_see_among_all(length, window, causal, heads, dim, rotary, backend):
    attention = module(heads, dim, rotary, window, causal)
    x = torch.randn(2, length, heads * dim)
    valid = torch.ones(2, length, dtype=torch.bool)
    valid[1, length // 2 + 1 :] = False
    with torch.inference_mode(), use_backend(backend):
        for first, last in {(0, length), (length // 3, length), (0, length // 2 + 1), (length // 2, length // 2 + 1)}:
            for given in (None, valid):
                want = attention(x, given)[:, first:last]
                got = attention(x, given, span=(first, last))
                mask = valid[:, first:last] if given is not None else torch.ones_like(valid[:, first:last])
                torch.testing.assert_close(got[mask], want[mask], atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("length", "window", "causal", "heads", "dim", "rotary"), SHAPES)
def test_equals_the_steps_one_by_one(length, window, causal, heads, dim, rotary):
    attention = module(heads, dim, rotary, window, causal)
    x = torch.randn(3, length, heads * dim) * 3
    valid = torch.ones(3, length, dtype=torch.bool)
    valid[1, length // 2 + 1 :] = False
    valid[2, 1:] = False
    with torch.inference_mode():
        for given in (None, valid):
            with use_backend("reference"):
                want = attention(x, given)
            q, kv = projected(attention, x)
            met = attend(q, kv, rotary_turns(length, rotary, x.device), given, window, causal=causal)
            got = attention.out_proj(met.flatten(-2))
            mask = valid if given is not None else torch.ones_like(valid)
            torch.testing.assert_close(got[mask], want[mask], atol=2e-5, rtol=1e-5)
            assert got.isfinite().all()


def test_positions_of_each_sequence():
    attention = module(2, 16, 16, -1, causal=False)
    x, position = torch.randn(2, 40, 32), torch.rand(2, 40).cumsum(1) * 3
    with torch.inference_mode():
        with use_backend("reference"):
            want = attention(x, None, position)
        got = attend(*projected(attention, x), turns_at(position, 16), None, -1)
        torch.testing.assert_close(attention.out_proj(got.flatten(-2)), want, atol=2e-5, rtol=1e-5)


def test_large_scores_do_not_overflow():
    qkv = torch.randn(1, 64, 3, 1, 16) * 1e4
    got = attend(qkv[:, :, 0], qkv[:, :, 1:], rotary_turns(64, 16, qkv.device), None, -1)
    assert got.isfinite().all()
    assert float(got.abs().max()) <= float(qkv[:, :, 2].abs().max()) * 1.0001
