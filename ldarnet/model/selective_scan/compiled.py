"""The recurrence for CPUs, compiled by numba: vectors run along channels, the state of a block of them stays in cache.

Every (sequence, direction, block of channels) is one independent scan, and these run in parallel. Within one, the
state is [state, channels] floats (4 kB at 16 x 64), so that no loop adds up across the numbers of a vector.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ldarnet.model.jit import kernel, run_in_pieces
from ldarnet.model.selective_scan.compiled_gradient import gradients
from ldarnet.model.selective_scan.decay import exp_of_product

BLOCK_CHANNELS = 64
KEEP_EVERY = 16


def selective_scan_compiled(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs y of the recurrence, in the dtype of x, computed in float32; shapes as in `reference`."""
    inputs = [t.float() for t in (x, dt, A, B, C, D)]
    keeps_states = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
    y: Tensor = _Scan.apply(keeps_states, *inputs)
    return y.to(x.dtype)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, keeps_states: bool, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor
    ) -> Tensor:
        batch, length, num_dir, num_channels = x.shape
        num_kept = -(-length // KEEP_EVERY) if keeps_states else 0
        kept = torch.empty((batch, num_dir, num_kept, A.shape[2], num_channels))
        y = torch.empty(x.shape)
        num_blocks = -(-num_channels // BLOCK_CHANNELS)
        arrays = _arrays(x, dt, A.transpose(1, 2), B, C, D)
        run_in_pieces(_forward, batch * num_dir * num_blocks, *arrays, y.numpy(), kept.numpy())
        ctx.save_for_backward(x, dt, A, B, C, D, kept)
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, dt, A, B, C, D, kept = ctx.saved_tensors  # type: ignore[attr-defined]
        dx, ddt, dB, dC = torch.empty(x.shape), torch.empty(dt.shape), torch.zeros(B.shape), torch.zeros(C.shape)
        rates = A.transpose(1, 2)
        # One term per sequence, added up below: no two scans write the same place.
        dA, dD = torch.zeros((x.shape[0], *rates.shape)), torch.zeros((x.shape[0], *D.shape))
        outputs = [t.numpy() for t in (dx, ddt, dA, dB, dC, dD)]
        arrays = _arrays(x, dt, rates, B, C, D, kept, grads[0].float())
        run_in_pieces(gradients, x.shape[0] * x.shape[2], BLOCK_CHANNELS, KEEP_EVERY, *arrays, *outputs)
        return None, dx, ddt, dA.sum(0).transpose(1, 2), dB, dC, dD.sum(0)


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
    kept: np.ndarray,
) -> None:
    """Outputs of scans first..last-1; `kept` takes the state before every KEEP_EVERY-th step, where it has room."""
    _, length, num_dir, num_channels = x.shape
    num_state = B.shape[3]
    num_blocks = (num_channels + BLOCK_CHANNELS - 1) // BLOCK_CHANNELS
    state = np.empty((num_state, BLOCK_CHANNELS), dtype=np.float32)
    inputs = np.empty(BLOCK_CHANNELS, dtype=np.float32)
    decay = np.empty(BLOCK_CHANNELS, dtype=np.float32)
    for scan in range(first_scan, last_scan):
        sequence, block = scan // num_blocks, scan % num_blocks
        b, d = sequence // num_dir, sequence % num_dir
        low = block * BLOCK_CHANNELS
        width = min(BLOCK_CHANNELS, num_channels - low)
        state[:] = 0
        for step in range(length):
            t = step if d == 0 else length - 1 - step
            if kept.shape[2] and step % KEEP_EVERY == 0:
                for n in range(num_state):
                    for c in range(width):
                        kept[b, d, step // KEEP_EVERY, n, low + c] = state[n, c]
            sizes = dt[b, t, d, low : low + width]
            u = x[b, t, d, low : low + width]
            out = y[b, t, d, low : low + width]
            for c in range(width):
                inputs[c] = sizes[c] * u[c]
                out[c] = D[d, low + c] * u[c]
            for n in range(num_state):
                exp_of_product(sizes, A[d, n, low : low + width], decay)
                _advance(state[n], decay, inputs, B[b, t, d, n], C[b, t, d, n], out)


@kernel(inline=True)
def _advance(
    state: np.ndarray, decay: np.ndarray, inputs: np.ndarray, B: np.float32, C: np.float32, out: np.ndarray
) -> None:
    """One number of the state of every channel moves on by one base and is read."""
    for c in range(out.shape[0]):
        s = decay[c] * state[c] + inputs[c] * B
        state[c] = s
        out[c] += s * C
