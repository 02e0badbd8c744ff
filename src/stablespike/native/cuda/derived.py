"""Lines of any neuron for GPUs: the code that `native.derived` writes from its class, with the GPU's functions."""

from collections.abc import Callable
from functools import cache
from typing import Any, no_type_check

import numpy as np
from llvmlite import ir
from numba import types

from stablespike.native.derived.lines import DerivedLines, Machine, derived_lines


def device_lines(neuron: Any, variables: int, kind: np.dtype) -> DerivedLines:
    """As `derived_lines`, for GPUs; needs numba-cuda."""
    return derived_lines(neuron, variables, kind, _gpu())


@cache
def _gpu() -> Machine:
    from numba.cuda.extending import intrinsic

    def loads(variables: int) -> Callable:
        @intrinsic
        @no_type_check
        def load_all(typingctx, block, index):
            @no_type_check
            def generate(context, builder, signature, arguments):
                array = context.make_array(signature.args[0])(context, builder, arguments[0])
                width, word = builder.extract_value(array.shape, 1), ir.IntType(64)
                places = [builder.add(builder.mul(word(v), width), arguments[1]) for v in range(variables)]
                values = [builder.load(builder.gep(array.data, [place])) for place in places]
                return context.make_tuple(builder, signature.return_type, values)

            return types.UniTuple(block.dtype, variables)(block, types.int64), generate

        @no_type_check
        def load(constants, block, index):
            return load_all(block, index)

        return load

    return Machine("device", intrinsic, loads)
