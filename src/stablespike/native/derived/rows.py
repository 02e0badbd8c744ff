"""The lines of a neuron for the sparse kernel, derived from its JAX class.

A row holds the neuron's state, parameters included, after its last event, and the time of that, seen from the reference
time; an event flows it there.
"""

from collections import namedtuple
from collections.abc import Callable
from functools import cache
from typing import Any, no_type_check

import jax.numpy as jnp
import numpy as np
from numba.extending import register_jitable
from numba.np.unsafe.ndarray import to_fixed_tuple

from stablespike.native.derived.lines import Derived, DerivedLines, callable_of, digest_of, functions_of
from stablespike.native.sparse import lines as line


@cache
def derived_rows(neuron: Any, variables: int, kind: np.dtype) -> DerivedLines:
    """The sparse kernel's lines of a neuron without parameters; `derive(neuron, dtype, duration)` gives the constants.

    A wait is looked for up to the `duration` of the trial. Raises `NotWritten`, as `derived_lines` does.
    """
    codes = functions_of(neuron, variables, kind)
    name = f"rows_{digest_of(codes)}"
    constants = namedtuple(name, ["limit"])  # type: ignore[misc]

    @no_type_check
    def unpack(array):
        return constants(array[0])

    unpack.__module__, unpack.__name__, unpack.__qualname__ = Derived.__module__, name, f"Derived.{name}"
    setattr(Derived, name, unpack)
    _register(constants, variables, {key: callable_of(codes[key]) for key in ("flow", "wait", "jump", "reset")})
    return DerivedLines(_derive, register_jitable(unpack))


def _derive(neuron: Any, dtype: Any, duration: Any) -> Any:
    del neuron
    return jnp.asarray(duration, dtype).reshape(1, 1)


@no_type_check
def _register(constants, variables, code):
    """All lines for the constants of that type."""
    flow, wait, jump, reset = (register_jitable(_unpacked(code[name])) for name in ("flow", "wait", "jump", "reset"))

    @register_jitable
    def put(rows, j, state, now):
        for v in range(variables):
            rows[j, v] = state[v]
        rows[j, variables] = now

    @register_jitable
    def flowed(rows, j, now):
        return flow(to_fixed_tuple(rows[j], variables), now - rows[j, variables])

    def leave(constants, step, now, rows, j, state):
        one = flowed(rows, j, now)
        for v in range(variables):
            state[v] = one[v]

    def rebase(constants, step, now, rows, j):
        rows[j, variables] -= now

    functions = {
        line.columns: lambda constants: variables + 1,
        line.frame: lambda constants, now: now,
        line.enter: lambda constants, rows, j, state: put(rows, j, to_fixed_tuple(state, variables), 0.0),
        line.leave: leave,
        line.hit: lambda constants, step, now, rows, j, weight: put(rows, j, jump(flowed(rows, j, now), weight), now),
        line.due: lambda constants, step, now, rows, j: max(
            rows[j, variables] + wait(to_fixed_tuple(rows[j], variables), constants.limit), now
        ),
        line.fire: lambda constants, step, now, rows, j: put(rows, j, reset(flowed(rows, j, now)), now),
        line.pulses_and_reset_commute: lambda constants: False,
        line.rebase: rebase,
    }
    plug = line.plugs_of(constants, delays=False)
    for one, function in functions.items():
        plug(one)(function)


@no_type_check
def _unpacked(code) -> Callable:
    """Compiled code that takes its arguments one by one."""

    def run(*arguments):
        return code(arguments)

    return run
