"""Functions of whole rows for the CPU kernels, written so that their loops vectorise: numba has no vector exp."""

import numpy as np

from ldarnet.model.jit import kernel

_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_MOST = np.float32(87)
"""Beyond +-87 exp leaves the range of float32."""


@kernel(inline=True)
def exp(x: np.ndarray, factor: np.float32, power: np.ndarray, power_bits: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with the exponentials of factor times x; `power_bits` are the bits of the scratch row `power`.

    The product is cut off at +-87. By range reduction and a polynomial; relative error below 4e-7.
    """
    for i in range(x.shape[0]):
        t = min(max(factor * x[i], -_MOST), _MOST)
        n = np.floor(t * _LOG2_E + np.float32(0.5))
        power_bits[i] = (np.int32(n) + np.int32(127)) << np.int32(23)
    for i in range(x.shape[0]):
        t = min(max(factor * x[i], -_MOST), _MOST)
        n = np.floor(t * _LOG2_E + np.float32(0.5))
        r = t - n * _LN2_HIGH - n * _LN2_LOW
        p = np.float32(1.9875691500e-4)
        p = p * r + np.float32(1.3981999507e-3)
        p = p * r + np.float32(8.3334519073e-3)
        p = p * r + np.float32(4.1665795894e-2)
        p = p * r + np.float32(1.6666665459e-1)
        p = p * r + np.float32(5.0000001201e-1)
        p = p * r * r + r + np.float32(1)
        out[i] = p * power[i]


@kernel(inline=True)
def sigmoid(x: np.ndarray, power: np.ndarray, power_bits: np.ndarray, out: np.ndarray) -> None:
    """out = 1 / (1 + exp(-x)); scratch as in `exp`."""
    exp(x, np.float32(-1), power, power_bits, out)
    for i in range(x.shape[0]):
        out[i] = np.float32(1) / (np.float32(1) + out[i])
