"""What surrounds the scan in a Mamba-2 layer, on CPUs in float32: each a single pass over memory.

`mixers` holds the same steps in plain torch, which GPUs and other dtypes use and which the tests hold these to. Their
gradients are in `cpu_gradients`; `cpu_layers` joins the two for torch.
"""

import numpy as np

from ldarnet.model.jit import kernel
from ldarnet.model.vector_math import sigmoid


@kernel()
def conv_silu(
    first: int,
    last: int,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    out_x: np.ndarray,
    out_b: np.ndarray,
    out_c: np.ndarray,
) -> None:
    """SiLU of the depthwise convolution, each direction, of positions first..last-1 of all sequences.

    x [B, L, C], weight [dir, taps, C], bias [dir, C]; direction 0 looks at earlier bases, direction 1 at later ones.
    The channels are shared out to what the scan calls x, B and C, each [B, L, dir, size].
    """
    _, length, num_channels = x.shape
    num_directions, num_taps = weight.shape[:2]
    end_x = out_x.shape[3]
    end_b = end_x + out_b.shape[3]
    row = np.empty(num_channels, dtype=np.float32)
    for position in range(first, last):
        b, t = position // length, position % length
        for direction in range(num_directions):
            row[:] = bias[direction]
            for tap in range(num_taps):
                behind = num_taps - 1 - tap
                source = t - behind if direction == 0 else t + behind
                if 0 <= source < length:
                    for c in range(num_channels):
                        row[c] += weight[direction, tap, c] * x[b, source, c]
            for c in range(num_channels):
                row[c] *= sigmoid(row[c])
            out_x[b, t, direction, :] = row[:end_x]
            out_b[b, t, direction, :] = row[end_x:end_b]
            out_c[b, t, direction, :] = row[end_b:]


@kernel()
def gated_norm(
    first: int,
    last: int,
    y: np.ndarray,
    z: np.ndarray,
    weight: np.ndarray,
    scale: np.float32,
    eps: np.float32,
    out: np.ndarray,
) -> None:
    """out = scale * sum over directions of rms_norm(y * silu(z)) * weight: [B, L, dir, D], [B, L, D] -> [B, L, D]."""
    _, length, num_directions, width = y.shape
    gate = np.empty(width, dtype=np.float32)
    for position in range(first, last):
        b, t = position // length, position % length
        for i in range(width):
            gate[i] = z[b, t, i] * sigmoid(z[b, t, i])
        total = out[b, t]
        total[:] = 0
        for direction in range(num_directions):
            row = y[b, t, direction]
            squares = np.float32(0)
            for i in range(width):
                gated = row[i] * gate[i]
                squares += gated * gated
            factor = scale / np.sqrt(squares / np.float32(width) + eps)
            for i in range(width):
                total[i] += row[i] * gate[i] * factor * weight[direction, i]


@kernel()
def rms_norm(
    first: int,
    last: int,
    x: np.ndarray,
    weight: np.ndarray,
    eps: np.float32,
    out: np.ndarray,
) -> None:
    """out = x / rms(x) * weight over the last axis of [B, L, D]."""
    _, length, width = x.shape
    for position in range(first, last):
        b, t = position // length, position % length
        row = x[b, t]
        squares = np.float32(0)
        for i in range(width):
            squares += row[i] * row[i]
        factor = np.float32(1) / np.sqrt(squares / np.float32(width) + eps)
        for i in range(width):
            out[b, t, i] = row[i] * factor * weight[i]
