"""What the forward scan for CPUs and its gradient share: a block of steps, and how fast the state fades within it.

A block holds `STEPS` bases in reading order. With a[t] the sum of dt A up to base t, and S the state before the block,

    y[t] = exp(a[t]) C[t] S + sum over s <= t of exp(a[t] - a[s]) (C[t].B[s]) dt[s] x[s] + D x[t]
    S'   = exp(a[last]) S   + sum over s of exp(a[last] - a[s]) B[s] dt[s] x[s]

so that nearly all the work is in products of small matrices (Dao & Gu 2024, arXiv:2405.21060, section 6). Every
exponent is at most 0. Rows are padded with zeros to whole tiles.
"""

import numpy as np

from ldarnet.model.jit import kernel
from ldarnet.model.tiles import BLOCK, multiply, transpose
from ldarnet.model.vector_math import exp

STEPS = BLOCK
_TINY = np.float32(1e-30)
"""What has faded to less is taken as 0: numbers smaller than float32 can hold precisely are slow to compute with."""
_NEW, _ADD = np.float32(0), np.float32(1)


@kernel(inline=True)
def padded(size: int) -> int:
    """The next multiple of a tile."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


@kernel(inline=True)
def address(array: np.ndarray) -> np.intp:
    """Where the numbers of an array begin; the caller keeps it alive."""
    return np.intp(array.ctypes.data)


@kernel(inline=True)
def _clear(rows: np.ndarray, first: int) -> None:
    """Zeros from a row on."""
    for i in range(first, rows.shape[0]):
        for k in range(rows.shape[1]):
            rows[i, k] = 0


@kernel(inline=True)
def take_map(maps: np.ndarray, b: int, d: int, start: int, step: int, num: int, rows: np.ndarray) -> None:
    """Bases start, start + step, ... of maps [B, L, dir, N] into `rows` [STEPS, padded N]: `num` of them, zeros after.

    Whole arrays and indices are handed over, not slices: of a slice the compiler would not know that its rows lie side
    by side.
    """
    for i in range(num):
        source, row = maps[b, start + step * i, d], rows[i]
        for k in range(source.shape[0]):
            row[k] = source[k]
    _clear(rows, num)


@kernel(inline=True)
def turn(rows: np.ndarray, out: np.ndarray) -> None:
    """out[k, t] = rows[t, k]."""
    transpose(address(out), out.shape[1], address(rows), rows.shape[1], rows.shape[0], rows.shape[1])


@kernel(inline=True)
def take_rows(x: np.ndarray, b: int, d: int, h: int, start: int, step: int, num: int, rows: np.ndarray) -> None:
    """Rows start, start + step, ... of x [B, L, dir, H, P] into `rows` [STEPS, padded P], zeros after."""
    for i in range(num):
        source, row = x[b, start + step * i, d, h], rows[i]
        for p in range(source.shape[0]):
            row[p] = source[p]
    _clear(rows, num)


@kernel(inline=True)
def likeness(Bt: np.ndarray, C_rows: np.ndarray, out: np.ndarray) -> None:
    """out[t, s] = C[t].B[s], of B as [state, STEPS] and C as [STEPS, state]."""
    wide = C_rows.shape[1]
    multiply(address(out), STEPS, STEPS, STEPS, address(C_rows), wide, 1, address(Bt), STEPS, wide, _NEW)


@kernel(inline=True)
def fading(sizes: np.ndarray, rate: np.float32, kept: np.ndarray, since_start: np.ndarray, decay: np.ndarray) -> None:
    """kept[t, s] = exp(a[t] - a[s]) for s <= t, 0 elsewhere; since_start[t] = exp(a[t]); `decay` [STEPS] is scratch."""
    for t in range(STEPS):
        decay[t] = exp(sizes[t] * rate)
    whole = np.float32(1)
    for t in range(STEPS):
        whole *= decay[t]
        since_start[t] = whole
        last = kept[max(t - 1, 0)]  # of the first row only the 1 stays
        for s in range(STEPS):
            left = last[s] * decay[t] if s < t else np.float32(0)
            left = left if left > _TINY else np.float32(0)
            kept[t, s] = np.float32(1) if s == t else left


@kernel(inline=True)
def scaled(maps: np.ndarray, factors: np.ndarray, out: np.ndarray) -> None:
    """out[n, t] = maps[n, t] * factors[t]."""
    for n in range(maps.shape[0]):
        for t in range(STEPS):
            out[n, t] = maps[n, t] * factors[t]


@kernel(inline=True)
def scaled_rows(rows: np.ndarray, factors: np.ndarray, out: np.ndarray) -> None:
    """out[t, n] = rows[t, n] * factors[t]."""
    for t in range(STEPS):
        source, target, factor = rows[t], out[t], factors[t]
        for n in range(source.shape[0]):
            target[n] = source[n] * factor


@kernel(inline=True)
def add_scaled(row: np.ndarray, other: np.ndarray, factor: np.float32, out: np.ndarray) -> None:
    """out = row + factor * other, of as many numbers as out has."""
    for p in range(out.shape[0]):
        out[p] = row[p] + factor * other[p]


@kernel(inline=True)
def advance(state: np.ndarray, to_end: np.ndarray, x: int, x_row: int, left: np.float32) -> None:
    """Move the state [N, P] on by a block: left * state + sum over s of to_end[s] x[s], to_end [STEPS, N]."""
    num_state, dim = state.shape
    multiply(address(state), dim, num_state, dim, address(to_end), 1, num_state, x, x_row, STEPS, left)
