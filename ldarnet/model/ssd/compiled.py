"""The recurrence for CPUs: compiled by numba, the state kept in the first-level cache, forward and backward.

Every (sequence, direction, head) is one independent scan, and these run in parallel. Within a scan the state is
[dim, state] floats (32 kB at 64 x 128). Two rows and two bases are advanced together, so that each load of the state,
of B and of C serves twice.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ldarnet.model.jit import kernel, run_in_pieces

_KEEP_EVERY = 16
"""The backward pass stores the state every this many bases and recomputes those between."""


def ssd_compiled(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs y of the recurrence, in the dtype of x, computed in float32; shapes as in `reference`."""
    y: Tensor = _Scan.apply(*(t.float() for t in (x, dt, A, B, C, D)))
    return y.to(x.dtype)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
        ctx.save_for_backward(x, dt, A, B, C, D)
        y = torch.empty(x.shape, dtype=torch.float32)
        run_in_pieces(_forward, _num_scans(x), *_arrays(x, dt, A, B, C, D), y.numpy())
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, ...]:
        saved = ctx.saved_tensors  # type: ignore[attr-defined]
        x, dt, A, B, _, D = saved
        dx, ddt = torch.empty(x.shape), torch.empty(dt.shape)
        # dA and D have one term per sequence, dB and dC one per head: no two scans write the same place.
        dA, dD = torch.empty((x.shape[0], *A.shape)), torch.empty((x.shape[0], *D.shape))
        per_head = (*x.shape[:4], B.shape[-1])
        dB, dC = torch.empty(per_head), torch.empty(per_head)
        outputs = [t.numpy() for t in (dx, ddt, dA, dB, dC, dD)]
        run_in_pieces(_backward, _num_scans(x), *_arrays(*saved), *_arrays(grads[0].float()), *outputs)
        return dx, ddt, dA.sum(0), dB.sum(3), dC.sum(3), dD.sum(0)


def _num_scans(x: Tensor) -> int:
    return x.shape[0] * x.shape[2] * x.shape[3]


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [t.detach().contiguous().numpy() for t in tensors]


@kernel()
def _forward(
    first_scan: int,
    last_scan: int,
    x: np.ndarray,
    dt: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    y: np.ndarray,
) -> None:
    _, length, num_dir, num_heads, dim = x.shape
    for scan in range(first_scan, last_scan):
        b, rest = scan // (num_dir * num_heads), scan % (num_dir * num_heads)
        d, h = rest // num_heads, rest % num_heads
        state = np.zeros((dim, B.shape[3]), dtype=np.float32)
        for step in range(0, length - 1, 2):
            t0 = step if d == 0 else length - 1 - step
            t1 = t0 + 1 if d == 0 else t0 - 1
            dt0, dt1 = dt[b, t0, d, h], dt[b, t1, d, h]
            _advance_two(
                state,
                np.exp(dt0 * A[d, h]),
                np.exp(dt1 * A[d, h]),
                dt0,
                dt1,
                x[b, t0, d, h],
                x[b, t1, d, h],
                B[b, t0, d],
                B[b, t1, d],
                C[b, t0, d],
                C[b, t1, d],
                D[d, h],
                y[b, t0, d, h],
                y[b, t1, d, h],
            )
        if length % 2:
            t = length - 1 if d == 0 else 0
            step_size = dt[b, t, d, h]
            _update(state, np.exp(step_size * A[d, h]), step_size, x[b, t, d, h], B[b, t, d])
            _read(state, x[b, t, d, h], C[b, t, d], D[d, h], y[b, t, d, h])


@kernel(inline=True)
def _advance_two(
    state: np.ndarray,
    decay0: np.float32,
    decay1: np.float32,
    dt0: np.float32,
    dt1: np.float32,
    x0: np.ndarray,
    x1: np.ndarray,
    B0: np.ndarray,
    B1: np.ndarray,
    C0: np.ndarray,
    C1: np.ndarray,
    D: np.float32,
    y0: np.ndarray,
    y1: np.ndarray,
) -> None:
    """Move the state on by two bases and write their outputs: one load and store of the state for both."""
    dim, num_state = state.shape
    for p in range(0, dim - 1, 2):
        row, next_row = state[p], state[p + 1]
        u0, v0 = dt0 * x0[p], dt0 * x0[p + 1]
        u1, v1 = dt1 * x1[p], dt1 * x1[p + 1]
        a0 = a1 = b0 = b1 = np.float32(0)
        for n in range(num_state):
            s = decay0 * row[n] + u0 * B0[n]
            r = decay0 * next_row[n] + v0 * B0[n]
            a0 += s * C0[n]
            b0 += r * C0[n]
            s = decay1 * s + u1 * B1[n]
            r = decay1 * r + v1 * B1[n]
            a1 += s * C1[n]
            b1 += r * C1[n]
            row[n] = s
            next_row[n] = r
        y0[p] = a0 + D * x0[p]
        y0[p + 1] = b0 + D * x0[p + 1]
        y1[p] = a1 + D * x1[p]
        y1[p + 1] = b1 + D * x1[p + 1]
    if dim % 2:
        row, p = state[dim - 1], dim - 1
        a0 = a1 = np.float32(0)
        for n in range(num_state):
            s = decay0 * row[n] + dt0 * x0[p] * B0[n]
            a0 += s * C0[n]
            s = decay1 * s + dt1 * x1[p] * B1[n]
            a1 += s * C1[n]
            row[n] = s
        y0[p] = a0 + D * x0[p]
        y1[p] = a1 + D * x1[p]


