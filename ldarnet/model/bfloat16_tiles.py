"""Products of bfloat16 numbers with float32 sums, on CPUs that have an instruction for them (AVX512-BF16).

The instruction takes two neighbours of the inner axis at once, so that numbers lie in memory as pairs, each in the
place of a float32: those of a row side by side for the left matrix, those of two rows interleaved for the right one.
Twice the multiply-adds of float32 per instruction; rounding to bfloat16 keeps 8 bits of each factor.
"""

from typing import Any

import numpy as np
import torch
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from ldarnet.model.jit import kernel
from ldarnet.model.tiles import BLOCK, make_tile

HAS_PAIRS = bool(binding.get_host_cpu_features().get("avx512bf16"))
"""Whether this CPU has the instruction; nothing here compiles without."""

_tile_64 = make_tile(4, 4, 16, pairs=True)
_tile_32 = make_tile(8, 2, 16, pairs=True)
_tile_16 = make_tile(8, 1, 16, pairs=True)


class _BFloat16(ir.Type):
    """The type of numbers that llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"


_LANES = 16
_FLOATS = ir.VectorType(ir.FloatType(), _LANES)
_INTERLEAVED = ir.Constant(
    ir.VectorType(ir.IntType(32), 2 * _LANES), [n // 2 + n % 2 * _LANES for n in range(2 * _LANES)]
)


def _load(builder: Any, address: Any) -> Any:  # noqa: ANN401 - numba's own types
    return builder.load(builder.inttoptr(address, _FLOATS.as_pointer()), align=4)


def _round_one(_typing: Any, _a: Any, _out: Any) -> Any:  # noqa: ANN401
    rounded = ir.VectorType(_BFloat16(), _LANES)

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:  # noqa: ANN401
        kind, name = ir.FunctionType(rounded, [_FLOATS]), "llvm.x86.avx512bf16.cvtneps2bf16.512"
        numbers = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [_load(builder, args[0])])
        builder.store(numbers, builder.inttoptr(args[1], rounded.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


def _round_two(_typing: Any, _a: Any, _b: Any, _out: Any) -> Any:  # noqa: ANN401
    rounded = ir.VectorType(_BFloat16(), 2 * _LANES)

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:  # noqa: ANN401
        kind, name = ir.FunctionType(rounded, [_FLOATS, _FLOATS]), "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
        first, second = (_load(builder, address) for address in args[:2])
        # The instruction takes the upper half first.
        both = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [second, first])
        interleaved = builder.shuffle_vector(both, ir.Constant(rounded, ir.Undefined), _INTERLEAVED)
        builder.store(interleaved, builder.inttoptr(args[2], rounded.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


_round_16: Any = intrinsic(_round_one)
_round_2_by_16: Any = intrinsic(_round_two)


@kernel(inline=True)
def pair_row(row: int, num: int, out: int) -> None:
    """A row of a left matrix, `num` floats (a multiple of `BLOCK`) from an address on: half as many pairs."""
    for k in range(0, num, BLOCK):
        _round_16(row + 4 * k, out + 2 * k)


@kernel(inline=True)
def pair_rows(rows: int, row: int, num_rows: int, num_columns: int, out: int) -> None:
    """A right matrix: pair [k, c] of out is rows [2k, c] and [2k + 1, c]; `row` is the stride of rows in floats.

    Rows and columns come in multiples of `BLOCK`.
    """
    for k in range(0, num_rows, 2):
        for c in range(0, num_columns, BLOCK):
            here = rows + 4 * (k * row + c)
            _round_2_by_16(here, here + 4 * row, out + 4 * (k // 2 * num_columns + c))


def paired(weight: Tensor) -> Tensor:
    """A matrix [K, C] as `multiply_pairs` wants it on the right: pairs along K, int32 [K / 2, C]."""
    inner, columns = weight.shape
    pairs = weight.detach().bfloat16().view(inner // 2, 2, columns).transpose(1, 2).contiguous()
    return pairs.view(torch.int32).squeeze(-1)


@kernel()
def multiply_pairs(
    out: int,
    out_row: int,
    num_rows: int,
    num_columns: int,
    a: int,
    a_row: int,
    a_inner: int,
    b: int,
    b_row: int,
    num_pairs: int,
    beta: np.float32,
) -> None:
    """`tiles.multiply` for an inner axis of pairs: strides of a and b count pairs, those of out float32 numbers."""
    column = 0
    while num_columns - column >= 64:
        for r in range(0, num_rows, 4):
            at_out, at_a, at_b = out + 4 * (r * out_row + column), a + 4 * r * a_row, b + 4 * column
            _tile_64(at_a, a_row, a_inner, at_b, b_row, at_out, out_row, num_pairs, beta)
        column += 64
    while num_columns - column >= 32:
        for r in range(0, num_rows, 8):
            at_out, at_a, at_b = out + 4 * (r * out_row + column), a + 4 * r * a_row, b + 4 * column
            _tile_32(at_a, a_row, a_inner, at_b, b_row, at_out, out_row, num_pairs, beta)
        column += 32
    while num_columns - column >= BLOCK:
        for r in range(0, num_rows, 8):
            at_out, at_a, at_b = out + 4 * (r * out_row + column), a + 4 * r * a_row, b + 4 * column
            _tile_16(at_a, a_row, a_inner, at_b, b_row, at_out, out_row, num_pairs, beta)
        column += BLOCK
