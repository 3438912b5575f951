"""Norms, projections and the router's comparison on rows of the residual stream, for tracks on CPUs.

A stretch of `ROWS` rows goes through its steps while it lies in the cache. `attention`, `mixers` and `router` hold the
same steps one by one.
"""

import numpy as np
import torch
from torch import Tensor

from ldarnet.model.bfloat16_tiles import multiply_pairs, pair_row, paired
from ldarnet.model.cpu_precision import native_bfloat16
from ldarnet.model.jit import kernel, run_in_pieces
from ldarnet.model.mixers import NORM_EPS
from ldarnet.model.ssd.steps import address
from ldarnet.model.tiles import BLOCK, multiply

ROWS = 4 * BLOCK
_NEW, _ADD = np.float32(0), np.float32(1)
_SHORTEST = np.float32(1e-12)
"""Vectors shorter than this are not scaled to length 1, as in torch's `normalize`."""


def norm_and_project(x: Tensor, norm_weight: Tensor, weight: Tensor) -> Tensor:
    """rms_norm(x) weight^T of rows x [.., D], weight [C, D]: [.., C], D and C multiples of 16."""
    pairs = native_bfloat16()
    out = torch.empty(*x.shape[:-1], len(weight))
    rows = _arrays(x.flatten(0, -2), norm_weight, paired(weight.t()) if pairs else weight.t(), out.flatten(0, -2))
    run_in_pieces(_norm_and_project, -(-len(rows[0]) // ROWS), np.float32(NORM_EPS), pairs, *rows)
    return out


def add_projected(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """x + y weight^T of rows x [.., D] and y [.., C], weight [D, C]; D and C multiples of 16."""
    pairs = native_bfloat16()
    out = torch.empty(x.shape)
    weight = paired(weight.t()) if pairs else weight.t()
    rows = _arrays(x.flatten(0, -2), y.flatten(0, -2), weight, out.flatten(0, -2))
    run_in_pieces(_add_projected, -(-len(rows[0]) // ROWS), pairs, *rows)
    return out


def cut_probabilities(x: Tensor, norm_weight: Tensor, query: Tensor, key: Tensor, comparison: str) -> Tensor:
    """What `Router.probabilities` says of rms_norm(x), x [B, L, D], query and key [D, D]: [B, L] in float32."""
    batch, length, _ = x.shape
    out = torch.ones(batch, length)
    items_per_sequence = -(-(length - 1) // (ROWS - 1))
    forward, backward = comparison != "current", comparison != "previous"
    arrays = _arrays(x, norm_weight, torch.cat([query, key]).t(), out)
    run_in_pieces(_route, batch * items_per_sequence, np.float32(NORM_EPS), forward, backward, *arrays)
    return out


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


@kernel()
def _norm_and_project(
    first: int,
    last: int,
    eps: np.float32,
    pairs: bool | None,
    x: np.ndarray,
    norm_weight: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
) -> None:
    """weight [D, C], or its pairs [D / 2, C]."""
    num_rows, width = x.shape
    num_columns = weight.shape[1]
    rows = np.zeros((ROWS, width), dtype=np.float32)
    result = np.empty((ROWS, num_columns), dtype=np.float32)
    if pairs is not None:
        row_pairs = np.empty((ROWS, width // 2), dtype=np.int32)
    for item in range(first, last):
        start = item * ROWS
        num = min(ROWS, num_rows - start)
        for i in range(num):
            _norm(x[start + i], norm_weight, eps, rows[i])
        at_out, at_weight = address(result), address(weight)
        if pairs is None:
            multiply(
                at_out, num_columns, ROWS, num_columns, address(rows), width, 1, at_weight, num_columns, width, _NEW
            )
        else:
            half = width // 2
            pair_row(address(rows), ROWS * width, address(row_pairs))
            multiply_pairs(
                at_out, num_columns, ROWS, num_columns, address(row_pairs), half, 1, at_weight, num_columns, half, _NEW
            )
        for i in range(num):
            for k in range(num_columns):
                out[start + i, k] = result[i, k]


@kernel()
def _add_projected(
    first: int,
    last: int,
    pairs: bool | None,
    x: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
) -> None:
    """weight [C, D], or its pairs [C / 2, D]."""
    num_rows, width = x.shape
    inner = y.shape[1]
    rows = np.zeros((ROWS, inner), dtype=np.float32)
    result = np.zeros((ROWS, width), dtype=np.float32)
    if pairs is not None:
        row_pairs = np.empty((ROWS, inner // 2), dtype=np.int32)
    for item in range(first, last):
        start = item * ROWS
        num = min(ROWS, num_rows - start)
        for i in range(num):
            for k in range(inner):
                rows[i, k] = y[start + i, k]
            for k in range(width):
                result[i, k] = x[start + i, k]
        at_out, at_weight = address(result), address(weight)
        if pairs is None:
            multiply(at_out, width, ROWS, width, address(rows), inner, 1, at_weight, width, inner, _ADD)
        else:
            half = inner // 2
            pair_row(address(rows), ROWS * inner, address(row_pairs))
            multiply_pairs(at_out, width, ROWS, width, address(row_pairs), half, 1, at_weight, width, half, _ADD)
        for i in range(num):
            for k in range(width):
                out[start + i, k] = result[i, k]


@kernel()
def _route(
    first: int,
    last: int,
    eps: np.float32,
    forward: bool,
    backward: bool,
    x: np.ndarray,
    norm_weight: np.ndarray,
    weight: np.ndarray,
    prob: np.ndarray,
) -> None:
    """weight [D, 2D]: queries, then keys. Stretches share a row, so that each holds both sides of its cuts."""
    _, length, width = x.shape
    per_item = ROWS - 1
    items_per_sequence = (length - 1 + per_item - 1) // per_item
    rows = np.zeros((ROWS, width), dtype=np.float32)
    asked = np.empty((ROWS, 2 * width), dtype=np.float32)
    share = np.float32(0.5) if forward and backward else np.float32(1)
    for item in range(first, last):
        b, start = item // items_per_sequence, item % items_per_sequence * per_item
        num = min(ROWS, length - start)
        for i in range(num):
            _norm(x[b, start + i], norm_weight, eps, rows[i])
        at_rows, at_weight = address(rows), address(weight)
        multiply(address(asked), 2 * width, ROWS, 2 * width, at_rows, width, 1, at_weight, 2 * width, width, _NEW)
        for i in range(num):
            _scale_to_one(asked[i], 0, width)
            _scale_to_one(asked[i], width, width)
        for i in range(1, num):
            before, here = asked[i - 1], asked[i]
            likeness = np.float32(0)
            if forward:
                for k in range(width):
                    likeness += before[k] * here[width + k]
            if backward:
                for k in range(width):
                    likeness += here[k] * before[width + k]
            value = (np.float32(1) - likeness * share) * np.float32(0.5)
            prob[b, start + i] = min(max(value, np.float32(0)), np.float32(1))


@kernel(inline=True)
def _norm(row: np.ndarray, weight: np.ndarray, eps: np.float32, out: np.ndarray) -> None:
    squares = np.float32(0)
    for k in range(row.shape[0]):
        squares += row[k] * row[k]
    factor = np.float32(1) / np.sqrt(squares / np.float32(row.shape[0]) + eps)
    for k in range(row.shape[0]):
        out[k] = row[k] * factor * weight[k]


@kernel(inline=True)
def _scale_to_one(row: np.ndarray, start: int, num: int) -> None:
    squares = np.float32(0)
    for k in range(num):
        squares += row[start + k] * row[start + k]
    factor = np.float32(1) / max(np.sqrt(squares), _SHORTEST)
    for k in range(num):
        row[start + k] *= factor
