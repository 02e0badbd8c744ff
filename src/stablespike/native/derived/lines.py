"""The lines of a neuron for the kernels, derived from its JAX class.

The class is traced for one neuron, `writer` writes what JAX traced as LLVM, and each line of
`stablespike.native.overrides.lines` is a call of such code. A neuron that is handed over here has no parameters: what
differs from neuron to neuron is part of its state, and so has a cotangent.
"""

import hashlib
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, register_jitable
from numba.np.unsafe.ndarray import to_fixed_tuple

from stablespike.native.derived.arithmetic import Unknown
from stablespike.native.derived.writer import Writer
from stablespike.native.overrides import lines as line


class Traced(NamedTuple):
    """A function of vectors and numbers of one type, as JAX traced it: its jaxpr, and what it was traced for."""

    closed: Any
    shapes: tuple[tuple[int, ...], ...]
    kind: np.dtype

    @property
    def result(self) -> tuple[int, ...]:
        """Shape of what it returns."""
        return self.closed.jaxpr.outvars[0].aval.shape


def traced(function: Callable, kind: np.dtype, *shapes: tuple[int, ...]) -> Traced:
    """Trace a function of arrays of these shapes."""

    def one(*arguments: Any) -> Any:
        return jnp.asarray(function(*arguments), kind)

    closed = jax.make_jaxpr(one)(*(jax.ShapeDtypeStruct(shape, kind) for shape in shapes))
    return Traced(closed, shapes, np.dtype(kind))


@no_type_check
def written(code, context, typing, builder, values):
    """The results, LLVM values, of traced code with the LLVM values of each of its arguments."""
    writer, arguments = Writer(context, typing, builder), []
    for shape, ones in zip(code.shapes, values, strict=True):
        array = np.empty(len(ones), object)
        array[:] = [None] * len(ones)
        for k, one in enumerate(ones):
            array[k] = Unknown(one, code.kind)
        arguments.append(array.reshape(shape))
    (result,) = writer.function(code.closed, arguments)
    return [writer.arithmetic.value(one, code.kind) for one in result.flat]


@no_type_check
def text_of(code: Traced) -> str:
    """The code as LLVM's text: the same for the same function. Raises `NotWritten` for an operation without a line."""
    number = cpu_target.target_context.get_value_type(from_dtype(code.kind))
    sizes = [int(np.prod(shape, dtype=int)) for shape in code.shapes]
    result = ir.LiteralStructType([number] * int(np.prod(code.result, dtype=int)))
    module = ir.Module("line")
    function = ir.Function(module, ir.FunctionType(result, [number] * sum(sizes)), "line")
    builder = ir.IRBuilder(function.append_basic_block())
    bounds = pairwise(np.cumsum([0, *sizes]))
    values = [list(function.args[a:b]) for a, b in bounds]
    typing, context = cpu_target.typing_context, cpu_target.target_context
    typing.refresh()
    context.refresh()
    with context.push_code_library(context.codegen().create_library("line")):
        found = written(code, context, typing, builder, values)
    builder.ret(cgutils.make_anonymous_struct(builder, found, result))
    return str(module)


def callable_of(code: Traced) -> Callable:
    """Compiled code's `f((argument, ...))`: vectors are tuples, a result of no axes is a number."""
    number = from_dtype(code.kind)

    @intrinsic
    @no_type_check
    def run(typingctx, arguments):
        result = types.UniTuple(number, code.result[0]) if code.result else number

        @no_type_check
        def generate(context, builder, signature, given):
            values = []
            for value, kind in zip(cgutils.unpack_tuple(builder, given[0]), signature.args[0], strict=True):
                ones = cgutils.unpack_tuple(builder, value) if isinstance(kind, types.BaseTuple) else [value]
                kinds = list(kind) if isinstance(kind, types.BaseTuple) else [kind]
                values.append([context.cast(builder, one, a, number) for one, a in zip(ones, kinds, strict=True)])
            found = written(code, context, context.typing_context, builder, values)
            return context.make_tuple(builder, signature.return_type, found) if code.result else found[0]

        return result(arguments), generate

    return run


