"""exp and what is made of it for the CPU kernels: numbers in, numbers out, so that loops which call them vectorise.

The compiler has no vector exp of its own and calls the library's once per number.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ldarnet.model.jit import kernel

_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_MOST = np.float32(87)
"""Beyond +-87 exp leaves the range of float32."""


def _as_float(_typing: Any, bits: Any) -> Any:  # noqa: ANN401 - numba's own types
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


_float_of_bits: Any = intrinsic(_as_float)


@kernel(inline=True)
def exp(x: np.float32) -> np.float32:
    """Exponential of x, which is cut off at +-87. By range reduction and a polynomial; relative error below 4e-7."""
    t = min(max(x, -_MOST), _MOST)
    n = np.floor(t * _LOG2_E + np.float32(0.5))
    r = t - n * _LN2_HIGH - n * _LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * _float_of_bits(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))


@kernel(inline=True)
def sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + exp(-x)); relative error below 5e-7."""
    return np.float32(1) / (np.float32(1) + exp(-x))


@kernel(inline=True)
def softplus(x: np.float32) -> np.float32:
    """log(1 + exp(x)); relative error below 1e-6."""
    y = exp(-np.abs(x))
    # log(1 + y) = 2 artanh(y / (2 + y)), whose series needs seven terms for y up to 1.
    s = y / (np.float32(2) + y)
    q = s * s
    series = np.float32(1 / 13)
    series = series * q + np.float32(1 / 11)
    series = series * q + np.float32(1 / 9)
    series = series * q + np.float32(1 / 7)
    series = series * q + np.float32(1 / 5)
    series = series * q + np.float32(1 / 3)
    series = series * q + np.float32(1)
    return max(x, np.float32(0)) + np.float32(2) * s * series
