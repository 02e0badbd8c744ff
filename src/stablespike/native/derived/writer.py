"""A function of a few numbers, as JAX traces it, written as LLVM inside of a numba function.

Every array becomes its numbers, one by one; numbers that are known while writing stay known, so that tables, counters
of short loops and what follows from them leave nothing behind. Loops of unknown length stay loops, branches branches.
Operations that only move numbers about are carried out on the places of the numbers, by JAX itself.
"""

from collections.abc import Sequence
from typing import Any, no_type_check

import jax
import numpy as np
from jax.extend import core
from llvmlite import ir

from stablespike.native.derived.arithmetic import Arithmetic, NotWritten, Unknown, is_known

MOST_ROUNDS = 64  # of a loop that is written out


def as_objects(array: Any) -> np.ndarray:
    """An array of known numbers, each an object."""
    array = np.asarray(array)
    result = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        result[place] = array[place]
    return result


MOVES = {
    "broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "slice", "concatenate", "pad", "rev",
    "gather", "dynamic_slice", "dynamic_update_slice", "scatter", "split", "stack", "unstack",
}  # fmt: skip
NOTHING = {"stop_gradient", "copy", "copy_p", "optimization_barrier"}
CALLS = {
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "custom_jvp_call",
    "custom_vjp_call",
    "remat",
    "checkpoint",
    "remat2",
}
SCATTERS = {"scatter-add": 0, "scatter-mul": 1}
REDUCTIONS = {"reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "max", "reduce_min": "min", "reduce_and": "and",
              "reduce_or": "or"}  # fmt: skip


