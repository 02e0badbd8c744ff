"""What a neuron plugs into the native kernels: one short function per line below, chosen by the type of its constants.

A neuron's file defines a named tuple of derived constants and registers its lines with `lines_of`. States are tuples of
floats; a `bar` is the cotangent of what it is named after. The lines restate the JAX class of the neuron, and a test
pins the one to the other.
"""

from typing import no_type_check

from numba import njit, types
from numba.extending import overload

from stablespike.native.bridge import INNER, ONCE

PLAIN = INNER | {"error_model": "numpy", "fastmath": {"contract"}}
INLINED = PLAIN | ONCE


def load(constants, block, index):
    """State of one neuron from a block `[variables, neurons]`."""
    raise NotImplementedError


def store(constants, block, index, state):
    """The reverse of `load`."""
    raise NotImplementedError


def add_scaled(constants, bar, direction, factor):
    """bar + factor * direction."""
    raise NotImplementedError


def propagator(constants, dt):
    """What a free flow over `dt` needs and all neurons share."""
    raise NotImplementedError


def flow(constants, step, state):
    """State after the free flow; spikes in between are not looked for."""
    raise NotImplementedError


def shortening(constants, step, state):
    """The positive factor that `flow` takes out of a state's length on its own account; 0 if no flow back undoes it."""
    raise NotImplementedError


def may_spike(constants, step, before, after):
    """Whether a spike can lie in the interval: cheap, and never false when there is one."""
    raise NotImplementedError


def wait(constants, state):
    """Time to the next spike (inf if none comes)."""
    raise NotImplementedError


def wait_within(constants, state, limit):
    """Time to the next spike, if it comes within the limit; else that, or inf."""
    raise NotImplementedError


def reset(constants, state):
    """State after the spike."""
    raise NotImplementedError


def jump(constants, state, weight):
    """State after an input spike."""
    raise NotImplementedError


def scale_of(constants, state):
    """The positive factor that takes a state without meaningful length to length one."""
    raise NotImplementedError


def scale(constants, state, factor):
    """State times the factor; also the pull-back of that."""
    raise NotImplementedError


def tangent(constants, state, bar):
    """The cotangent without its part along the length of a state of length one, where length has no meaning.

    Once it is taken out at the end it stays out, so that on the way factors of length count as constants.
    """
    raise NotImplementedError


def flow_pullback(constants, step, before, after, bar):
    """Cotangents of the state before the flow and of its duration."""
    raise NotImplementedError


def wait_gradient(constants, state):
    """Gradient of `wait` with respect to the state, where a spike comes."""
    raise NotImplementedError


def reset_pullback(constants, state, bar):
    """Cotangent of the state before the reset, which is `state`."""
    raise NotImplementedError


def power(constants, state, bar):
    """bar . d(state)/dt of the free flow."""
    raise NotImplementedError


def unreset(constants, state):
    """State at the spike, from the one after the reset, or, with rounding, from itself."""
    raise NotImplementedError


def distance(constants, one, other):
    """How far two states are apart, in the unit of a state of ordinary size."""
    raise NotImplementedError


def jump_pullback(constants, before, weight, bar):
    """Cotangents of the state before the input spike and of its weight."""
    raise NotImplementedError


@no_type_check
def _load_two(constants, block, index):
    return block[0, index], block[1, index]


@no_type_check
def _load_three(constants, block, index):
    return block[0, index], block[1, index], block[2, index]


@no_type_check
def _store_two(constants, block, index, state):
    block[0, index] = state[0]
    block[1, index] = state[1]


@no_type_check
def _store_three(constants, block, index, state):
    block[0, index] = state[0]
    block[1, index] = state[1]
    block[2, index] = state[2]


@no_type_check
def _add_two(constants, bar, direction, factor):
    return bar[0] + factor * direction[0], bar[1] + factor * direction[1]


@no_type_check
def _add_three(constants, bar, direction, factor):
    return bar[0] + factor * direction[0], bar[1] + factor * direction[1], bar[2] + factor * direction[2]


@no_type_check
def _wait(constants, state, limit):
    return wait(constants, state)


ADDED_TO = {}  # type: ignore[var-annotated]


def is_of(constants, constants_type):
    """Whether compiled code was handed the constants of that type."""
    return isinstance(constants, types.BaseNamedTuple) and constants.instance_class is constants_type


