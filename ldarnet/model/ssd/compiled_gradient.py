"""Gradients of the recurrence for CPUs: two sweeps over the bases.

With s[t] = decay[t] s[t-1] + dt[t] x[t] B[t] and y[t] = C[t] s[t], let g[t] be the gradient of s[t]. The first sweep
runs the recurrence again and collects dC[t] = dy[t] s[t]; the second runs it backwards for g and collects dB[t] and
dx[t]. The gradient of the decay needs <g[t], s[t-1]>, which would need both states of a base at once. It follows from
what the two sweeps have collected instead: with e[t] = decay[t] <g[t], s[t-1]>,

    e[t] = e[t+1] + dy[t].y[t] - <g[t], dt[t] x[t] B[t]> = e[t+1] + C[t].dC[t] - B[t].dB[t],

a sum of scalars whose terms nearly cancel. What a base gives to itself is in both and is left out of both. Rounding
errors still pile up, so the sum starts afresh from a kept state every few bases.

No loop here both sums and stores: such a loop runs in another order where its arrays happen to lie close together,
and a training that is gone on with would differ in its last bits from one that was never stopped.
"""

import numpy as np

from ldarnet.model.jit import kernel

_KEEP_EVERY = 16


@kernel()
def gradients(
    first_scan: int,
    last_scan: int,
    x: np.ndarray,
    dt: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    dy: np.ndarray,
    dx: np.ndarray,
    ddt: np.ndarray,
    dA: np.ndarray,
    dB: np.ndarray,
    dC: np.ndarray,
    dD: np.ndarray,
) -> None:
    """Fill the gradients of scans first..last-1; a scan is one direction of one sequence, all its heads.

    `dB` and `dC` must come as zeros: the heads of a scan add up in them.
    """
    _, length, num_dir, num_heads, dim = x.shape
    num_state = B.shape[3]
    state = np.empty((dim, num_state), dtype=np.float32)
    collected = np.empty(num_state, dtype=np.float32)
    inputs = np.empty(dim, dtype=np.float32)
    readout = np.empty(length, dtype=np.float64)
    kept = np.empty(((length + _KEEP_EVERY - 1) // _KEEP_EVERY, dim, num_state), dtype=np.float32)
    for scan in range(first_scan, last_scan):
        b, d = scan // num_dir, scan % num_dir
        for h in range(num_heads):
            rate = A[d, h]
            state[:] = 0
            for step in range(length):
                t = step if d == 0 else length - 1 - step
                if step % _KEEP_EVERY == 0:
                    kept[step // _KEEP_EVERY] = state
                size = dt[b, t, d, h]
                for p in range(dim):
                    inputs[p] = size * x[b, t, d, h, p]
                own = np.float32(0)
                for p in range(dim):
                    own += inputs[p] * dy[b, t, d, h, p]
                collected[:] = 0
                _advance(state, np.exp(size * rate), inputs, B[b, t, d], dy[b, t, d, h], collected)
                total = np.float32(0)
                for n in range(num_state):
                    total += C[b, t, d, n] * collected[n]
                for n in range(num_state):
                    dC[b, t, d, n] += collected[n] + own * B[b, t, d, n]
                readout[t] = total

            state[:] = 0
            decay_after = np.float32(0)
            decay_term = np.float64(0)
            sum_dA = np.float64(0)
            sum_dD = np.float64(0)
            for step in range(length - 1, -1, -1):
                t = step if d == 0 else length - 1 - step
                size = dt[b, t, d, h]
                for p in range(dim):
                    inputs[p] = size * x[b, t, d, h, p]
                own = np.float32(0)
                for p in range(dim):
                    own += inputs[p] * dy[b, t, d, h, p]
                collected[:] = 0
                out = dx[b, t, d, h]
                _retreat(state, decay_after, inputs, B[b, t, d], C[b, t, d], dy[b, t, d, h], collected, out)
                decay_after = np.exp(size * rate)
                total = np.float32(0)
                for n in range(num_state):
                    total += B[b, t, d, n] * collected[n]
                for n in range(num_state):
                    dB[b, t, d, n] += collected[n] + own * C[b, t, d, n]
                to_step = np.float32(0)
                to_skip = np.float32(0)
                for p in range(dim):
                    to_step += x[b, t, d, h, p] * out[p]
                    to_skip += x[b, t, d, h, p] * dy[b, t, d, h, p]
                for p in range(dim):
                    out[p] = size * out[p] + D[d, h] * dy[b, t, d, h, p]
                if step % _KEEP_EVERY == 0:
                    decay_term = np.float64(decay_after) * _inner_product(state, kept[step // _KEEP_EVERY])
                else:
                    decay_term += readout[t] - np.float64(total)
                ddt[b, t, d, h] = np.float32(to_step + decay_term * rate)
                sum_dA += decay_term * size
                sum_dD += np.float64(to_skip)
            dA[b, d, h] = np.float32(sum_dA)
            dD[b, d, h] = np.float32(sum_dD)


@kernel(inline=True)
def _advance(
    state: np.ndarray, decay: np.float32, inputs: np.ndarray, B: np.ndarray, dy: np.ndarray, collected: np.ndarray
) -> None:
    """Move the state on by one base, and collect dy times what it held before; two rows share a pass over B."""
    dim, num_state = state.shape
    paired = dim - dim % 2
    for p in range(0, paired, 2):
        row0, row1 = state[p], state[p + 1]
        u0, u1 = inputs[p], inputs[p + 1]
        y0, y1 = dy[p], dy[p + 1]
        for n in range(num_state):
            s0 = decay * row0[n]
            s1 = decay * row1[n]
            collected[n] += y0 * s0 + y1 * s1
            row0[n] = s0 + u0 * B[n]
            row1[n] = s1 + u1 * B[n]
    for p in range(paired, dim):
        row, u, y = state[p], inputs[p], dy[p]
        for n in range(num_state):
            s = decay * row[n]
            collected[n] += y * s
            row[n] = s + u * B[n]


@kernel(inline=True)
def _retreat(
    grad: np.ndarray,
    decay: np.float32,
    inputs: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    dy: np.ndarray,
    collected: np.ndarray,
    to_inputs: np.ndarray,
) -> None:
    """Move back by one base (`decay` is that of the base after it), and collect what goes to B and to the inputs.

    What later bases give goes to `collected`, that and the base's own to `to_inputs`.
    """
    dim, num_state = grad.shape
    paired = dim - dim % 2
    for p in range(0, paired, 2):
        row0, row1 = grad[p], grad[p + 1]
        u0, u1 = inputs[p], inputs[p + 1]
        y0, y1 = dy[p], dy[p + 1]
        for n in range(num_state):
            g0 = decay * row0[n]
            g1 = decay * row1[n]
            collected[n] += u0 * g0 + u1 * g1
            row0[n] = g0 + y0 * C[n]
            row1[n] = g1 + y1 * C[n]
        a0 = a1 = np.float32(0)
        for n in range(num_state):
            a0 += row0[n] * B[n]
            a1 += row1[n] * B[n]
        to_inputs[p] = a0
        to_inputs[p + 1] = a1
    for p in range(paired, dim):
        row, u, y = grad[p], inputs[p], dy[p]
        for n in range(num_state):
            g = decay * row[n]
            collected[n] += u * g
            row[n] = g + y * C[n]
        a = np.float32(0)
        for n in range(num_state):
            a += row[n] * B[n]
        to_inputs[p] = a


@kernel(inline=True)
def _inner_product(a: np.ndarray, b: np.ndarray) -> np.float64:
    total = np.float64(0)
    for p in range(a.shape[0]):
        part = np.float32(0)
        for n in range(a.shape[1]):
            part += a[p, n] * b[p, n]
        total += np.float64(part)
    return total
