"""The Mamba-2 layer of tracks on CPUs, all in one, against the same layer step by step."""

from dataclasses import replace

import pytest
import torch

from ldarnet.config import PRESETS
from ldarnet.model.chunking import Tokens
from ldarnet.model.ldarnet import Stack
from ldarnet.model.mixers import BiMamba2, RMSNorm
from ldarnet.model.ssd import use_backend
from ldarnet.model.whole_layer import fits, whole_layer
from tests.sibling_models import tiny_config

SHAPES = {
    "nano": (64, {"d_state": 32}),
    "wide": (128, {"d_state": 16, "head_dim": 32}),
    "two taps": (16, {"d_state": 16, "head_dim": 16, "d_conv": 2}),
    "as many taps as there is room for": (16, {"d_state": 16, "head_dim": 16, "d_conv": 32}),
    "causal": (32, {"d_state": 16, "head_dim": 16, "objective": "causal"}),
    "sum": (32, {"d_state": 16, "head_dim": 64, "fusion": "sum"}),
}


def layer(name):
    width, changes = SHAPES[name]
    torch.manual_seed(0)
    norm = RMSNorm(width)
    mixer = BiMamba2(width, replace(PRESETS["ldarnet-nano"], **changes))
    with torch.no_grad():
        for weight in (*mixer.parameters(), *norm.parameters()):
            weight.add_(torch.randn_like(weight) * 0.1)
    return norm, mixer


@pytest.mark.parametrize("length", [1, 2, 57, 58, 59, 131])
@pytest.mark.parametrize("name", SHAPES)
def test_equals_the_steps_one_by_one(name, length):
    norm, mixer = layer(name)
    x = torch.randn(3, length, norm.weight.shape[0])
    valid = torch.ones(3, length, dtype=torch.bool)
    valid[1, length // 2 + 1 :] = False
    with torch.inference_mode():
        assert fits(x, norm, mixer)
        for given in (None, valid):
            with use_backend("reference"):
                want = x + mixer(norm(x), given)
            got = whole_layer(x, given, norm, mixer)
            mask = valid if given is not None else torch.ones_like(valid)
            torch.testing.assert_close(got[mask], want[mask], atol=2e-5, rtol=1e-5)


def test_padding_does_not_change_a_sequence():
    norm, mixer = layer("nano")
    x = torch.randn(1, 70, 64)
    padded = torch.cat([x, torch.randn(1, 30, 64)], dim=1)
    valid = torch.arange(100)[None] < 70
    with torch.inference_mode():
        alone, beside = whole_layer(x, None, norm, mixer), whole_layer(padded, valid, norm, mixer)[:, :70]
    torch.testing.assert_close(alone, beside, atol=1e-6, rtol=1e-6)


def test_sizes_outside_tiles_go_the_ordinary_way():
    norm, mixer = RMSNorm(24), BiMamba2(24, replace(PRESETS["ldarnet-nano"], d_state=20, head_dim=16))
    assert not fits(torch.randn(1, 8, 24), norm, mixer)


@pytest.mark.parametrize("num_taps", [33, 40, 64])
def test_more_taps_than_there_is_room_for_go_the_ordinary_way(num_taps):
    torch.manual_seed(0)
    config = replace(tiny_config("ldarnet-nano"), d_state=16, d_conv=num_taps)
    stack = Stack("m1", 0, config)
    x, tokens = torch.randn(2, 150, 16), Tokens()
    with torch.inference_mode():
        got = stack(x, tokens, "exact")
        with use_backend("reference"):
            want = stack(x, tokens, "exact")
    torch.testing.assert_close(got, want, atol=2e-5, rtol=1e-5)