@kernel(inline=True)
def _read(state: np.ndarray, x: np.ndarray, C: np.ndarray, D: np.float32, y: np.ndarray) -> None:
    for p in range(state.shape[0]):
        row, total = state[p], np.float32(0)
        for n in range(state.shape[1]):
            total += row[n] * C[n]
        y[p] = total + D * x[p]


@kernel()
def _backward(
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
    _, length, num_dir, num_heads, dim = x.shape
    num_state = B.shape[3]
    num_kept = (length + _KEEP_EVERY - 1) // _KEEP_EVERY
    for scan in range(first_scan, last_scan):
        b, rest = scan // (num_dir * num_heads), scan % (num_dir * num_heads)
        d, h = rest // num_heads, rest % num_heads
        # Forward once more, keeping the state that enters every block of _KEEP_EVERY bases.
        kept = np.zeros((num_kept + 1, dim, num_state), dtype=np.float32)
        for block in range(num_kept):
            kept[block + 1] = kept[block]
            for step in range(block * _KEEP_EVERY, min((block + 1) * _KEEP_EVERY, length)):
                t = step if d == 0 else length - 1 - step
                decay = np.exp(dt[b, t, d, h] * A[d, h])
                _update(kept[block + 1], decay, dt[b, t, d, h], x[b, t, d, h], B[b, t, d])
        # Then backwards: `grad` is the gradient of the state that leaves the base at hand.
        grad = np.zeros((dim, num_state), dtype=np.float32)
        states = np.empty((_KEEP_EVERY + 1, dim, num_state), dtype=np.float32)
        sum_dA = np.float32(0)
        sum_dD = np.float32(0)
        for block in range(num_kept - 1, -1, -1):
            first, last = block * _KEEP_EVERY, min((block + 1) * _KEEP_EVERY, length)
            states[0] = kept[block]
            for step in range(first, last):
                t = step if d == 0 else length - 1 - step
                decay = np.exp(dt[b, t, d, h] * A[d, h])
                states[step - first + 1] = states[step - first]
                _update(states[step - first + 1], decay, dt[b, t, d, h], x[b, t, d, h], B[b, t, d])
            for step in range(last - 1, first - 1, -1):
                t = step if d == 0 else length - 1 - step
                decay = np.exp(dt[b, t, d, h] * A[d, h])
                before, after = states[step - first], states[step - first + 1]
                gB, gC = dB[b, t, d, h], dC[b, t, d, h]
                gB[:] = 0
                gC[:] = 0
                d_decay = np.float32(0)
                d_step = np.float32(0)
                for p in range(dim):
                    xp, yp = x[b, t, d, h, p], dy[b, t, d, h, p]
                    g, old, new = grad[p], before[p], after[p]
                    to_x = np.float32(0)
                    to_decay = np.float32(0)
                    u = dt[b, t, d, h] * xp
                    for n in range(num_state):
                        gn = g[n] + yp * C[b, t, d, n]
                        gC[n] += yp * new[n]
                        gB[n] += u * gn
                        to_x += gn * B[b, t, d, n]
                        to_decay += gn * old[n]
                        g[n] = decay * gn
                    dx[b, t, d, h, p] = dt[b, t, d, h] * to_x + D[d, h] * yp
                    d_step += xp * to_x
                    d_decay += to_decay
                    sum_dD += xp * yp
                ddt[b, t, d, h] = d_step + d_decay * decay * A[d, h]
                sum_dA += d_decay * decay * dt[b, t, d, h]
        dA[b, d, h] = sum_dA
        dD[b, d, h] = sum_dD


@kernel(inline=True)
def _update(state: np.ndarray, decay: np.float32, dt: np.float32, x: np.ndarray, B: np.ndarray) -> None:
    for p in range(state.shape[0]):
        row, u = state[p], dt * x[p]
        for n in range(state.shape[1]):
            row[n] = decay * row[n] + u * B[n]
