"""Gradients of the kernels in `cpu_kernels`, in the same order and with the same shapes.

Items are sequences. Gradients of weights come out per sequence, to be added up by the caller: the sum is then the same
however many threads there are.
"""

import numpy as np

from ldarnet.model.jit import kernel
from ldarnet.model.vector_math import sigmoid


@kernel()
def conv_silu_gradient(
    first: int,
    last: int,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    grad_x: np.ndarray,
    grad_b: np.ndarray,
    grad_c: np.ndarray,
    dx: np.ndarray,
    dweight: np.ndarray,
    dbias: np.ndarray,
) -> None:
    """Add to dx [B, L, C], dweight [B, dir, taps, C] and dbias [B, dir, C], which come as zeros."""
    _, length, num_channels = x.shape
    num_directions, num_taps = weight.shape[:2]
    end_x = grad_x.shape[3]
    end_b = end_x + grad_b.shape[3]
    row = np.empty(num_channels, dtype=np.float32)
    gate = np.empty(num_channels, dtype=np.float32)
    grad = np.empty(num_channels, dtype=np.float32)
    for b in range(first, last):
        for t in range(length):
            for direction in range(num_directions):
                row[:] = bias[direction]
                for tap in range(num_taps):
                    behind = num_taps - 1 - tap
                    source = t - behind if direction == 0 else t + behind
                    if 0 <= source < length:
                        for c in range(num_channels):
                            row[c] += weight[direction, tap, c] * x[b, source, c]
                for c in range(num_channels):
                    gate[c] = sigmoid(row[c])
                grad[:end_x] = grad_x[b, t, direction]
                grad[end_x:end_b] = grad_b[b, t, direction]
                grad[end_b:] = grad_c[b, t, direction]
                for c in range(num_channels):
                    grad[c] *= gate[c] * (np.float32(1) + row[c] * (np.float32(1) - gate[c]))
                    dbias[b, direction, c] += grad[c]
                for tap in range(num_taps):
                    behind = num_taps - 1 - tap
                    source = t - behind if direction == 0 else t + behind
                    if 0 <= source < length:
                        for c in range(num_channels):
                            dx[b, source, c] += weight[direction, tap, c] * grad[c]
                        for c in range(num_channels):
                            dweight[b, direction, tap, c] += x[b, source, c] * grad[c]


@kernel()
def gated_norm_gradient(
    first: int,
    last: int,
    y: np.ndarray,
    z: np.ndarray,
    weight: np.ndarray,
    scale: np.float32,
    eps: np.float32,
    grad: np.ndarray,
    dy: np.ndarray,
    dz: np.ndarray,
    dweight: np.ndarray,
) -> None:
    """Fill dy [B, L, dir, D] and dz [B, L, D]; add to dweight [B, dir, D], which comes as zeros."""
    _, length, num_directions, width = y.shape
    row_z = np.empty(width, dtype=np.float32)
    share = np.empty(width, dtype=np.float32)
    gate = np.empty(width, dtype=np.float32)
    gated = np.empty(width, dtype=np.float32)
    to_gate = np.empty(width, dtype=np.float32)
    for b in range(first, last):
        for t in range(length):
            row_z[:] = z[b, t]
            for i in range(width):
                share[i] = sigmoid(row_z[i])
            for i in range(width):
                gate[i] = row_z[i] * share[i]
            to_gate[:] = 0
            for direction in range(num_directions):
                row, out = y[b, t, direction], dy[b, t, direction]
                squares = np.float32(0)
                along = np.float32(0)
                for i in range(width):
                    gated[i] = row[i] * gate[i]
                # A loop that sums and stores is run in another order where its arrays happen to lie close together.
                for i in range(width):
                    squares += gated[i] * gated[i]
                    along += gated[i] * grad[b, t, i] * weight[direction, i]
                factor = np.float32(1) / np.sqrt(squares / np.float32(width) + eps)
                pull = scale * along * factor * factor * factor / np.float32(width)
                for i in range(width):
                    dweight[b, direction, i] += scale * factor * gated[i] * grad[b, t, i]
                for i in range(width):
                    to_gated = scale * factor * weight[direction, i] * grad[b, t, i] - pull * gated[i]
                    out[i] = to_gated * gate[i]
                    to_gate[i] += to_gated * row[i]
            for i in range(width):
                slope = share[i] * (np.float32(1) + row_z[i] * (np.float32(1) - share[i]))
                dz[b, t, i] = to_gate[i] * slope


@kernel()
def rms_norm_gradient(
    first: int,
    last: int,
    x: np.ndarray,
    weight: np.ndarray,
    eps: np.float32,
    grad: np.ndarray,
    dx: np.ndarray,
    dweight: np.ndarray,
) -> None:
    """Fill dx [B, L, D]; add to dweight [B, D], which comes as zeros."""
    _, length, width = x.shape
    for b in range(first, last):
        for t in range(length):
            row = x[b, t]
            squares = np.float32(0)
            along = np.float32(0)
            for i in range(width):
                squares += row[i] * row[i]
                along += row[i] * grad[b, t, i] * weight[i]
            factor = np.float32(1) / np.sqrt(squares / np.float32(width) + eps)
            pull = along * factor * factor * factor / np.float32(width)
            for i in range(width):
                dweight[b, i] += factor * row[i] * grad[b, t, i]
            for i in range(width):
                dx[b, t, i] = factor * weight[i] * grad[b, t, i] - pull * row[i]
