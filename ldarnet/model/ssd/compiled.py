"""The recurrence for CPUs: compiled by numba, the state kept in the first-level cache.

Every (sequence, direction, head) is one independent scan, and these run in parallel. Within a scan the state is
[dim, state] floats (32 kB at 64 x 128). Two rows and two bases are advanced together, so that each load of the state,
of B and of C serves twice.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ldarnet.model.jit import kernel, run_in_pieces
from ldarnet.model.ssd.compiled_gradient import gradients


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
        x, dt, A, B, C, D = saved
        dx, ddt, dB, dC = torch.empty(x.shape), torch.empty(dt.shape), torch.zeros(B.shape), torch.zeros(C.shape)
        # One term per sequence, added up below: no two scans write the same place.
        dA, dD = torch.empty((x.shape[0], *A.shape)), torch.empty((x.shape[0], *D.shape))
        outputs = [t.numpy() for t in (dx, ddt, dA, dB, dC, dD)]
        run_in_pieces(gradients, x.shape[0] * x.shape[2], *_arrays(*saved), *_arrays(grads[0].float()), *outputs)
        return dx, ddt, dA.sum(0), dB, dC, dD.sum(0)


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


@kernel(inline=True)
def _update(state: np.ndarray, decay: np.float32, dt: np.float32, x: np.ndarray, B: np.ndarray) -> None:
    for p in range(state.shape[0]):
        row, u = state[p], dt * x[p]
        for n in range(state.shape[1]):
            row[n] = decay * row[n] + u * B[n]
