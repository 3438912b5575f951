"""Gradients of the recurrence for CPUs: from its end backwards, a few bases at a time.

With u[t] = dt[t] x[t], s[t] = a[t] s[t-1] + u[t] B[t] and y[t] = C[t] s[t], the gradient of s[t] is
g[t] = dy[t] C[t] + a[t+1] g[t+1]. States are not kept for every base: the forward pass has left one every few bases,
and the recurrence is run again from there, keeping the states and decays of that stretch, which fit into the cache.

Sums across channels stand in loops of their own, which store nothing: a loop that does both runs in another order
where its arrays happen to lie close together, and a training gone on with would differ in its last bits.
"""

import numpy as np

from ldarnet.model.jit import kernel
from ldarnet.model.selective_scan.decay import exp_of_product


@kernel()
def gradients(
    first_scan: int,
    last_scan: int,
    block_channels: int,
    keep_every: int,
    x: np.ndarray,
    dt: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    kept: np.ndarray,
    dy: np.ndarray,
    dx: np.ndarray,
    ddt: np.ndarray,
    dA: np.ndarray,
    dB: np.ndarray,
    dC: np.ndarray,
    dD: np.ndarray,
) -> None:
    """Fill the gradients of scans first..last-1; a scan is one direction of one sequence, all its channels.

    A and dA are [.., state, channel]. dA, dB, dC and dD must come as zeros: they are added up.
    """
    _, length, num_dir, num_channels = x.shape
    num_state = B.shape[3]
    # states[n, k] is the state before step k of a stretch, decays[n, k] what step k leaves of it.
    states = np.empty((num_state, keep_every + 1, block_channels), dtype=np.float32)
    decays = np.empty((num_state, keep_every, block_channels), dtype=np.float32)
    inputs = np.empty((keep_every, block_channels), dtype=np.float32)
    grad = np.empty((num_state, block_channels), dtype=np.float32)
    to_inputs = np.empty(block_channels, dtype=np.float32)
    to_sizes = np.empty(block_channels, dtype=np.float32)
    for scan in range(first_scan, last_scan):
        b, d = scan // num_dir, scan % num_dir
        for low in range(0, num_channels, block_channels):
            high = min(low + block_channels, num_channels)
            width = high - low
            grad[:] = 0
            for stretch in range(kept.shape[2] - 1, -1, -1):
                first = stretch * keep_every
                num_steps = min(keep_every, length - first)
                for k in range(num_steps):
                    t = first + k if d == 0 else length - 1 - first - k
                    sizes, u = dt[b, t, d, low:high], x[b, t, d, low:high]
                    for c in range(width):
                        inputs[k, c] = sizes[c] * u[c]
                for n in range(num_state):
                    for c in range(width):
                        states[n, 0, c] = kept[b, d, stretch, n, low + c]
                    for k in range(num_steps):
                        t = first + k if d == 0 else length - 1 - first - k
                        exp_of_product(dt[b, t, d, low:high], A[d, n, low:high], decays[n, k])
                        _advance(states[n, k], decays[n, k], inputs[k, :width], B[b, t, d, n], states[n, k + 1])
                for k in range(num_steps - 1, -1, -1):
                    t = first + k if d == 0 else length - 1 - first - k
                    sizes, u, dy_t = dt[b, t, d, low:high], x[b, t, d, low:high], dy[b, t, d, low:high]
                    to_inputs[:] = 0
                    to_sizes[:] = 0
                    for n in range(num_state):
                        dC[b, t, d, n] += _inner_product(states[n, k + 1], dy_t)
                        _add_readout(grad[n], dy_t, C[b, t, d, n])
                        dB[b, t, d, n] += _inner_product(grad[n], inputs[k, :width])
                        _retreat(
                            grad[n],
                            decays[n, k],
                            states[n, k],
                            sizes,
                            A[d, n, low:high],
                            B[b, t, d, n],
                            to_inputs,
                            to_sizes,
                            dA[b, d, n, low:high],
                        )
                    for c in range(width):
                        dx[b, t, d, low + c] = to_inputs[c] * sizes[c] + D[d, low + c] * dy_t[c]
                        ddt[b, t, d, low + c] = to_inputs[c] * u[c] + to_sizes[c]
                        dD[b, d, low + c] += dy_t[c] * u[c]


@kernel(inline=True)
def _advance(before: np.ndarray, decay: np.ndarray, inputs: np.ndarray, B: np.float32, after: np.ndarray) -> None:
    for c in range(inputs.shape[0]):
        after[c] = decay[c] * before[c] + inputs[c] * B


@kernel(inline=True)
def _add_readout(grad: np.ndarray, dy: np.ndarray, C: np.float32) -> None:
    for c in range(dy.shape[0]):
        grad[c] += dy[c] * C


@kernel(inline=True)
def _inner_product(a: np.ndarray, b: np.ndarray) -> np.float32:
    total = np.float32(0)
    for c in range(b.shape[0]):
        total += a[c] * b[c]
    return total


@kernel(inline=True)
def _retreat(
    grad: np.ndarray,
    decay: np.ndarray,
    before: np.ndarray,
    sizes: np.ndarray,
    rates: np.ndarray,
    B: np.float32,
    to_inputs: np.ndarray,
    to_sizes: np.ndarray,
    to_rates: np.ndarray,
) -> None:
    """The gradient of one number of the state moves back by one base, past its decay; what it gives on the way."""
    for c in range(sizes.shape[0]):
        to_inputs[c] += grad[c] * B
        grad[c] *= decay[c]
        to_product = grad[c] * before[c]
        to_sizes[c] += to_product * rates[c]
        to_rates[c] += to_product * sizes[c]
