"""The arrays that a kernel for GPUs takes, declared once: operands and results with their axes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from numba import from_dtype, types

from stablespike.native.kernel import Buffer, number, whole

__all__ = ["Arrays", "number", "whole"]
ROWS = "_"  # an axis whose size is that operand's own affair


@dataclasses.dataclass(frozen=True)
class Arrays:
    """Operands, then results, in the order in which a kernel takes them; axes of one name have one size.

    Of the results those that are not read are room to work in.
    """

    operands: Mapping[str, Buffer]
    results: Mapping[str, Buffer]

    def types(self, dtype: Any) -> types.BaseTuple:
        """What numba calls them, numbers being of a type."""
        every = (*self.operands.values(), *self.results.values())
        return types.Tuple([types.Array(from_dtype(np.dtype(one.dtype or dtype)), len(one.axes), "C") for one in every])

    def made(self, operands: Any, **sizes: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the results; `sizes` of axes that no operand has.

        Raises `ValueError` for operands that do not fit.
        """
        dtype, found = operands[0].dtype, dict(sizes)
        for (name, one), array in zip(self.operands.items(), operands, strict=True):
            if array.dtype != (one.dtype or dtype) or len(array.shape) != len(one.axes):
                raise ValueError(
                    f"{name} is {array.dtype}{list(array.shape)}, not {one.dtype or dtype}{list(one.axes)}."
                )
            for axis, size in zip(one.axes, array.shape, strict=True):
                if axis != ROWS and found.setdefault(axis, size) != size:
                    raise ValueError(f"{name} has {size} {axis}, not {found[axis]}.")
        return {
            name: jax.ShapeDtypeStruct(tuple(found[axis] for axis in one.axes), np.dtype(one.dtype or dtype))
            for name, one in self.results.items()
        }