def functions_of(neuron: Any, variables: int, kind: np.dtype) -> dict[str, Traced]:
    """What the lines are made of, from a neuron whose state has so many numbers."""
    state, number = (variables,), ()

    def pulled(function: Callable, at: Any, bar: Any) -> Any:
        return jax.vjp(function, at)[1](bar)[0]

    def jumped(both: Any) -> Any:
        return neuron.jump(both[:-1], both[-1])

    functions: dict[str, tuple[Callable, tuple[tuple[int, ...], ...]]] = {
        "flow": (neuron.flow_until_spike, (state, number)),
        "unflow": (lambda s, dt, bar: pulled(lambda x: neuron.flow_until_spike(x, dt), s, bar), (state, number, state)),
        "power": (lambda s, bar: jnp.sum(bar * neuron.velocity(s)), (state, state)),
        "may": (neuron.may_spike_within, (state, number)),
        "wait": (neuron.time_to_spike_within, (state, number)),
        "slope": (
            lambda s: jax.grad(lambda x: neuron.time_to_spike_within(x, jnp.asarray(jnp.inf, kind)))(s),
            (state,),
        ),
        "reset": (neuron.reset, (state,)),
        "unreset": (lambda s, bar: pulled(neuron.reset, s, bar), (state, state)),
        "jump": (neuron.jump, (state, number)),
        "unjump": (lambda s, w, bar: pulled(jumped, jnp.append(s, w), bar), (state, number, state)),
        "distance": (lambda a, b: jnp.max(jnp.abs(a - b) / (1 + jnp.abs(b))), (state, state)),
        "add": (lambda bar, direction, factor: bar + factor * direction, (state, state, number)),
    }
    return {name: traced(function, kind, *shapes) for name, (function, shapes) in functions.items()}


class Derived:
    """The functions `unpack` of derived lines by name: compiled code that is cached is found under it."""


class DerivedLines(NamedTuple):
    """Lines as `_call` takes them: `derive(neuron, dtype)` gives the constants, `unpack` the named tuple of them."""

    derive: Callable
    unpack: Callable


def digest_of(codes: dict[str, Traced]) -> str:
    """What names the code of a neuron: the same for the same functions. Raises `NotWritten`."""
    return hashlib.sha256("".join(map(text_of, codes.values())).encode()).hexdigest()[:24]


@cache
def derived_lines(neuron: Any, variables: int, kind: np.dtype) -> DerivedLines:
    """The lines of a neuron without parameters, made when it is first asked for.

    Raises `NotWritten`, whose text is the operation, where the class does something that has no line.
    """
    codes = functions_of(neuron, variables, kind)
    name = f"derived_{digest_of(codes)}"
    constants = namedtuple(name, ["zero", "one"])  # type: ignore[misc]

    @no_type_check
    def unpack(array):
        return constants(array[0], array[1])

    unpack.__module__, unpack.__name__, unpack.__qualname__ = __name__, name, f"Derived.{name}"
    setattr(Derived, name, unpack)
    _register(constants, variables, {key: callable_of(code) for key, code in codes.items()})
    return DerivedLines(_derive, register_jitable(unpack))


def _derive(neuron: Any, dtype: Any) -> Any:
    del neuron
    return jnp.asarray([0, 1], dtype)


@no_type_check
def _register(constants, variables, code):
    """All lines for the constants of that type."""
    flow, unflow, power, may = (code[name] for name in ("flow", "unflow", "power", "may"))
    wait, slope = code["wait"], code["slope"]
    reset, unreset, jump, unjump = (code[name] for name in ("reset", "unreset", "jump", "unjump"))
    distance, add = code["distance"], code["add"]

    def load(constants, block, index):
        return to_fixed_tuple(block[:, index], variables)

    def store(constants, block, index, state):
        for v in range(variables):
            block[v, index] = state[v]

    functions = {
        line.load: load,
        line.store: store,
        line.add_scaled: lambda constants, bar, direction, factor: add((bar, direction, factor)),
        line.propagator: lambda constants, dt: dt,
        line.flow: lambda constants, step, state: flow((state, step)),
        line.shortening: lambda constants, step, state: constants.zero,
        line.may_spike: lambda constants, step, before, after: may((before, step)) > constants.zero,
        line.wait: lambda constants, state: wait((state, np.inf)),
        line.wait_within: lambda constants, state, limit: wait((state, limit)),
        line.reset: lambda constants, state: reset((state,)),
        line.jump: lambda constants, state, weight: jump((state, weight)),
        line.scale_of: lambda constants, state: constants.one,
        line.scale: lambda constants, state, factor: state,
        line.tangent: lambda constants, state, bar: bar,
        line.flow_pullback: lambda constants, step, before, after, bar: (
            unflow((before, step, bar)),
            power((after, bar)),
        ),
        line.wait_gradient: lambda constants, state: slope((state,)),
        line.reset_pullback: lambda constants, state, bar: unreset((state, bar)),
        line.power: lambda constants, state, bar: power((state, bar)),
        line.unreset: lambda constants, state: state,
        line.distance: lambda constants, one, other: distance((one, other)),
    }

    def jump_pullback(constants, before, weight, bar):
        found = unjump((before, weight, bar))
        return found[:variables], found[variables]

    functions[line.jump_pullback] = jump_pullback
    for one, function in functions.items():
        line.given(constants, one, function)
    line.ONLY_FORWARDS.add(constants)
