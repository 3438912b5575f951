"""exp(step size * decay rate) of a row of channels, in loops that the vector units can run."""

import numpy as np

from ldarnet.model.jit import kernel

_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_LOWEST = np.float32(-87)


@kernel(inline=True)
def exp_of_product(
    sizes: np.ndarray, rates: np.ndarray, out: np.ndarray, power: np.ndarray, power_bits: np.ndarray
) -> None:
    """out = exp(sizes * rates) for products that are not above 0; `power_bits` are the bits of scratch `power`.

    By range reduction and a polynomial, since numba has no vector exp of its own; relative error below 2e-7. Below
    exp(-87), where float32 ends, the result stays there.
    """
    for i in range(sizes.shape[0]):
        n = np.floor(max(sizes[i] * rates[i], _LOWEST) * _LOG2_E + np.float32(0.5))
        power_bits[i] = (np.int32(n) + np.int32(127)) << np.int32(23)
    for i in range(sizes.shape[0]):
        t = max(sizes[i] * rates[i], _LOWEST)
        n = np.floor(t * _LOG2_E + np.float32(0.5))
        r = t - n * _LN2_HIGH - n * _LN2_LOW
        p = np.float32(1.9875691500e-4)
        p = p * r + np.float32(1.3981999507e-3)
        p = p * r + np.float32(8.3334519073e-3)
        p = p * r + np.float32(4.1665795894e-2)
        p = p * r + np.float32(1.6666665459e-1)
        p = p * r + np.float32(5.0000001201e-1)
        out[i] = (p * r * r + r + np.float32(1)) * power[i]