def by_neuron(line, general, constants_type, special):
    """Make `line` the function `general` for all neurons, and `special` for those with constants of that type."""

    @no_type_check
    def choose(constants, *_):
        return (special if is_of(constants, constants_type) else general).py_func

    overload(line, strict=False, jit_options=PLAIN)(choose)


def given(constants_type, line, function):
    """Make `function` the line of the neurons with constants of that type."""

    @no_type_check
    def choose(constants, *_):
        return function if is_of(constants, constants_type) else None

    overload(line, strict=False, jit_options=PLAIN)(choose)


ONLY_FORWARDS = set()  # type: ignore[var-annotated]


def lines_of(constants_type, variables, added_to=None):
    """Decorator factory: `@lines(flow)` registers a function as the line `flow` for constants of that named tuple.

    `variables`, 2 or 3, is the number of state variables; `added_to` the one to which a pulse adds its weight, if that
    is all it does and the variable has a meaningful length. The tuple's name must be no other neuron's: numba puts it
    into the names of the machine code, where two of the same name would be taken for each other.
    """
    ADDED_TO[constants_type] = added_to

    def lines(line):
        def decorate(function):
            given(constants_type, line, function)
            return function

        return decorate

    lines(wait_within)(_wait)
    lines(load)({2: _load_two, 3: _load_three}[variables])
    lines(store)({2: _store_two, 3: _store_three}[variables])
    lines(add_scaled)({2: _add_two, 3: _add_three}[variables])
    return lines


def can_be_reversed(constants):
    """Whether runs are reversed in time; else they are replayed."""
    raise NotImplementedError


def pulse_row(constants, state, row):
    """A pulse with the weights `row` reaches all neurons of a block `[variables, neurons]`, in place."""
    raise NotImplementedError


def only_added(constants):
    """Whether a pulse only adds its weight to a variable: pulses at one time then need no look for spikes between."""
    raise NotImplementedError


def unpulse_row(constants, state, bars, row, row_bars):
    """Back through such a pulse, in place, lengths without meaning taken out; cotangents added to `row_bars`."""
    raise NotImplementedError


@njit(**PLAIN)
@no_type_check
def _pulse_each(constants, state, row):
    for j in range(state.shape[1]):
        store(constants, state, j, jump(constants, load(constants, state, j), row[j]))


@njit(**PLAIN)
@no_type_check
def _unpulse_each(constants, state, bars, row, row_bars):
    for j in range(state.shape[1]):
        before = jump(constants, load(constants, state, j), -row[j])
        factor = scale_of(constants, before)
        before = scale(constants, before, factor)
        bar = scale(constants, load(constants, bars, j), 1 / factor)
        bar, weight_bar = jump_pullback(constants, before, row[j], bar)
        store(constants, state, j, before)
        store(constants, bars, j, bar)
        row_bars[j] += weight_bar


@njit(**PLAIN)
@no_type_check
def _add(to, row):
    for j in range(to.shape[0]):
        to[j] += row[j]


@njit(**PLAIN)
@no_type_check
def _take(currents, bars, row, row_bars):
    for j in range(currents.shape[0]):
        currents[j] -= row[j]
        row_bars[j] += bars[j]


def _variable_of(constants):
    return ADDED_TO.get(constants.instance_class) if isinstance(constants, types.BaseNamedTuple) else None


@overload(can_be_reversed, strict=False, jit_options=PLAIN)
@no_type_check
def _choose_reversal(constants):
    can = not (isinstance(constants, types.BaseNamedTuple) and constants.instance_class in ONLY_FORWARDS)
    return lambda constants: can


@overload(only_added, strict=False, jit_options=PLAIN)
@no_type_check
def _choose_only_added(constants):
    added = _variable_of(constants) is not None
    return lambda constants: added


@overload(pulse_row, strict=False, jit_options=PLAIN)
@no_type_check
def _choose_pulse(constants, state, row):
    variable = _variable_of(constants)

    @no_type_check
    def added(constants, state, row):
        _add(state[variable], row)

    @no_type_check
    def each(constants, state, row):
        _pulse_each(constants, state, row)

    return each if variable is None else added


@overload(unpulse_row, strict=False, jit_options=PLAIN)
@no_type_check
def _choose_unpulse(constants, state, bars, row, row_bars):
    variable = _variable_of(constants)

    @no_type_check
    def taken(constants, state, bars, row, row_bars):
        _take(state[variable], bars[variable], row, row_bars)

    @no_type_check
    def each(constants, state, bars, row, row_bars):
        _unpulse_each(constants, state, bars, row, row_bars)

    return each if variable is None else taken
