"""bfloat16 products of tracks on CPUs: exact sums of rounded factors, near float32 in whole layers, and only there."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.checkpoint import load_model
from ldarnet.model.attention import LocalAttention
from ldarnet.model.bfloat16_tiles import HAS_PAIRS, multiply_pairs, pair_row, pair_rows
from ldarnet.model.cpu_precision import native_bfloat16
from ldarnet.model.jit import kernel
from ldarnet.model.ssd import ssd_scan
from ldarnet.model.tiles import BLOCK
from ldarnet.model.whole_layer import fits, whole_layer
from tests.test_whole_layer import SHAPES, layer

pytestmark = pytest.mark.skipif(not HAS_PAIRS, reason="this CPU has no AVX512-BF16")
blocks = st.integers(1, 6).map(lambda n: n * BLOCK)

# Each factor keeps 8 bits, so that a product is off by 0.2 % on average, and sums of many by less.
WHOLE = 6e-3


@kernel()
def product(a, b, a_pairs, b_pairs, out, beta):
    num_rows, num_columns, half = out.shape[0], out.shape[1], a_pairs.shape[1]
    pair_row(a.ctypes.data, a.size, a_pairs.ctypes.data)
    pair_rows(b.ctypes.data, b.shape[1], b.shape[0], b.shape[1], b_pairs.ctypes.data)
    at_a, at_b = a_pairs.ctypes.data, b_pairs.ctypes.data
    multiply_pairs(out.ctypes.data, num_columns, num_rows, num_columns, at_a, half, 1, at_b, num_columns, half, beta)


def autocast():
    return torch.autocast("cpu", torch.bfloat16)


def relative_error(got, want):
    return float((got.float() - want).norm() / want.norm())


@settings(max_examples=25, deadline=None)
@given(rows=blocks, inner=blocks, columns=blocks, beta=st.sampled_from([0.0, 1.0, -0.5]))
def test_products_are_those_of_rounded_factors(rows, inner, columns, beta):
    random = np.random.default_rng(rows * inner + columns)
    a, b, out = (random.normal(size=shape).astype("f4") for shape in ((rows, inner), (inner, columns), (rows, columns)))
    rounded = [torch.from_numpy(x).bfloat16().double().numpy() for x in (a, b)]
    want = beta * out.astype("f8") + rounded[0] @ rounded[1]
    if beta == 0:
        out[:] = np.nan  # is not read
    product(a, b, np.empty((rows, inner // 2), "i4"), np.empty((inner // 2, columns), "i4"), out, np.float32(beta))
    np.testing.assert_allclose(out, want, atol=2e-6 * inner)


def test_when_they_are_used():
    assert native_bfloat16() is None
    with autocast():
        assert native_bfloat16() is None, "gradients are those of float32 kernels"
        with torch.no_grad():
            assert native_bfloat16() is True
    with torch.no_grad(), torch.autocast("cpu", torch.float16):
        assert native_bfloat16() is None


@pytest.mark.parametrize("length", [1, 40, 131])
@pytest.mark.parametrize("name", SHAPES)
def test_a_whole_layer_is_near(name, length):
    norm, mixer = layer(name)
    # Many sequences: rounding errs by chance, and of a few numbers the error is anything.
    x = torch.randn(24, length, norm.weight.shape[0])
    valid = torch.ones(24, length, dtype=torch.bool)
    valid[1, length // 2 + 1 :] = False
    with torch.inference_mode():
        want = whole_layer(x, valid, norm, mixer) - x
        with autocast():
            assert fits(x, norm, mixer)
            got = whole_layer(x, valid, norm, mixer) - x
    assert got.dtype == torch.float32
    assert 0 < relative_error(got[valid], want[valid]) < WHOLE


@pytest.mark.parametrize("length", [1, 16, 100])
def test_the_scan_is_near(length):
    torch.manual_seed(length)
    x, dt = torch.randn(2, length, 2, 3, 24), torch.rand(2, length, 2, 3)
    A, D = -torch.rand(2, 3) * 4, torch.ones(2, 3)
    B, C = torch.randn(2, length, 2, 20), torch.randn(2, length, 2, 20)
    with torch.inference_mode():
        want = ssd_scan(x, dt, A, B, C, D)
        with autocast():
            got = ssd_scan(x, dt, A, B, C, D)
    assert 0 < relative_error(got, want) < WHOLE


def test_a_scan_that_is_trained_is_that_of_its_gradient():
    """Float32 in both directions: the loss whose gradient is taken is the loss that is reported."""
    torch.manual_seed(3)
    x, dt = torch.randn(2, 40, 2, 3, 24, requires_grad=True), torch.rand(2, 40, 2, 3)
    A, D = -torch.rand(2, 3) * 4, torch.ones(2, 3)
    B, C = torch.randn(2, 40, 2, 20), torch.randn(2, 40, 2, 20)
    want = ssd_scan(x, dt, A, B, C, D)
    with autocast():
        got = ssd_scan(x, dt, A, B, C, D)
    assert torch.equal(got, want)


@pytest.mark.parametrize(("window", "causal"), [(-1, False), (20, False), (700, True)])
def test_attention_is_near(window, causal):
    torch.manual_seed(0)
    attention = LocalAttention(96, 2, 16, window, causal=causal)
    x = torch.randn(2, 600, 96)
    valid = torch.ones(2, 600, dtype=torch.bool)
    valid[1, 410:] = False
    with torch.inference_mode():
        want = attention(x, valid, span=(5, 590))
        with autocast():
            got = attention(x, valid, span=(5, 590))
    inside = valid[:, 5:590]
    assert 0 < relative_error(got[inside], want[inside]) < 2 * WHOLE  # three products in a row


def test_hard_cuts_stay():
    model = load_model("default")
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (8, 512)).astype(np.uint8))
    with torch.inference_mode():
        want = model.boundaries(ids).routing[0]
        with autocast():
            got = model.boundaries(ids).routing[0]
    assert float((got.prob - want.prob).abs().max()) < 0.02
    assert float((got.cut == want.cut).float().mean()) > 0.998


_FRESH = """
import hashlib, torch
from ldarnet.checkpoint import load_model
ids = torch.arange(1200).reshape(2, 600) % 7 % 4
with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
    prob = load_model("default").boundaries(ids).routing[0].prob
print(hashlib.sha256(prob.numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow  # compiles every kernel anew; make test-bits
def test_fresh_and_cached_kernels_give_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    command = [sys.executable, "-c", _FRESH]
    digests = {subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)}
    assert len(digests) == 1
    assert len(digests.pop().strip()) == len(hashlib.sha256().hexdigest())