@no_type_check
class Writer:
    """Writes at the place where an LLVM builder stands; `context` and `typing` are numba's."""

    def __init__(self, context, typing, builder):
        self.arithmetic, self.builder = Arithmetic(context, typing, builder), builder

    def function(self, closed: Any, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The results of a closed jaxpr, arrays of objects, from its arguments, the same."""
        places: dict[Any, np.ndarray] = {}

        def found(one: Any) -> np.ndarray:
            return as_objects(one.val) if isinstance(one, core.Literal) else places[one]

        jaxpr = closed.jaxpr
        places |= dict(zip(jaxpr.constvars, map(as_objects, closed.consts), strict=True))
        places |= dict(zip(jaxpr.invars, arguments, strict=True))
        for equation in jaxpr.eqns:
            results = self.equation(equation, [found(one) for one in equation.invars])
            places |= dict(zip(equation.outvars, results, strict=True))
        return [found(one) for one in jaxpr.outvars]

    def equation(self, equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
        """The results of one operation."""
        name = equation.primitive.name
        if name in NOTHING:
            return operands
        if name in CALLS:
            return self.function(_body(equation.params), operands)
        control = {"while": self._while, "scan": self._scan, "cond": self._cond}.get(name)
        if control:
            return control(equation.params, operands)
        if all(is_known(one) for operand in operands for one in operand.flat):
            return self._known(equation, operands)
        if name in MOVES:
            return self._moved(equation, operands)
        if name in SCATTERS:
            return [self._scattered(equation, operands)]
        if name == "dot_general":
            return [self._product(equation.params["dimension_numbers"], *operands)]
        if name in REDUCTIONS:
            return [self._reduced(REDUCTIONS[name], operands[0], equation.params["axes"])]
        return [self._each(equation, operands)]

    # Known numbers and numbers that move.

    def _known(self, equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
        values = [_array(operand, one.aval.dtype) for operand, one in zip(operands, equation.invars, strict=True)]
        with jax.ensure_compile_time_eval():
            results = equation.primitive.bind(*values, **equation.params)
        results = results if equation.primitive.multiple_results else [results]
        return [as_objects(one) for one in results]

    def _moved(self, equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
        """Carried out on the places of numbers; what says where to must be known."""
        numbers = [one for operand in operands for one in operand.flat]
        moving = {"gather": {0}, "dynamic_slice": {0}, "dynamic_update_slice": {0, 1}, "scatter": {0, 2}}
        chosen = moving.get(equation.primitive.name, set(range(len(operands))))
        values, start = [], 0
        for index, (operand, one) in enumerate(zip(operands, equation.invars, strict=True)):
            if index not in chosen:
                values.append(_array(operand, one.aval.dtype, equation.primitive.name))
            else:
                kind = one.aval.dtype if np.issubdtype(one.aval.dtype, np.floating) else np.dtype(np.int32)
                values.append((start + np.arange(operand.size)).reshape(operand.shape).astype(kind))
            start += operand.size
        with jax.ensure_compile_time_eval():
            results = equation.primitive.bind(*values, **equation.params)
        results = results if equation.primitive.multiple_results else [results]
        kinds = [one.aval.dtype for one in equation.outvars]
        return [_picked(numbers, np.asarray(one), kind) for one, kind in zip(results, kinds, strict=True)]

    def _scattered(self, equation: Any, operands: list[np.ndarray]) -> np.ndarray:
        """Updates that are added or multiplied: where each goes is found by sending another number there alone."""
        (operand, indices, updates), bind = operands, equation.primitive.bind
        name = equation.primitive.name.removeprefix("scatter-")
        result, kind = operand.copy(), equation.invars[0].aval.dtype
        where = _array(indices, equation.invars[1].aval.dtype, equation.primitive.name)
        neutral = SCATTERS[equation.primitive.name]
        for place in np.ndindex(updates.shape):
            alone = np.full(updates.shape, neutral, kind)
            alone[place] = 2
            with jax.ensure_compile_time_eval():
                found = np.asarray(bind(np.full(operand.shape, neutral, kind), where, alone, **equation.params))
            for to in map(tuple, np.argwhere(found != neutral)):
                result[to] = self.arithmetic.number(name, [result[to], updates[place]])
        return result

    # Control.

    def _while(self, params: Any, operands: Any) -> Any:
        cond, body = params["cond_jaxpr"], params["body_jaxpr"]
        cond_count, count = params["cond_nconsts"], params["body_nconsts"]
        for_cond, operands = operands[:cond_count], operands[cond_count:]
        for_body, carry = operands[:count], operands[count:]
        kinds = [one.aval.dtype for one in body.jaxpr.outvars]
        return self._loop(kinds, carry, lambda now: self.function(cond, [*for_cond, *now])[0].item(),
                          lambda now: self.function(body, [*for_body, *now]))  # fmt: skip

    def _loop(self, kinds: Any, carry: Any, goes_on: Any, round_of: Any) -> Any:
        builder = self.builder
        start = [
            [self.arithmetic.value(one, kind) for one in array.flat] for array, kind in zip(carry, kinds, strict=True)
        ]
        before = builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("loop", "round", "looped"))
        builder.branch(head)
        builder.position_at_end(head)
        phis = [[builder.phi(one.type) for one in ones] for ones in start]
        for ones, values in zip(phis, start, strict=True):
            for phi, value in zip(ones, values, strict=True):
                phi.add_incoming(value, before)
        now = [
            _shaped([Unknown(phi, kind) for phi in ones], array.shape)
            for ones, array, kind in zip(phis, carry, kinds, strict=True)
        ]
        builder.cbranch(self.arithmetic.value(goes_on(now), np.dtype(bool)), inside, after)
        builder.position_at_end(inside)
        new = round_of(now)
        values = [
            [self.arithmetic.value(one, kind) for one in array.flat] for array, kind in zip(new, kinds, strict=True)
        ]
        for ones, nexts in zip(phis, values, strict=True):
            for phi, value in zip(ones, nexts, strict=True):
                phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return now

    def _scan(self, params: Any, operands: Any) -> Any:
        length, body = params["length"], params["jaxpr"]
        consts, carried = params["num_consts"], params["num_carry"]
        fixed, carry, rows = operands[:consts], operands[consts : consts + carried], operands[consts + carried :]
        outputs = len(body.jaxpr.outvars) - carried
        if length <= MOST_ROUNDS:
            order = range(length)
            made: list[Any] = [None] * length
            for k in reversed(order) if params["reverse"] else order:
                here = [row[k] if row.ndim > 1 else _shaped([row[k]], ()) for row in rows]
                results = self.function(body, [*fixed, *carry, *here])
                carry, made[k] = results[:carried], results[carried:]
            return [*carry, *(_stacked([one[j] for one in made]) for j in range(outputs))]
        if rows or outputs:
            raise NotWritten(f"a scan of {length} rounds over arrays")
        kinds = [np.dtype(np.int64), *(one.aval.dtype for one in body.jaxpr.outvars)]
        counter = _shaped([np.int64(0)], ())
        return self._loop(
            kinds,
            [counter, *carry],
            lambda now: self.arithmetic.compared("<", [now[0].item(), np.int64(length)], np.dtype(np.int64)),
            lambda now: [
                _shaped([self.arithmetic.number("add", [now[0].item(), np.int64(1)])], ()),
                *self.function(body, [*fixed, *now[1:]]),
            ],
        )[1:]

    def _cond(self, params: Any, operands: Any) -> Any:
        which, branches = operands[0].item(), params["branches"]
        if is_known(which):
            return self.function(branches[int(np.clip(which, 0, len(branches) - 1))], operands[1:])
        builder, index = self.builder, self.arithmetic.value(which, which.dtype)
        blocks = [builder.append_basic_block("branch") for _ in branches]
        after, kinds = builder.append_basic_block("branched"), [one.aval.dtype for one in branches[0].jaxpr.outvars]
        switch = builder.switch(index, blocks[-1])
        for k, block in enumerate(blocks[:-1]):
            switch.add_case(ir.Constant(index.type, k), block)
        found: list[Any] = []
        shapes: list[Any] = []
        for block, branch in zip(blocks, branches, strict=True):
            builder.position_at_end(block)
            results = self.function(branch, operands[1:])
            shapes = [one.shape for one in results]
            found.append(
                [[self.arithmetic.value(x, kind) for x in one.flat] for one, kind in zip(results, kinds, strict=True)]
            )
            found[-1] = (found[-1], builder.block)
            builder.branch(after)
        builder.position_at_end(after)
        merged = []
        for j, (kind, shape) in enumerate(zip(kinds, shapes, strict=True)):
            phis = []
            for k in range(len(found[0][0][j])):
                phi = builder.phi(found[0][0][j][k].type)
                for values, block in found:
                    phi.add_incoming(values[j][k], block)
                phis.append(Unknown(phi, kind))
            merged.append(_shaped(phis, shape))
        return merged

    def _product(self, numbers: Any, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        (ones, others), (batch, other_batch) = numbers
        free = [axis for axis in range(one.ndim) if axis not in (*ones, *batch)]
        other_free = [axis for axis in range(other.ndim) if axis not in (*others, *other_batch)]
        one, other = one.transpose(*batch, *free, *ones), other.transpose(*other_batch, *other_free, *others)
        lead, inner = one.shape[: len(batch)], one.shape[one.ndim - len(ones) :]
        left, right = one.shape[len(batch) : one.ndim - len(ones)], other.shape[len(batch) : other.ndim - len(ones)]
        result = np.empty((*lead, *left, *right), object)
        for place in np.ndindex(result.shape):
            b, i, j = place[: len(lead)], place[len(lead) : len(lead) + len(left)], place[len(lead) + len(left) :]
            terms = [self.arithmetic.number("mul", [one[(*b, *i, *k)], other[(*b, *j, *k)]]) for k in np.ndindex(inner)]
            result[place] = self._folded("add", terms)
        return result

    def _reduced(self, name: str, operand: np.ndarray, axes: Any) -> np.ndarray:
        kept = [axis for axis in range(operand.ndim) if axis not in axes]
        flat = operand.transpose(*kept, *axes).reshape(*(operand.shape[axis] for axis in kept), -1)
        result = np.empty(flat.shape[:-1], object)
        for place in np.ndindex(result.shape):
            result[place] = self._folded(name, list(flat[place]))
        return result

    def _folded(self, name: str, terms: list[Any]) -> Any:
        result = terms[0]
        for one in terms[1:]:
            result = self.arithmetic.number(name, [result, one])
        return result

    def _each(self, equation: Any, operands: list[np.ndarray]) -> np.ndarray:
        shape = equation.outvars[0].aval.shape
        spread = [np.broadcast_to(operand, shape) for operand in operands]
        kinds = [one.aval.dtype for one in equation.invars]
        result = np.empty(shape, object)
        for place in np.ndindex(shape):
            ones = [operand[place] for operand in spread]
            result[place] = self.arithmetic.elementwise(equation, ones, kinds)
        return result


def _body(params: Any) -> Any:
    body = next(params[name] for name in ("jaxpr", "call_jaxpr", "fun_jaxpr") if name in params)
    return body if hasattr(body, "consts") else core.ClosedJaxpr(body, ())


def _array(operand: np.ndarray, kind: Any, name: str = "") -> np.ndarray:
    if not all(is_known(one) for one in operand.flat):
        raise NotWritten(f"{name} at a place that is not known before")
    return np.asarray(operand.tolist(), kind).reshape(operand.shape)


def _picked(numbers: list[Any], places: np.ndarray, kind: Any) -> np.ndarray:
    result = np.empty(places.shape, object)
    for place in np.ndindex(places.shape):
        index = places[place]
        inside = np.isfinite(index) and 0 <= index < len(numbers)
        result[place] = numbers[int(index)] if inside else np.asarray(np.nan).astype(kind)[()]
    return result


def _shaped(ones: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    result = np.empty(len(ones), object)
    for k, one in enumerate(ones):
        result[k] = one
    return result.reshape(shape)


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    return _shaped([one for array in arrays for one in array.flat], (len(arrays), *arrays[0].shape))
