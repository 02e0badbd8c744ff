"""Products of a few rows with a matrix, in registers: what is dense in the adjoint of a recurrent layer.

The matrix is packed into panels of as many columns as fill 64 bytes; four rows of the result stay in registers while
they run down a panel. The vectors are written as LLVM has them, so that one text serves every processor; it fuses the
multiplication and the addition where it can. Each result is one sum in the order of the matrix's rows.
"""

from typing import no_type_check

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from stablespike.native.overrides.lines import PLAIN

ROWS = 4  # results kept in registers: 4 rows of 64 bytes hide the latency of the fused operations
BYTES = 64


@intrinsic
@no_type_check
def _add_tile(typingctx, out, out_stride, left, left_stride, panel, depth, example):
    """out[r, :] += sum_k left[r, k] panel[k, :] for ROWS rows and depth > 0; addresses and strides in bytes."""
    words = types.int64
    signature = types.void(words, words, words, words, words, words, example)
    size = example.bitwidth // 8
    width = BYTES // size

    @no_type_check
    def generate(context, builder, signature, arguments):
        out, out_stride, left, left_stride, panel, depth, _ = arguments
        number = context.get_value_type(example)
        vector, whole = ir.VectorType(number, width), ir.IntType(64)
        spread = ir.Constant(ir.VectorType(ir.IntType(32), width), None)

        def at(address, offset, kind):
            return builder.inttoptr(builder.add(address, offset), kind.as_pointer())

        def row(address, stride, r):
            return builder.add(address, builder.mul(stride, ir.Constant(whole, r)))

        outs = [row(out, out_stride, r) for r in range(ROWS)]
        lefts = [row(left, left_stride, r) for r in range(ROWS)]
        zero = ir.Constant(whole, 0)
        starts = [builder.load(at(one, zero, vector), align=size) for one in outs]
        before, body, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(whole)
        sums = [builder.phi(vector) for _ in range(ROWS)]
        offset = builder.mul(k, ir.Constant(whole, size))
        weights = builder.load(at(panel, builder.mul(k, ir.Constant(whole, BYTES)), vector), align=size)
        news = []
        for total, one in zip(sums, lefts, strict=True):
            factor = builder.load(at(one, offset, number))
            factor = builder.insert_element(ir.Constant(vector, ir.Undefined), factor, ir.Constant(ir.IntType(32), 0))
            factor = builder.shuffle_vector(factor, ir.Constant(vector, ir.Undefined), spread)
            product = builder.fmul(factor, weights, flags=("contract",))
            news.append(builder.fadd(total, product, flags=("contract",)))
        following = builder.add(k, ir.Constant(whole, 1))
        builder.cbranch(builder.icmp_signed("<", following, depth), body, after)
        k.add_incoming(zero, before)
        k.add_incoming(following, body)
        for total, start, new in zip(sums, starts, news, strict=True):
            total.add_incoming(start, before)
            total.add_incoming(new, body)
        builder.position_at_end(after)
        for one, new in zip(outs, news, strict=True):
            builder.store(new, at(one, zero, vector), align=size)
        return context.get_dummy_value()

    return signature, generate


@njit(**PLAIN)
@no_type_check
def width_of(matrix):
    """Columns of a panel."""
    return BYTES // matrix.itemsize


@njit(**PLAIN)
@no_type_check
def pack_transpose(weights, panels):
    """The transpose of `weights` `[a, b]` as panels `[panels, b, width]`, zero before; what lies beyond a stays so."""
    width = panels.shape[2]
    for a in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            panels[a // width, b, a % width] = weights[a, b]


@njit(**PLAIN)
@no_type_check
def add_product(out, left, panels):
    """out += left @ matrix, for the `panels` of the matrix.

    `left` `[rows, b]` and `out` `[rows, panels width]`, C-ordered; the number of rows is a multiple of ROWS.
    """
    example, size = left[0, 0], left.itemsize
    for p in range(panels.shape[0]):
        for r in range(0, out.shape[0], ROWS):
            _add_tile(
                out.ctypes.data + (r * out.shape[1] + p * panels.shape[2]) * size,
                out.shape[1] * size,
                left.ctypes.data + r * left.shape[1] * size,
                left.shape[1] * size,
                panels.ctypes.data + p * panels.shape[1] * panels.shape[2] * size,
                panels.shape[1],
                example,
            )
