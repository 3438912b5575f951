"""The recurrence for CPUs: compiled by numba, blocks of steps as products of small matrices (see `steps`).

Every (sequence, direction, group of heads) is one independent piece of work, and these run in parallel. The state of
a head is [state, dim] floats (32 kB at 128 x 64), which the second-level cache hands to the products once per block.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ldarnet.model.bfloat16_tiles import multiply_pairs, pair_row, pair_rows
from ldarnet.model.cpu_precision import native_bfloat16
from ldarnet.model.jit import kernel, run_in_pieces
from ldarnet.model.ssd.compiled_gradient import gradients
from ldarnet.model.ssd.steps import (
    STEPS,
    add_scaled,
    address,
    advance,
    fading,
    likeness,
    padded,
    scaled_rows,
    take_map,
    take_rows,
    turn,
)
from ldarnet.model.tiles import multiply

_NEW = np.float32(0)


def ssd_compiled(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs y of the recurrence, in the dtype of x, computed in float32; shapes as in `reference`."""
    # Asked here: inside the function gradients are off, and the answer would be that of inference.
    pairs = native_bfloat16()
    y: Tensor = _Scan.apply(pairs, *(t.float() for t in (x, dt, A, B, C, D)))
    return y.to(x.dtype)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, pairs: bool | None, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, dt, A, B, C, D)
        y = torch.empty(x.shape, dtype=torch.float32)
        num_runs, num_heads = x.shape[0] * x.shape[2], x.shape[3]
        # Heads of a run share what does not depend on the head; they part only where cores would stand idle.
        num_groups = min(num_heads, -(-torch.get_num_threads() // num_runs)) if num_runs else 1
        run_in_pieces(_forward, num_runs * num_groups, num_groups, pairs, *_arrays(x, dt, A, B, C, D), y.numpy())
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # type: ignore[attr-defined]
        x, dt, A, B, C, D = saved
        dx, ddt, dB, dC = (torch.empty(t.shape) for t in (x, dt, B, C))
        # One term per sequence, added up below: no two scans write the same place.
        dA, dD = torch.empty((x.shape[0], *A.shape)), torch.empty((x.shape[0], *D.shape))
        outputs = [t.numpy() for t in (dx, ddt, dA, dB, dC, dD)]
        run_in_pieces(gradients, x.shape[0] * x.shape[2], *_arrays(*saved), *_arrays(grads[0].float()), *outputs)
        return None, dx, ddt, dA.sum(0), dB, dC, dD.sum(0)


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [t.detach().contiguous().numpy() for t in tensors]


@kernel()
def _forward(
    first: int,
    last: int,
    num_groups: int,
    pairs: bool | None,
    x: np.ndarray,
    dt: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    y: np.ndarray,
) -> None:
    """Runs of heads first..last-1; where `pairs` is not None, the large products take bfloat16 numbers."""
    _, length, num_dir, num_heads, dim = x.shape
    wide_dim, wide_state = padded(dim), padded(B.shape[3])
    heads_per_group = (num_heads + num_groups - 1) // num_groups
    states = np.empty((heads_per_group, wide_state, wide_dim), dtype=np.float32)
    B_rows = np.zeros((STEPS, wide_state), dtype=np.float32)
    C_rows = np.zeros_like(B_rows)
    Bt = np.empty((wide_state, STEPS), dtype=np.float32)
    alike = np.empty((STEPS, STEPS), dtype=np.float32)
    kept = np.empty((STEPS, STEPS), dtype=np.float32)
    x_rows = np.zeros((STEPS, wide_dim), dtype=np.float32)
    left_rows, y_rows, before_rows = np.empty_like(x_rows), np.empty_like(x_rows), np.empty_like(x_rows)
    at_before, at_y = address(before_rows), address(y_rows)
    if pairs is not None:
        C_pairs = np.empty((STEPS, wide_state // 2), dtype=np.int32)
        B_pairs = np.empty((STEPS // 2, wide_state), dtype=np.int32)
        kept_pairs = np.empty((STEPS, STEPS // 2), dtype=np.int32)
        x_pairs = np.empty((STEPS // 2, wide_dim), dtype=np.int32)
        left_pairs = np.empty_like(x_pairs)
        state_pairs = np.empty((wide_state // 2, wide_dim), dtype=np.int32)
    sizes = np.empty(STEPS, dtype=np.float32)
    since_start, weights = np.empty(STEPS, dtype=np.float32), np.empty(STEPS, dtype=np.float32)
    for item in range(first, last):
        run, group = item // num_groups, item % num_groups
        b, d = run // num_dir, run % num_dir
        step = 1 if d == 0 else -1
        first_head = group * heads_per_group
        last_head = min(num_heads, first_head + heads_per_group)
        states[:] = 0
        for done in range(0, length, STEPS):
            num = min(STEPS, length - done)
            start = done if d == 0 else length - 1 - done
            take_map(B, b, d, start, step, num, B_rows)
            take_map(C, b, d, start, step, num, C_rows)
            turn(B_rows, Bt)
            likeness(Bt, C_rows, alike)
            if pairs is not None:
                pair_row(address(C_rows), STEPS * wide_state, address(C_pairs))
                pair_rows(address(B_rows), wide_state, STEPS, wide_state, address(B_pairs))
            for h in range(first_head, last_head):
                for i in range(STEPS):
                    sizes[i] = dt[b, start + step * i, d, h] if i < num else np.float32(0)
                fading(sizes, A[d, h], kept, since_start, weights)
                for s in range(STEPS):
                    weights[s] = kept[STEPS - 1, s] * sizes[s]
                for t in range(STEPS):
                    for s in range(STEPS):
                        kept[t, s] *= alike[t, s] * sizes[s]
                    kept[t, t] += D[d, h]
                take_rows(x, b, d, h, start, step, num, x_rows)
                scaled_rows(x_rows, weights, left_rows)
                state = states[h - first_head]
                # What the state says, and what the block itself does; then the state moves on.
                left, at_state = since_start[STEPS - 1], address(state)
                if pairs is None:
                    at_C, at_kept, at_x = address(C_rows), address(kept), address(x_rows)
                    multiply(
                        at_before, wide_dim, STEPS, wide_dim, at_C, wide_state, 1, at_state, wide_dim, wide_state, _NEW
                    )
                    multiply(at_y, wide_dim, STEPS, wide_dim, at_kept, STEPS, 1, at_x, wide_dim, STEPS, _NEW)
                    advance(state, B_rows, address(left_rows), wide_dim, left)
                else:
                    at_C, at_kept, at_x, at_left = (
                        address(C_pairs),
                        address(kept_pairs),
                        address(x_pairs),
                        address(left_pairs),
                    )
                    pair_row(address(kept), STEPS * STEPS, at_kept)
                    pair_rows(address(x_rows), wide_dim, STEPS, wide_dim, at_x)
                    pair_rows(address(left_rows), wide_dim, STEPS, wide_dim, at_left)
                    pair_rows(at_state, wide_dim, wide_state, wide_dim, address(state_pairs))
                    half = wide_state // 2
                    multiply_pairs(
                        at_before, wide_dim, STEPS, wide_dim, at_C, half, 1, address(state_pairs), wide_dim, half, _NEW
                    )
                    half = STEPS // 2
                    multiply_pairs(at_y, wide_dim, STEPS, wide_dim, at_kept, half, 1, at_x, wide_dim, half, _NEW)
                    multiply_pairs(
                        at_state,
                        wide_dim,
                        wide_state,
                        wide_dim,
                        address(B_pairs),
                        1,
                        wide_state,
                        at_left,
                        wide_dim,
                        half,
                        left,
                    )
                for i in range(num):
                    add_scaled(y_rows[i], before_rows[i], since_start[i], y[b, start + step * i, d, h])
