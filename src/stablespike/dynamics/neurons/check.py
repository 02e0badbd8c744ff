"""Whether a neuron's members fit together: each against differences, or against another that says the same."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jaxtyping import Array, Float
from numba import njit

from stablespike.dynamics.arguments import is_number, require_number, shown
from stablespike.dynamics.neurons.carried import carried, with_parameters
from stablespike.dynamics.neurons.charts import AbstractChart, AsItIs
from stablespike.dynamics.neurons.neuron import AbstractNeuron, one_neuron, require, require_states
from stablespike.native.derived.arithmetic import NotWritten
from stablespike.native.derived.lines import callable_of, functions_of

COUNT = 24  # states that are tried unless some are given
STEP = 1e-5  # of differences, in units of 1 + |number|
AGREE = 1e-4  # two differences, of a step and of half of it, that tell a derivative
PARTS = (0.4, 0.999)  # of a wait after which the rest of it is asked for
EQUALITIES = {
    "flow, there and back": "flow(flow(state, dt), -dt) must be the state",
    "flow in two steps": "flow(flow(state, dt), dt) must be flow(state, 2 dt)",
    "jump, there and back": "jump(jump(state, weight), -weight) must be the state",
    "velocity": "velocity(state) must be the derivative of flow(state, dt) at dt = 0",
    "time_to_spike on the way": "after a part of its wait a neuron must have the rest of it to wait",
    "time_to_spike_within": "within a longer limit it must be time_to_spike",
    "may_spike_within": "it must not be False where a spike comes",
    "state after a spike": "reset(flow(state, time_to_spike(state))) must be finite",
    "spike_time_derivative": "at the spike, taken back along the flow, it must be the slope of time_to_spike",
    "derivative of time_to_spike": "jax.grad of it must be its slope",
    "derivative of flow": "jax.jvp of flow must be its slope",
    "derivative of jump": "jax.jvp of jump must be its slope",
    "derivative of reset": "jax.jvp of reset must be its slope",
    "parameters in flow": "the derivative of flow with respect to parameters must be its slope",
    "parameters in time_to_spike": "the derivative of time_to_spike with respect to parameters must be its slope",
    "kernels": "code that is derived from the class must do what JAX does",
}


class NeuronCheck(NamedTuple):
    """The largest error of each equality, in units of 1 + |what it should be|, and the state at which it was met.

    `skipped`: comparisons of derivatives that were left out, as two differences did not agree (a grazing spike).
    """

    errors: dict[str, float]
    states: dict[str, list[float]]
    skipped: int

    @property
    def worst(self) -> str:
        """The equality with the largest error."""
        return max(self.errors, key=lambda name: self.errors[name])

    def __str__(self) -> str:
        """A line for each equality, the worst last."""
        order = sorted(self.errors, key=lambda name: self.errors[name])
        return "\n".join(f"{name:28s} {self.errors[name]:9.2e}" for name in order)


def check_neuron(
    neuron: AbstractNeuron,
    states: Float[Array, "states variables"] | None = None,
    *,
    weight: float = 0.3,
    tolerance: float = 1e-6,
    kernels: bool = True,
    leave_out: Sequence[str] = (),
) -> NeuronCheck:
    """Compare each member of a neuron of any class with differences, or with another member that says the same.

    `states` are those to try (default: voltages from -0.5 to 0.9 that pulses of up to 6 have reached); some must lead
    to a spike. `weight` is that of a pulse, `kernels` whether code derived from the class is compiled (half a minute)
    and compared too, `leave_out` what a neuron cannot have, by its name in `EQUALITIES`: "flow, there and back" where a
    refractory period ends on the way. Of a population the first neuron is checked. Needs float64.

    Raises `ValueError` where an error exceeds the `tolerance` (differences are good to about 1e-9), naming the worst.
    """
    _require(neuron, states, weight, tolerance, leave_out)
    one: Any = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), one_neuron(neuron, 0))
    states = usual_states(one) if states is None else jnp.asarray(states, float)
    require_states(one, states, len(states))
    waits = jax.jit(jax.vmap(one.time_to_spike))(states)
    require(~jnp.isnan(waits) & (waits >= 0), "time_to_spike must be at least 0, or inf: it is negative or nan.")
    spiking = jnp.isfinite(waits) & (waits > 0)
    require(jnp.any(spiking), "no state that was tried leads to a spike: give `states` that do.")
    states, waits = states[spiking], waits[spiking]
    errors: dict[str, float] = {}
    where: dict[str, list[float]] = {}
    skipped = 0
    for name, found in _compared(one, states, waits, weight):
        sizes, left_out = found
        if name in leave_out:
            continue
        skipped += left_out
        if not float(np.max(sizes)) <= errors.get(name, -1.0):  # an equality may be tried more than once
            errors[name], where[name] = float(np.max(sizes)), states[int(np.argmax(sizes))].tolist()
    if kernels and "kernels" not in leave_out:
        errors["kernels"], where["kernels"] = _kernels(one, states[0], waits[0], weight), states[0].tolist()
    require(errors, "leave_out names all that there is: nothing is left to check.")
    check = NeuronCheck(errors, where, skipped)
    if not check.errors[check.worst] <= tolerance:
        others = [name for name, error in errors.items() if not error <= tolerance and name != check.worst]
        more = f"; wrong as well: {', '.join(others)}" if others else ""
        raise ValueError(
            f"{type(neuron).__name__} does not fit together: {EQUALITIES[check.worst]}, and is off by "
            f"{check.errors[check.worst]:.2g} at the state {check.states[check.worst]} (`{check.worst}`{more})."
        )
    return check


def _require(neuron: Any, states: Any, weight: Any, tolerance: Any, leave_out: Any) -> None:
    """Raise `ValueError` for arguments that cannot be meant."""
    require(jnp.result_type(float) == np.float64, "check_neuron needs float64: switch JAX's x64 mode on.")
    if not isinstance(neuron, AbstractNeuron):
        raise ValueError(f"check_neuron takes a neuron such as LIF(), not {shown(neuron)}.")
    if any(jnp.shape(leaf) == (0,) for leaf in jax.tree.leaves(neuron)):
        raise ValueError("check_neuron takes a population of at least one neuron, not of none.")
    if states is not None and not is_number(np.asarray(states)):
        raise ValueError(f"states must be an array [states, variables] of numbers, not {shown(states)}.")
    require_number("weight", weight)
    require_number("tolerance", tolerance)
    require(np.isfinite(weight), f"weight must be finite, not {weight}.")
    require(tolerance >= 0, f"tolerance must be at least 0, not {tolerance}.")
    if isinstance(leave_out, str) or not isinstance(leave_out, Sequence):
        raise ValueError(f"leave_out must be a tuple of names of equalities, not {shown(leave_out)}.")
    unknown = [name for name in leave_out if name not in EQUALITIES]
    require(not unknown, f"there is no equality {unknown} to leave out: there are {list(EQUALITIES)}.")


def usual_states(neuron: Any) -> Float[Array, "states variables"]:
    """States below threshold on the way to a spike, if pulses excite the neuron."""
    random = np.random.default_rng(0)
    starts = [neuron.initial_state(voltage) for voltage in random.uniform(-0.5, 0.9, COUNT)]
    pulses = random.uniform(0, 6, COUNT)
    pulses[::3] = 0
    states = jax.vmap(neuron.jump)(jnp.stack(starts).astype(float), jnp.asarray(pulses))
    waits = jax.jit(jax.vmap(neuron.time_to_spike))(states)
    on_the_way = jax.jit(jax.vmap(neuron.flow))(states, jnp.where(jnp.isfinite(waits), 0.1 * waits, 0))
    return on_the_way  # variables that start from 0, as an adaptation, have left it


def _off(one: Any, other: Any) -> np.ndarray:
    """The largest difference of each row, in units of 1 + |other|; inf for what is no number."""
    one, other = (np.asarray(x, float).reshape(np.shape(x)[0], -1) for x in (one, other))
    with np.errstate(invalid="ignore"):
        sizes = (np.abs(one - other) / (1 + np.abs(other))).max(1)
    return np.where(np.isnan(sizes), np.inf, sizes)


def _slope(function: Callable, at: Any, direction: Any) -> tuple[Array, Array]:
    """The central difference of a function of a pytree along a direction, and whether half the step gives the same."""

    def difference(step: float) -> Array:
        def moved(sign: int) -> Array:
            return function(jax.tree.map(lambda x, d: x + sign * step * d, at, direction))

        return (moved(1) - moved(-1)) / (2 * step)

    whole, half = difference(STEP), difference(STEP / 2)
    agree = jnp.max(jnp.abs(whole - half) / (1 + jnp.abs(half))) < AGREE
    return (4 * half - whole) / 3, agree


def _derivative(function: Callable, rows: Any) -> tuple[np.ndarray, int]:
    """JAX's derivative along a random direction against the difference, of each row; rows that were left out.

    What is 0, as a clock that has run down, is left alone. Where no difference settles, the error is infinite.
    """
    random = np.random.default_rng(1)
    directions = jax.tree.map(
        lambda x: jnp.where(x == 0, 0, jnp.asarray(random.normal(size=x.shape[1:])) * (1 + jnp.abs(x))), rows
    )

    def both(at: Any, direction: Any) -> tuple[Array, Array, Array]:
        slope, agree = _slope(function, at, direction)
        return jax.jvp(function, (at,), (direction,))[1], slope, agree

    found, expected, agree = jax.jit(jax.vmap(both))(rows, directions)
    agree = np.asarray(agree)
    return np.where(agree, _off(found, expected), 0 if agree.any() else np.inf), int((~agree).sum())


def _compared(neuron: Any, states: Array, waits: Array, weight: float) -> Iterator[tuple[str, tuple[np.ndarray, int]]]:
    """Each equality with its errors, one for each state."""
    dt = 0.3 * jnp.median(waits)
    short = jnp.minimum(dt, 0.3 * waits)

    def each(function: Callable, *rows: Any) -> Any:
        return jax.jit(jax.vmap(function))(*rows)

    def given(leaves: Any, state: Any) -> Any:
        return jax.tree.unflatten(structure, leaves), state

    def seen(state: Array) -> Array:
        return chart.coordinates(neuron, state)

    def flowed(state: Array, time: Any) -> Array:
        return seen(neuron.flow(state, time))

    def taken_back(state: Array, wait: Array) -> Array:
        at_spike, back = jax.vjp(lambda start: neuron.flow(start, wait), state)
        return back(neuron.spike_time_derivative(at_spike))[0]

    chart = _chart(neuron)
    leaves, structure = jax.tree.flatten(neuron)
    spread = [jnp.broadcast_to(leaf, (len(states), *leaf.shape)) for leaf in leaves]
    there = each(neuron.flow, states, short)
    yield "flow, there and back", (_off(each(flowed, there, -short), each(seen, states)), 0)
    yield "flow in two steps", (_off(each(flowed, there, short), each(flowed, states, 2 * short)), 0)
    pulsed = each(lambda state: neuron.jump(state, weight), states)
    back = each(lambda state: seen(neuron.jump(state, -weight)), pulsed)
    yield "jump, there and back", (_off(back, each(seen, states)), 0)
    moved = each(lambda state: _slope(lambda time: flowed(state, time * dt), 0.0, 1.0)[0], states)
    speed = each(lambda state: jax.jvp(seen, (state,), (neuron.velocity(state) * dt,))[1], states)
    yield "velocity", (_off(speed, moved), 0)
    for part in PARTS:
        left = each(neuron.time_to_spike, each(neuron.flow, states, part * waits))
        yield "time_to_spike on the way", (_off(left / waits, 1 - part + jnp.zeros_like(left)), 0)
    yield "time_to_spike_within", (_off(each(neuron.time_to_spike_within, states, 2 * waits) / waits, waits / waits), 0)
    may = each(neuron.may_spike_within, states, waits)
    yield "may_spike_within", (np.where(may, 0.0, np.inf), 0)
    after = each(lambda state, wait: neuron.reset(neuron.flow(state, wait)), states, waits)
    yield "state after a spike", (_off(after, after), 0)
    yield "derivative of time_to_spike", _derivative(neuron.time_to_spike, states)
    own = each(taken_back, states, waits)
    yield "spike_time_derivative", (_off(own, each(jax.grad(neuron.time_to_spike), states)), 0)
    yield "derivative of flow", _derivative(lambda state: flowed(state, 0.1 * dt), states)
    yield "derivative of jump", _derivative(lambda state: neuron.jump(state, weight), states)
    yield "derivative of reset", _derivative(neuron.reset, states)
    if leaves:
        yield "parameters in flow", _derivative(lambda at: seen(given(*at)[0].flow(at[1], 0.1 * dt)), (spread, states))
        yield (
            "parameters in time_to_spike",
            _derivative(lambda at: given(*at)[0].time_to_spike(at[1]), (spread, states)),
        )


def _chart(neuron: Any) -> AbstractChart:
    """The neuron's coordinates, or the state itself where it has none."""
    try:
        return neuron.chart()
    except ValueError:
        return AsItIs()


