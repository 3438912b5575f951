"""The tiles of the CPU kernels against numpy, and the row functions beside them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.model.jit import kernel
from ldarnet.model.ssd import BACKENDS
from ldarnet.model.tiles import BLOCK, multiply, transpose
from ldarnet.model.vector_math import exp, sigmoid, softplus

blocks = st.integers(1, 6).map(lambda n: n * BLOCK)


@kernel()
def product(out, a, a_row, a_inner, b, beta):
    sizes = (out.shape[1], out.shape[0], out.shape[1])
    multiply(out.ctypes.data, *sizes, a.ctypes.data, a_row, a_inner, b.ctypes.data, b.shape[1], b.shape[0], beta)


@kernel()
def turned(out, a):
    transpose(out.ctypes.data, out.shape[1], a.ctypes.data, a.shape[1], a.shape[0], a.shape[1])


@kernel()
def backwards(out, a, b):
    """out = a b with the rows of out and b read from the last to the first."""
    rows, columns = out.shape
    last_out, last_b = out.ctypes.data + 4 * (rows - 1) * columns, b.ctypes.data + 4 * (b.shape[0] - 1) * columns
    multiply(
        last_out, -columns, rows, columns, a.ctypes.data, a.shape[1], 1, last_b, -columns, b.shape[0], np.float32(0)
    )


@kernel()
def of_each(name, x, out):
    for i in range(x.shape[0]):
        out[i] = exp(x[i]) if name == 0 else sigmoid(x[i]) if name == 1 else softplus(x[i])


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@settings(deadline=None)  # the first example waits for the compiler
@given(blocks, st.integers(1, 70), blocks, st.sampled_from([0.0, 1.0, 0.5]), st.booleans())
def test_product_equals_numpy(rows, inner, columns, beta, is_turned):
    a, b, out = normal(rows, inner), normal(inner, columns), normal(rows, columns)
    want = np.float64(beta) * out + a.astype(np.float64) @ b
    given_a = np.ascontiguousarray(a.T) if is_turned else a
    product(out, given_a, *((1, rows) if is_turned else (inner, 1)), b, np.float32(beta))
    np.testing.assert_allclose(out, want, atol=1e-5 * np.sqrt(inner) + 1e-5)


def test_nothing_is_read_of_a_new_product():
    a, b, out = normal(16, 5), normal(5, 112), np.full((16, 112), np.nan, dtype=np.float32)
    product(out, a, 5, 1, b, np.float32(0))
    assert np.isfinite(out).all()


def test_negative_strides_read_and_write_backwards():
    a, b, out = normal(16, 20), normal(20, 48), np.empty((16, 48), dtype=np.float32)
    backwards(out, a, b)
    np.testing.assert_allclose(out[::-1], a @ b[::-1], atol=1e-5)


@settings(deadline=None)  # the first example waits for the compiler
@given(blocks, blocks)
def test_transpose_equals_numpy(rows, columns):
    a, out = normal(rows, columns), np.empty((columns, rows), dtype=np.float32)
    turned(out, a)
    assert (out == a.T).all()


@pytest.mark.parametrize("name", range(3), ids=["exp", "sigmoid", "softplus"])
def test_functions_of_numbers(name):
    truth = [np.exp, lambda x: 1 / (1 + np.exp(-x)), lambda x: np.logaddexp(0, x)][name]
    x = np.concatenate([np.linspace(-86, 86, 4001), [0, -1e-8, 1e-8]]).astype(np.float32)
    out = np.empty_like(x)
    of_each(name, x, out)
    np.testing.assert_allclose(out, truth(x.astype(np.float64)), rtol=1e-6 if name == 2 else 5e-7)
    far, out = np.array([-1e30, -200, 200, 1e30], dtype=np.float32), np.empty(4, dtype=np.float32)
    of_each(name, far, out)
    assert np.isfinite(out).all()
    if name:
        np.testing.assert_allclose(out, [[0, 0, 1, 1], [0, 0, 200, 1e30]][name - 1], atol=1e-30)


@pytest.mark.parametrize("num_heads", [1, 3, 5])
def test_a_scan_does_not_depend_on_threads(num_heads):
    generator = torch.Generator().manual_seed(num_heads)
    x, dt = (
        torch.randn(1, 37, 2, num_heads, 24, generator=generator),
        torch.rand(1, 37, 2, num_heads, generator=generator),
    )
    A, D = -torch.rand(2, num_heads, generator=generator), torch.rand(2, num_heads, generator=generator)
    B, C = torch.randn(1, 37, 2, 20, generator=generator), torch.randn(1, 37, 2, 20, generator=generator)
    before, results = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 3, 7, 16):
            torch.set_num_threads(num_threads)
            results.append(BACKENDS["compiled"](x, dt, A, B, C, D))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)
    torch.testing.assert_close(results[0], BACKENDS["reference"](x, dt, A, B, C, D), atol=1e-4, rtol=1e-4)
