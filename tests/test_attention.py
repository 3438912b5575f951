"""Windowed attention in blocks against one full mask, and rotary positions."""

import pytest
import torch

from ldarnet.model import attention


def plain(q, k, v, window, valid):
    length = q.shape[2]
    distance = (torch.arange(length)[:, None] - torch.arange(length)).abs()
    mask = (distance <= window if window >= 0 else distance >= 0)[None, None]
    if valid is not None:
        mask = mask & valid[:, None, None, :] | (distance == 0)
    scores = (q @ k.mT) / q.shape[-1] ** 0.5
    return scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v


@pytest.mark.parametrize("length", [1, 2, 40, 129, 200])
@pytest.mark.parametrize("window", [-1, 0, 7, 64, 300])
@pytest.mark.parametrize("padded", [False, True])
def test_blocks_equal_plain_attention(monkeypatch, length, window, padded):
    monkeypatch.setattr(attention, "QUERY_BLOCK", 32)
    monkeypatch.setattr(attention, "FULL_MASK_UP_TO", 50)
    q, k, v = torch.randn(3, 2, 3, length, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    valid = None
    if padded:
        valid = torch.arange(length) < torch.tensor([[length], [max(1, length // 2)]])
    got, want = attention.windowed_attention(q, k, v, window, valid), plain(q, k, v, window, valid)
    real = torch.ones(2, length, dtype=torch.bool) if valid is None else valid
    real = real[:, None, :, None].expand_as(got)
    assert torch.allclose(got[real], want[real], atol=1e-5)
    assert got[~real].isfinite().all() or window < 0


def test_rotation_depends_on_distance_only():
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0)).unbind(0)
    turns = attention.rotary_turns(200, 16, torch.device("cpu"))
    turned_q = attention.rotate(q.expand(1, 200, 1, 16), turns)[0, :, 0]
    turned_k = attention.rotate(k.expand(1, 200, 1, 16), turns)[0, :, 0]
    products = turned_q @ turned_k.mT
    for distance in (0, 1, 57):
        along = torch.diagonal(products, distance)
        assert torch.allclose(along, along[:1].expand_as(along), atol=1e-4)
    assert not torch.allclose(products[0, 0], products[0, 57], atol=1e-3)


@pytest.mark.parametrize("length", [60, 70])
def test_gradients_after_inference_at_the_same_length(monkeypatch, length):
    """What inference keeps for later calls serves training too."""
    monkeypatch.setattr(attention, "QUERY_BLOCK", 32)
    monkeypatch.setattr(attention, "FULL_MASK_UP_TO", 64)
    layer = attention.LocalAttention(16, 2, 8, 9)
    x = torch.randn(1, length, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        layer(x, None)
    layer(x, None).sum().backward()
    assert layer.qkv.weight.grad.abs().sum() > 0
