"""What comes before and after the scan in a Mamba-2 layer, on CPUs in float32, when no gradient is asked.

A stretch of `ROWS` bases goes through norm, projection and convolution while it lies in the cache; another through
gate, norm, projection and residual sum. `whole_layer` joins the two with the scan; `mixers` holds the same steps one
by one.
"""

import numpy as np

from ldarnet.model.bfloat16_tiles import multiply_pairs, pair_row
from ldarnet.model.jit import kernel
from ldarnet.model.ssd.steps import address
from ldarnet.model.tiles import BLOCK, multiply
from ldarnet.model.vector_math import sigmoid, softplus

ROWS = 4 * BLOCK
_NEW, _ADD = np.float32(0), np.float32(1)


@kernel()
def enter(
    first: int,
    last: int,
    x: np.ndarray,
    lengths: np.ndarray,
    norm_weight: np.ndarray,
    eps: np.float32,
    pairs: bool | None,
    w_gate: np.ndarray,
    w_maps: np.ndarray,
    w_step: np.ndarray,
    taps: np.ndarray,
    bias: np.ndarray,
    step_bias: np.ndarray,
    z: np.ndarray,
    out_x: np.ndarray,
    out_b: np.ndarray,
    out_c: np.ndarray,
    steps: np.ndarray,
) -> None:
    """From the residual stream x [B, L, D] to what the scan and the gate need; items are stretches of a sequence.

    The projections w_gate [D, inner], w_maps [D, C] and w_step [D, padded H] are transposed, and where `pairs` is not
    None pairs of bfloat16 numbers along D; taps [dir, taps, C], bias
    [dir, C], step_bias [dir, H]. Fills z [B, L, inner], out_x, out_b and out_c [B, L, dir, size], steps [B, L, dir, H].
    Bases from lengths[b] on are padding: their projections and steps are 0.
    """
    _, length, width = x.shape
    num_directions, num_taps, num_channels = taps.shape
    reach = num_taps - 1
    per_item = ROWS - 2 * reach
    items_per_sequence = (length + per_item - 1) // per_item
    end_x = out_x.shape[3]
    end_b = end_x + out_b.shape[3]
    num_heads = steps.shape[3]
    rows = np.zeros((ROWS, width), dtype=np.float32)
    maps = np.empty((ROWS, num_channels), dtype=np.float32)
    gates = np.empty((ROWS, w_gate.shape[1]), dtype=np.float32)
    raw_steps = np.empty((ROWS, w_step.shape[1]), dtype=np.float32)
    row = np.empty(num_channels, dtype=np.float32)
    if pairs is not None:
        row_pairs = np.empty((ROWS, width // 2), dtype=np.int32)
    for item in range(first, last):
        b, start = item // items_per_sequence, item % items_per_sequence * per_item
        origin = start - reach
        end = min(start + per_item, length)
        for i in range(ROWS):
            t = origin + i
            if 0 <= t < min(end + reach, lengths[b]):
                squares = np.float32(0)
                for k in range(width):
                    squares += x[b, t, k] * x[b, t, k]
                factor = np.float32(1) / np.sqrt(squares / np.float32(width) + eps)
                for k in range(width):
                    rows[i, k] = x[b, t, k] * factor * norm_weight[k]
            else:
                for k in range(width):
                    rows[i, k] = 0
        if pairs is None:
            _project(rows, w_maps, maps)
            _project(rows, w_gate, gates)
            _project(rows, w_step, raw_steps)
        else:
            pair_row(address(rows), ROWS * width, address(row_pairs))
            _project_pairs(row_pairs, w_maps, maps)
            _project_pairs(row_pairs, w_gate, gates)
            _project_pairs(row_pairs, w_step, raw_steps)
        for t in range(start, end):
            i = t - origin
            for k in range(end_x):
                z[b, t, k] = gates[i, k]
            for direction in range(num_directions):
                for c in range(num_channels):
                    row[c] = bias[direction, c]
                for tap in range(num_taps):
                    source = i - reach + tap if direction == 0 else i + reach - tap
                    for c in range(num_channels):
                        row[c] += taps[direction, tap, c] * maps[source, c]
                _silu(row[:end_x], out_x[b, t, direction])
                _silu(row[end_x:end_b], out_b[b, t, direction])
                _silu(row[end_b:], out_c[b, t, direction])
                for h in range(num_heads):
                    size = softplus(raw_steps[i, h] + step_bias[direction, h])
                    steps[b, t, direction, h] = size if t < lengths[b] else np.float32(0)


@kernel()
def leave(
    first: int,
    last: int,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    norm_weight: np.ndarray,
    scale: np.float32,
    eps: np.float32,
    pairs: bool | None,
    w_out: np.ndarray,
    out: np.ndarray,
) -> None:
    """out = x + (scale * sum over directions of rms_norm(y * silu(z)) * norm_weight) w_out; items are stretches.

    x and out [R, D], y [R, dir, inner], z [R, inner], norm_weight [dir, inner], w_out [inner, D] (transposed; pairs
    as in `enter`).
    """
    num_rows, width = x.shape
    inner = z.shape[1]
    combined = np.zeros((ROWS, inner), dtype=np.float32)
    result = np.zeros((ROWS, width), dtype=np.float32)
    gate = np.empty(inner, dtype=np.float32)
    if pairs is not None:
        combined_pairs = np.empty((ROWS, inner // 2), dtype=np.int32)
    for item in range(first, last):
        start = item * ROWS
        num = min(ROWS, num_rows - start)
        for i in range(num):
            t = start + i
            for k in range(inner):
                gate[k] = z[t, k] * sigmoid(z[t, k])
                combined[i, k] = 0
            for direction in range(norm_weight.shape[0]):
                squares = np.float32(0)
                for k in range(inner):
                    gated = y[t, direction, k] * gate[k]
                    squares += gated * gated
                factor = scale / np.sqrt(squares / np.float32(inner) + eps)
                for k in range(inner):
                    combined[i, k] += y[t, direction, k] * gate[k] * factor * norm_weight[direction, k]
            for k in range(width):
                result[i, k] = x[t, k]
        at_result, at_weight = address(result), address(w_out)
        if pairs is None:
            multiply(at_result, width, ROWS, width, address(combined), inner, 1, at_weight, width, inner, _ADD)
        else:
            pair_row(address(combined), ROWS * inner, address(combined_pairs))
            half = inner // 2
            multiply_pairs(
                at_result, width, ROWS, width, address(combined_pairs), half, 1, at_weight, width, half, _ADD
            )
        for i in range(num):
            for k in range(width):
                out[start + i, k] = result[i, k]


@kernel(inline=True)
def _project(rows: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    width, num_columns = weight.shape
    multiply(
        address(out), num_columns, ROWS, num_columns, address(rows), width, 1, address(weight), num_columns, width, _NEW
    )


@kernel(inline=True)
def _project_pairs(rows: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    half, num_columns = weight.shape
    multiply_pairs(
        address(out), num_columns, ROWS, num_columns, address(rows), half, 1, address(weight), num_columns, half, _NEW
    )


@kernel(inline=True)
def _silu(row: np.ndarray, out: np.ndarray) -> None:
    """out = row * sigmoid(row). Handed slices: loops from 0 on vectorise, loops that start elsewhere do not."""
    for c in range(row.shape[0]):
        out[c] = row[c] * sigmoid(row[c])