def _kernels(neuron: Any, state: Array, wait: Array, weight: float) -> float:
    """The largest error of the code that is derived from the class, at one state; 0 where there is none."""
    whole = with_parameters(neuron, state[None])[0]
    size, kind = whole.shape[0], np.dtype(float)
    try:
        codes = functions_of(carried(neuron, state.shape[0]), size, kind)
        worst = 0.0
        arguments = {
            "flow": (0.3 * wait,),
            "unflow": (0.3 * wait, whole),
            "power": (whole,),
            "may": (2 * wait,),
            "wait": (2 * wait,),
            "slope": (),
            "reset": (),
            "unreset": (whole,),
            "jump": (weight,),
            "unjump": (weight, whole),
        }
        for name, more in arguments.items():
            given = tuple(jnp.asarray(one, float) for one in (whole, *more))
            run = callable_of(codes[name])
            found = njit(lambda given, run=run: run(given))(tuple(_as_numbers(one) for one in given))
            (expected,) = jax.jit(jaxpr_as_fun(codes[name].closed))(*given)
            worst = max(worst, float(_off(np.atleast_2d(found), np.atleast_2d(expected)).max()))
    except NotWritten:
        return 0.0
    return worst


def _as_numbers(one: Array) -> Any:
    return tuple(one.tolist()) if one.ndim else float(one)
