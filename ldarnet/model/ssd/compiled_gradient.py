"""Gradients of the recurrence for CPUs: blocks of steps as products of small matrices (see `steps`).

With dy the gradient of the outputs, S the state before a block and G the gradient of the state after it, and
kept[t, s] = exp(a[t] - a[s]) for s <= t:

    dS           = exp(a[last]) G + sum over t of exp(a[t]) C[t] dy[t]
    d(dt x)[s]   = exp(a[last] - a[s]) B[s] G + sum over t of kept[t, s] (C[t].B[s]) dy[t]
    dC[t]        = exp(a[t]) S dy[t] + sum over s of kept[t, s] (dy[t].dt[s] x[s]) B[s]
    dB[s]        = exp(a[last] - a[s]) G dt[s] x[s] + sum over t of kept[t, s] (dy[t].dt[s] x[s]) C[t]

The step sizes also set the fading. The gradient of dt[t] A is what passes over base t, from all that comes before it
to all that comes from it on: the state that enters the block and the inputs before t, to the outputs from t on and
the state that leaves. Every term is a sum of products; none is a difference of large numbers.

The first pass over a head keeps the state before every block, the second runs from the end. No loop here both sums
and stores: such a loop runs in another order where its arrays happen to lie close together, and a training that is
gone on with would differ in its last bits from one that was never stopped.
"""

import numpy as np

from ldarnet.model.jit import kernel
from ldarnet.model.ssd.steps import (
    STEPS,
    address,
    advance,
    fading,
    likeness,
    padded,
    scaled,
    scaled_rows,
    take_map,
    take_rows,
    turn,
)
from ldarnet.model.tiles import multiply, transpose

_NEW, _ADD = np.float32(0), np.float32(1)


