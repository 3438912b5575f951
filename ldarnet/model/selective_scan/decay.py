"""What a step of some size leaves of the state of a row of channels."""

import numpy as np

from ldarnet.model.jit import kernel
from ldarnet.model.vector_math import exp


@kernel(inline=True)
def exp_of_product(sizes: np.ndarray, rates: np.ndarray, out: np.ndarray) -> None:
    """out = exp(sizes * rates), all [channel]."""
    for i in range(sizes.shape[0]):
        out[i] = exp(sizes[i] * rates[i])
