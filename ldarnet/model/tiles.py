"""Small matrix products for the CPU kernels, at the speed of the vector units.

numba leaves sums of products in memory; a product that keeps a tile of its result in registers is several times
faster. Such a tile is written here in LLVM's own terms, once, and `multiply` covers a matrix with it. Every product is
a fused multiply-add in a fixed order, so results do not depend on where arrays lie.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ldarnet.model.jit import kernel

BLOCK = 16
"""Rows and columns of the matrices handed to `multiply` come in multiples of this."""

_FLOAT = ir.FloatType()
_INDEX = ir.IntType(64)


def make_tile(num_rows: int, num_vectors: int, lanes: int, *, pairs: bool = False) -> Callable[..., Any]:
    """out = beta * out + a b for a tile of num_rows x (num_vectors * lanes), all of it held in registers.

    Called as tile(a, a_row, a_inner, b, b_row, out, out_row, num_inner, beta): addresses, and strides in floats; the
    columns of b and out lie side by side. With `pairs` the numbers of a and b are bfloat16, two in the place of a
    float, and num_inner counts these twos.
    """
    vector = ir.VectorType(_FLOAT, lanes)
    number_type = ir.IntType(32) if pairs else _FLOAT
    number_vector = ir.VectorType(number_type, lanes)
    name = "llvm.x86.avx512bf16.dpbf16ps.512" if pairs else f"llvm.fma.v{lanes}f32"
    first_lane = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:  # noqa: ANN401 - numba's own types
        a, a_row, a_inner, b, b_row, out, out_row, num_inner, beta = args
        a, b = (builder.inttoptr(address, number_type.as_pointer()) for address in (a, b))
        out = builder.inttoptr(out, _FLOAT.as_pointer())
        factors = [vector, number_vector, number_vector] if pairs else [number_vector, number_vector, vector]
        multiply_add = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, factors), name)

        def everywhere(number: Any, kind: Any) -> Any:  # noqa: ANN401
            undefined = ir.Constant(kind, ir.Undefined)
            single = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(single, undefined, first_lane)

        def place(start: Any, row_offset: Any, v: int, kind: Any = vector) -> Any:  # noqa: ANN401
            offset = builder.add(row_offset, ir.Constant(_INDEX, v * lanes))
            return builder.bitcast(builder.gep(start, [offset]), kind.as_pointer())

        def row_of(r: int, stride: Any) -> Any:  # noqa: ANN401
            return builder.mul(ir.Constant(_INDEX, r), stride)

        cells = [(r, v) for r in range(num_rows) for v in range(num_vectors)]
        sums = {cell: cgutils.alloca_once(builder, vector) for cell in cells}
        for cell in cells:
            builder.store(ir.Constant(vector, [0.0] * lanes), sums[cell])
        with builder.if_then(builder.fcmp_ordered("!=", beta, ir.Constant(_FLOAT, 0.0))):
            factor = everywhere(beta, vector)
            for r, v in cells:
                before = builder.load(place(out, row_of(r, out_row), v), align=4)
                builder.store(builder.fmul(factor, before), sums[r, v])
        with cgutils.for_range(builder, num_inner) as loop:
            b_here, a_here = builder.mul(loop.index, b_row), builder.mul(loop.index, a_inner)
            columns = [builder.load(place(b, b_here, v, number_vector), align=4) for v in range(num_vectors)]
            for r in range(num_rows):
                position = builder.gep(a, [builder.add(a_here, row_of(r, a_row))])
                number = everywhere(builder.load(position, align=4), number_vector)
                for v in range(num_vectors):
                    before, columns_here = builder.load(sums[r, v]), columns[v]
                    terms = [before, number, columns_here] if pairs else [number, columns_here, before]
                    builder.store(builder.call(multiply_add, terms), sums[r, v])
        for r, v in cells:
            builder.store(builder.load(sums[r, v]), place(out, row_of(r, out_row), v), align=4)
        return context.get_dummy_value()

    @intrinsic
    def tile(
        _typing: Any,  # noqa: ANN401
        a: Any,  # noqa: ANN401
        a_row: Any,  # noqa: ANN401
        a_inner: Any,  # noqa: ANN401
        b: Any,  # noqa: ANN401
        b_row: Any,  # noqa: ANN401
        out: Any,  # noqa: ANN401
        out_row: Any,  # noqa: ANN401
        num_inner: Any,  # noqa: ANN401
        beta: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        whole = types.intp
        return types.void(a, whole, whole, b, whole, out, whole, whole, types.float32), generate

    return tile


# With 32 registers of 16 floats a tile may be 4 x 64; elsewhere it must be smaller or it does not fit.
_WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
_tile_64 = make_tile(4, 4, 16) if _WIDE else make_tile(4, 2, 8)
_tile_32 = make_tile(8, 2, 16) if _WIDE else make_tile(4, 2, 8)
_tile_16 = make_tile(8, 1, 16) if _WIDE else make_tile(4, 2, 8)
_ROWS = (4, 8, 8) if _WIDE else (4, 4, 4)
_ROWS_64, _ROWS_32, _ROWS_16 = _ROWS


@kernel()
def multiply(
    out: int,
    out_row: int,
    num_rows: int,
    num_columns: int,
    a: int,
    a_row: int,
    a_inner: int,
    b: int,
    b_row: int,
    num_inner: int,
    beta: np.float32,
) -> None:
    """out[r, c] = beta * out[r, c] + sum over k < num_inner of a[r, k] * b[k, c], all float32.

    `out`, `a` and `b` are addresses, `*_row` and `a_inner` strides in floats (negative ones read backwards); rows and
    columns of out come in multiples of `BLOCK`. Nothing of out is read where beta is 0. The caller keeps the arrays
    alive.
    """
    column = 0
    while _WIDE and num_columns - column >= 64:
        for r in range(0, num_rows, _ROWS_64):
            at_out, at_a, at_b = out + 4 * (r * out_row + column), a + 4 * r * a_row, b + 4 * column
            _tile_64(at_a, a_row, a_inner, at_b, b_row, at_out, out_row, num_inner, beta)
        column += 64
    while _WIDE and num_columns - column >= 32:
        for r in range(0, num_rows, _ROWS_32):
            at_out, at_a, at_b = out + 4 * (r * out_row + column), a + 4 * r * a_row, b + 4 * column
            _tile_32(at_a, a_row, a_inner, at_b, b_row, at_out, out_row, num_inner, beta)
        column += 32
    while num_columns - column >= BLOCK:
        for r in range(0, num_rows, _ROWS_16):
            at_out, at_a, at_b = out + 4 * (r * out_row + column), a + 4 * r * a_row, b + 4 * column
            _tile_16(at_a, a_row, a_inner, at_b, b_row, at_out, out_row, num_inner, beta)
        column += BLOCK


def _make_turn(size: int) -> Callable[..., Any]:
    """out[c, r] = a[r, c] for a square of size x size floats: turn(a, a_row, out, out_row), by shuffles alone."""
    vector = ir.VectorType(_FLOAT, size)

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:  # noqa: ANN401
        a, a_row, out, out_row = args
        a, out = (builder.inttoptr(address, _FLOAT.as_pointer()) for address in (a, out))

        def place(start: Any, r: int, stride: Any) -> Any:  # noqa: ANN401
            offset = builder.mul(ir.Constant(_INDEX, r), stride)
            return builder.bitcast(builder.gep(start, [offset]), vector.as_pointer())

        rows = [builder.load(place(a, r, a_row), align=4) for r in range(size)]
        # Interleaving row r with row r + size/2 moves each number's index left by one bit; log2(size) times turn it.
        half = size // 2
        kind = ir.VectorType(ir.IntType(32), size)
        low = ir.Constant(kind, [n // 2 + (n % 2) * size for n in range(size)])
        high = ir.Constant(kind, [half + n // 2 + (n % 2) * size for n in range(size)])
        for _ in range(size.bit_length() - 1):
            pairs = [(rows[r], rows[r + half]) for r in range(half)]
            rows = [builder.shuffle_vector(*pair, order) for pair in pairs for order in (low, high)]
        for r, row in enumerate(rows):
            builder.store(row, place(out, r, out_row), align=4)
        return context.get_dummy_value()

    @intrinsic
    def turn(_typing: Any, a: Any, a_row: Any, out: Any, out_row: Any) -> Any:  # noqa: ANN401
        return types.void(a, types.intp, out, types.intp), generate

    return turn


_TURN = 16 if _WIDE else 8
_turn = _make_turn(_TURN)


@kernel()
def transpose(out: int, out_row: int, a: int, a_row: int, num_rows: int, num_columns: int) -> None:
    """out[c, r] = a[r, c]; addresses and strides as in `multiply`, rows and columns of a in multiples of `BLOCK`."""
    for r in range(0, num_rows, _TURN):
        for c in range(0, num_columns, _TURN):
            _turn(a + 4 * (r * a_row + c), a_row, out + 4 * (c * out_row + r), out_row)