@kernel()
def gradients(
    first_run: int,
    last_run: int,
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
    """Fill the gradients of runs first..last-1; a run is one direction of one sequence, all its heads."""
    _, length, num_dir, num_heads, dim = x.shape
    num_state = B.shape[3]
    wide_dim, wide_state = padded(dim), padded(num_state)
    num_blocks = (length + STEPS - 1) // STEPS
    B_rows = np.zeros((num_blocks, STEPS, wide_state), dtype=np.float32)
    C_rows, scaled_map = np.zeros_like(B_rows), np.empty((STEPS, wide_state), dtype=np.float32)
    Bt = np.empty((num_blocks, wide_state, STEPS), dtype=np.float32)
    Ct, dBt, dCt = np.empty_like(Bt), np.empty_like(Bt), np.empty_like(Bt)
    alike = np.empty((num_blocks, STEPS, STEPS), dtype=np.float32)
    pairs = np.empty_like(alike)
    states = np.empty((num_blocks, wide_state, wide_dim), dtype=np.float32)
    state, grad = np.empty((wide_state, wide_dim), dtype=np.float32), np.empty((wide_state, wide_dim), dtype=np.float32)
    x_rows, dy_rows = np.zeros((STEPS, wide_dim), dtype=np.float32), np.zeros((STEPS, wide_dim), dtype=np.float32)
    to_inputs = np.empty((STEPS, wide_dim), dtype=np.float32)
    sizes = np.empty(STEPS, dtype=np.float32)
    since_start, to_last = np.empty(STEPS, dtype=np.float32), np.empty(STEPS, dtype=np.float32)
    weights, passing = np.empty(STEPS, dtype=np.float32), np.empty(STEPS, dtype=np.float32)
    from_state, into_state = np.empty(STEPS, dtype=np.float32), np.empty(STEPS, dtype=np.float32)
    kept, within = np.empty((STEPS, STEPS), dtype=np.float32), np.empty((STEPS, STEPS), dtype=np.float32)
    own = np.empty(STEPS, dtype=np.float32)
    turned, scaled_turned = np.empty((wide_dim, STEPS), dtype=np.float32), np.empty((wide_dim, STEPS), dtype=np.float32)
    part = np.empty((wide_state, STEPS), dtype=np.float32)
    for run in range(first_run, last_run):
        b, d = run // num_dir, run % num_dir
        step = 1 if d == 0 else -1
        for block in range(num_blocks):
            num = min(STEPS, length - block * STEPS)
            start = block * STEPS if d == 0 else length - 1 - block * STEPS
            take_map(B, b, d, start, step, num, B_rows[block])
            take_map(C, b, d, start, step, num, C_rows[block])
            turn(B_rows[block], Bt[block])
            turn(C_rows[block], Ct[block])
            likeness(Bt[block], C_rows[block], alike[block])
        dBt[:] = 0
        dCt[:] = 0
        pairs[:] = 0
        for h in range(num_heads):
            rate = A[d, h]
            state[:] = 0
            for block in range(num_blocks):
                num = min(STEPS, length - block * STEPS)
                start = block * STEPS if d == 0 else length - 1 - block * STEPS
                _copy(state, states[block])
                for i in range(STEPS):
                    sizes[i] = dt[b, start + step * i, d, h] if i < num else np.float32(0)
                fading(sizes, rate, kept, since_start, weights)
                for s in range(STEPS):
                    weights[s] = kept[STEPS - 1, s] * sizes[s]
                scaled_rows(B_rows[block], weights, scaled_map)
                take_rows(x, b, d, h, start, step, num, x_rows)
                advance(state, scaled_map, address(x_rows), wide_dim, since_start[STEPS - 1])

            grad[:] = 0
            sum_dA, sum_dD = np.float64(0), np.float64(0)
            for block in range(num_blocks - 1, -1, -1):
                num = min(STEPS, length - block * STEPS)
                start = block * STEPS if d == 0 else length - 1 - block * STEPS
                before = states[block]
                for i in range(STEPS):
                    sizes[i] = dt[b, start + step * i, d, h] if i < num else np.float32(0)
                fading(sizes, rate, kept, since_start, weights)
                for s in range(STEPS):
                    to_last[s] = kept[STEPS - 1, s]
                    weights[s] = to_last[s] * sizes[s]
                take_rows(x, b, d, h, start, step, num, x_rows)
                take_rows(dy, b, d, h, start, step, num, dy_rows)
                passing_all = since_start[STEPS - 1] * _inner_product(before, grad)

                # What the inputs of the block give to the state that leaves it.
                transpose(address(turned), STEPS, address(x_rows), wide_dim, STEPS, wide_dim)
                scaled(turned, weights, scaled_turned)
                multiply(
                    address(part),
                    STEPS,
                    wide_state,
                    STEPS,
                    address(grad),
                    wide_dim,
                    1,
                    address(scaled_turned),
                    STEPS,
                    wide_dim,
                    _NEW,
                )
                _collect(part, Bt[block], dBt[block], into_state)
                # dy[t].x[s], and with it what passes between bases of the block.
                multiply(
                    address(within),
                    STEPS,
                    STEPS,
                    STEPS,
                    address(dy_rows),
                    wide_dim,
                    1,
                    address(turned),
                    STEPS,
                    wide_dim,
                    _NEW,
                )
                for t in range(STEPS):
                    own[t] = within[t, t]
                    for s in range(STEPS):
                        within[t, s] *= kept[t, s] * sizes[s]
                for t in range(STEPS):
                    for s in range(STEPS):
                        pairs[block, t, s] += within[t, s]
                        within[t, s] *= alike[block, t, s]
                        kept[t, s] *= alike[block, t, s]
                scaled_rows(B_rows[block], to_last, scaled_map)
                multiply(
                    address(to_inputs),
                    wide_dim,
                    STEPS,
                    wide_dim,
                    address(scaled_map),
                    wide_state,
                    1,
                    address(grad),
                    wide_dim,
                    wide_state,
                    _NEW,
                )
                multiply(
                    address(to_inputs),
                    wide_dim,
                    STEPS,
                    wide_dim,
                    address(kept),
                    1,
                    STEPS,
                    address(dy_rows),
                    wide_dim,
                    STEPS,
                    _ADD,
                )
                # What the state that enters the block gives to its outputs.
                transpose(address(turned), STEPS, address(dy_rows), wide_dim, STEPS, wide_dim)
                scaled(turned, since_start, scaled_turned)
                multiply(
                    address(part),
                    STEPS,
                    wide_state,
                    STEPS,
                    address(before),
                    wide_dim,
                    1,
                    address(scaled_turned),
                    STEPS,
                    wide_dim,
                    _NEW,
                )
                _collect(part, Ct[block], dCt[block], from_state)
                scaled_rows(C_rows[block], since_start, scaled_map)
                advance(grad, scaled_map, address(dy_rows), wide_dim, since_start[STEPS - 1])

                _passing(within, from_state, into_state, passing_all, passing)
                for i in range(num):
                    t = start + step * i
                    to_size = np.float32(0)
                    for p in range(dim):
                        to_size += x_rows[i, p] * to_inputs[i, p]
                    for p in range(dim):
                        dx[b, t, d, h, p] = sizes[i] * to_inputs[i, p] + D[d, h] * dy_rows[i, p]
                    ddt[b, t, d, h] = passing[i] * rate + to_size
                    sum_dA += np.float64(passing[i]) * np.float64(sizes[i])
                    sum_dD += np.float64(own[i])
            dA[b, d, h] = np.float32(sum_dA)
            dD[b, d, h] = np.float32(sum_dD)
        for block in range(num_blocks):
            num = min(STEPS, length - block * STEPS)
            start = block * STEPS if d == 0 else length - 1 - block * STEPS
            transpose(address(within), STEPS, address(pairs[block]), STEPS, STEPS, STEPS)
            multiply(
                address(dCt[block]),
                STEPS,
                wide_state,
                STEPS,
                address(Bt[block]),
                STEPS,
                1,
                address(within),
                STEPS,
                STEPS,
                _ADD,
            )
            multiply(
                address(dBt[block]),
                STEPS,
                wide_state,
                STEPS,
                address(Ct[block]),
                STEPS,
                1,
                address(pairs[block]),
                STEPS,
                STEPS,
                _ADD,
            )
            _give_back(dBt[block], B_rows[block], dB, b, d, start, step, num)
            _give_back(dCt[block], C_rows[block], dC, b, d, start, step, num)


@kernel(inline=True)
def _copy(source: np.ndarray, target: np.ndarray) -> None:
    for n in range(source.shape[0]):
        for p in range(source.shape[1]):
            target[n, p] = source[n, p]


@kernel(inline=True)
def _collect(part: np.ndarray, maps: np.ndarray, total: np.ndarray, weight: np.ndarray) -> None:
    """Add `part` to `total`, and set weight[t] to the sum over n of maps[n, t] part[n, t]: all [N, STEPS]."""
    for t in range(STEPS):
        weight[t] = 0
    for n in range(part.shape[0]):
        for t in range(STEPS):
            total[n, t] += part[n, t]
        for t in range(STEPS):
            weight[t] += maps[n, t] * part[n, t]


@kernel(inline=True)
def _passing(
    within: np.ndarray, from_state: np.ndarray, into_state: np.ndarray, whole: np.float32, out: np.ndarray
) -> None:
    """Gradient of each base's dt A: what goes over it from the state before, from inputs before it, and through."""
    later = np.zeros(STEPS, dtype=np.float32)
    read_later = np.float32(0)
    for t in range(STEPS - 1, -1, -1):
        for s in range(STEPS):
            later[s] += within[t, s]
        read_later += from_state[t]
        total = whole + read_later
        for s in range(t):
            total += later[s] + into_state[s]
        out[t] = total


@kernel(inline=True)
def _give_back(
    turned: np.ndarray, rows: np.ndarray, out: np.ndarray, b: int, d: int, start: int, step: int, num: int
) -> None:
    """The block [N, STEPS] as bases start, start + step, ... of out [B, L, dir, N]."""
    transpose(address(rows), rows.shape[1], address(turned), STEPS, turned.shape[0], STEPS)
    for i in range(num):
        target, row = out[b, start + step * i, d], rows[i]
        for k in range(target.shape[0]):
            target[k] = row[k]


@kernel(inline=True)
def _inner_product(a: np.ndarray, b: np.ndarray) -> np.float32:
    total = np.float32(0)
    for n in range(a.shape[0]):
        part = np.float32(0)
        for p in range(a.shape[1]):
            part += a[n, p] * b[n, p]
        total += part
    return total
