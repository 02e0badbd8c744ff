"""Any neuron given by its right-hand side, its threshold and its reset, integrated step by step."""

import abc
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stablespike.dynamics.arguments import require_number
from stablespike.dynamics.neurons.forward_mode import by_forward_mode
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, State, as_floats, one_neuron, require
from stablespike.dynamics.neurons.switches import switch_of

TOLERANCE_IN_ROUNDINGS = 16  # of one step
MOST_STEPS = 2**14
ORDER = 8
TABLEAU = diffrax.Dopri8.tableau  # Prince & Dormand (1981), RK8(7)13M
STAGES = len(TABLEAU.b_sol)
LOWER = np.zeros((STAGES, STAGES))  # row i: what stage i takes of the slopes before
for _i, _row in enumerate(TABLEAU.a_lower):
    LOWER[_i + 1, : len(_row)] = _row
SOLUTION, ERROR = np.asarray(TABLEAU.b_sol), np.asarray(TABLEAU.b_error)
SMALLEST, LARGEST, SAFETY = 0.2, 4.0, 0.9  # factors from step to step
NEWTON_STEPS = 60
BEYOND = 1e-6  # of the threshold, in units of 1 + |distance at the start|: there `flow_until_spike` may end


class NumericalNeuron(AbstractNeuron):
    """A neuron of which only the model is written down; subclasses give it in a few lines, the rest is computed.

    `right_hand_side(state)` is dx/dt, in any unit of time; `distance_to_spike(state)` is positive below threshold and
    passes through zero at the spike; `reset` and `jump` are as for every neuron. State `[variables]`, voltage first.

    Steps are of order 8 with an estimate of their error (Prince & Dormand 1981) that keeps them within 16 units of
    rounding; in float64 spike times of the LIF and QIF neuron come out to 1e-11. `longest_step` bounds them, so that no
    crossing of the threshold is overlooked: keep it below the model's time scales. Simulations look for a spike as far
    as they have to; `time_to_spike` by itself up to `horizon`. A state at or beyond threshold spikes at once. Where
    16384 steps do not suffice the result is nan, which the simulators report. Layers and dense networks run in kernels
    that are derived from the class, at a hundredth of a closed form's speed or so.

    The right-hand side must be continuous: where it jumps on the way (a refractory clock in a `where`) states are
    right, but derivatives lack the jump that the switch makes. One that chooses, rounds or takes a sign of something
    that depends on the state is refused; `continuous = True` in the class says that its choices agree where they
    switch. `Refractory` makes a neuron refractory.
    """

    continuous: ClassVar[bool] = False
    horizon: eqx.AbstractVar[float]
    longest_step: eqx.AbstractVar[float]

    def _require_model(self) -> None:
        """Refuse a horizon and a step that are not positive, and a right-hand side that may jump."""
        for name in ("horizon", "longest_step"):
            require_number(f"{name} of {type(self).__name__}", getattr(self, name))
            require(0 < getattr(self, name) < jnp.inf, f"{name} must be positive and finite.")
        if not self.continuous:
            require_no_switch(self)

    @abc.abstractmethod
    def right_hand_side(self, state: State) -> State:
        """dx/dt of the free evolution."""

    @abc.abstractmethod
    def distance_to_spike(self, state: State) -> Scalar:
        """Positive below threshold, zero at it."""

    def voltage(self, state: State) -> Scalar:
        """The first state variable."""
        return state[0]

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """State `[V, x]` with the second variable, if there is one, at `current`."""
        return jnp.stack(as_floats(voltage, current))

    def flow(self, state: State, dt: Scalar) -> State:
        """The solution of dx/dt = f(x) after `dt` of either sign."""
        return by_forward_mode(_solve, state, self, dt)

    def flow_until_spike(self, state: State, dt: Scalar) -> State:
        """`flow`, but the step that ends beyond the threshold is the last one: beyond it the model may explode."""
        return by_forward_mode(_solve_below, state, self, dt)

    def velocity(self, state: State) -> State:
        """The right-hand side."""
        return self.right_hand_side(state)

    def held(self, state: State, dt: Scalar) -> State:
        """The solution with the voltage at its reset value and its slope zero."""
        state = state.at[0].set(self.reset(state)[0])
        return by_forward_mode(_solve_held, state, self, dt)

    def time_to_spike(self, state: State) -> Scalar:
        """First zero of the distance to the spike within the horizon, else inf."""
        return _first_passage(state, self, jnp.asarray(self.horizon, state.dtype))

    def time_to_spike_within(self, state: State, limit: Scalar) -> Scalar:
        """First zero of the distance to the spike, looked for up to the limit."""
        return _first_passage(state, self, jnp.asarray(limit, state.dtype))


def require_no_switch(neuron: NumericalNeuron) -> None:
    """Raise `ValueError` for a right-hand side that may jump as the state changes."""
    one: Any = one_neuron(neuron, 0)
    found = switch_of(one.right_hand_side, jax.eval_shape(one.initial_state))
    name = type(neuron).__name__
    require(
        found is None,
        f"the right-hand side of {name} may jump ({found} of what depends on its state), and derivatives would lack "
        f"that jump: make it continuous, write a refractory period as Refractory({name}(...), period), or say "
        "`continuous: ClassVar[bool] = True` in the class if both sides agree where it switches.",
    )


def _step(state: Array, slope: Any, h: Array) -> tuple[Array, Array]:
    """The state after a step of length h, and the estimate of its error; `slope(state)` is dx/dt."""

    def stage(slopes: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
        index, weights = row
        here = state + h * jnp.sum(weights[:, None] * slopes, 0)
        return slopes.at[index].set(slope(here)), None

    start = jnp.zeros((STAGES, *state.shape), state.dtype)
    rows = jnp.arange(STAGES), jnp.asarray(LOWER, state.dtype)
    slopes, _ = jax.lax.scan(stage, start, rows)
    moved = state + h * jnp.sum(jnp.asarray(SOLUTION, state.dtype)[:, None] * slopes, 0)
    return moved, h * jnp.sum(jnp.asarray(ERROR, state.dtype)[:, None] * slopes, 0)


def _judged(state: Array, moved: Array, error: Array) -> Array:
    """The error in units of what a step may have; above one it is made again."""
    unit = TOLERANCE_IN_ROUNDINGS * jnp.finfo(state.dtype).eps
    largest = jnp.max(jnp.abs(error) / (unit * (1 + jnp.maximum(jnp.abs(state), jnp.abs(moved)))))
    return jax.lax.stop_gradient(jnp.where(jnp.isnan(largest), jnp.inf, largest))


def _next_step(h: Array, error: Array, longest: Any) -> Array:
    """The step to try after one with this error."""
    factor = jnp.clip(SAFETY * jnp.maximum(error, 1e-10) ** (-1 / ORDER), SMALLEST, LARGEST)
    return jax.lax.stop_gradient(jnp.minimum(h * factor, longest))


def _integrate(state: Array, neuron: NumericalNeuron, dt: Any, slope: Any, below: bool) -> Array:
    """Steps over `dt`, those whose error is too large made again; nan if there are too many of them."""
    dt = jnp.asarray(dt, state.dtype)
    sign, span = jnp.sign(jax.lax.stop_gradient(dt)), jnp.abs(jax.lax.stop_gradient(dt))
    far = -BEYOND * (1 + jnp.abs(neuron.distance_to_spike(state)))

    def goes_on(carry: tuple[Array, Array, Array, Array]) -> Array:
        time, now, _, count = carry
        inside = (neuron.distance_to_spike(now) > far) if below else True
        return (time < span) & (count < MOST_STEPS) & inside

    def body(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        time, now, h, count = carry
        last = time + h >= span
        # what is left of dt, as a function of it, so that its derivative is that of the last step
        length = jnp.where(last, dt - sign * time, sign * h)
        moved, error = _step(now, slope, length)
        size = _judged(now, moved, error)
        fine = size <= 1
        whole = jnp.where(last, span, time + h)
        used = jax.lax.stop_gradient(jnp.abs(length))
        following = _next_step(used, size, neuron.longest_step)
        return jnp.where(fine, whole, time), jnp.where(fine, moved, now), following, count + 1

    first = jnp.asarray(neuron.longest_step, state.dtype)
    start = (jnp.zeros_like(span), state, first, jnp.zeros((), int))
    time, moved, _, _ = jax.lax.while_loop(goes_on, body, start)
    done = (time >= span) | ((neuron.distance_to_spike(moved) <= far) if below else False)
    still = jnp.where(span == 0, dt - jax.lax.stop_gradient(dt), 0)  # no step was made: the derivative is the slope
    return jnp.where(done, moved + still * slope(moved), jnp.nan)


def _solve(state: Array, neuron: NumericalNeuron, dt: Any) -> Array:
    return _integrate(state, neuron, dt, neuron.right_hand_side, below=False)


def _solve_below(state: Array, neuron: NumericalNeuron, dt: Any) -> Array:
    return _integrate(state, neuron, dt, neuron.right_hand_side, below=True)


def _solve_held(state: Array, neuron: NumericalNeuron, dt: Any) -> Array:
    return _integrate(state, neuron, dt, lambda x: neuron.right_hand_side(x).at[0].set(0), below=False)


@jax.custom_jvp
def _first_passage(state: Float[Array, "variables"], neuron: NumericalNeuron, limit: Float[Array, ""]) -> Array:
    """Time to threshold: the first step that ends beyond it, and within that Newton's method and bisection."""

    def goes_on(carry: Any) -> Array:
        time, now, _, _, _, count = carry
        return (time < limit) & (count < MOST_STEPS) & (neuron.distance_to_spike(now) > 0)

    def body(carry: Any) -> Any:
        time, now, h, before, length, count = carry
        moved, error = _step(now, neuron.right_hand_side, h)
        size = _judged(now, moved, error)
        fine = size <= 1
        return (
            jnp.where(fine, time + h, time),
            jnp.where(fine, moved, now),
            _next_step(h, size, neuron.longest_step),
            jnp.where(fine, now, before),
            jnp.where(fine, h, length),
            count + 1,
        )

    zero, first = jnp.zeros_like(limit), jnp.asarray(neuron.longest_step, state.dtype)
    start = (zero, state, first, state, zero, jnp.zeros((), int))
    time, now, _, before, length, count = jax.lax.while_loop(goes_on, body, start)
    found = neuron.distance_to_spike(now) <= 0
    inside = _crossing(before, neuron, jnp.where(found, length, 0))
    silent = jnp.where(count < MOST_STEPS, jnp.inf, jnp.nan)
    return jnp.where(neuron.distance_to_spike(state) <= 0, 0, jnp.where(found, time - length + inside, silent))


def _crossing(state: Array, neuron: NumericalNeuron, length: Array) -> Array:
    """Where within a step the distance is zero; each guess is a step of its own, from the step's beginning."""

    def goes_on(carry: Any) -> Array:
        _, high, _, change, count = carry
        return (change > jnp.finfo(state.dtype).eps * high) & (count < NEWTON_STEPS)

    def body(carry: Any) -> Any:
        low, high, time, _, count = carry
        moved, _ = _step(state, neuron.right_hand_side, time)
        distance, speed = neuron.distance_to_spike(moved), _approach(moved, neuron)
        below = distance > 0
        low, high = jnp.where(below, time, low), jnp.where(below, high, time)
        newton = time - distance / jnp.where(speed == 0, 1, speed)
        sound = (newton >= low) & (newton <= high) & (speed < 0)
        new = jnp.where(sound, newton, 0.5 * (low + high))
        return low, high, new, jnp.abs(new - time), count + 1

    start = (jnp.zeros_like(length), length, 0.5 * length, length, jnp.zeros((), int))
    return jax.lax.while_loop(goes_on, body, start)[2]


@_first_passage.defjvp
def _first_passage_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """g(x(t*)) = 0 gives dt* = -(change of g at fixed time)/(dg/dt)."""
    time = _first_passage(*primals)
    comes = jnp.isfinite(time)
    until = jnp.where(comes, time, 0)

    def distance(state: Array, neuron: NumericalNeuron) -> Scalar:
        return neuron.distance_to_spike(by_forward_mode(_solve, state, neuron, until))

    change, neuron = jax.jvp(distance, primals[:2], tangents[:2])[1], primals[1]
    moved = by_forward_mode(_solve, *primals[:2], until)
    return time, jnp.where(comes, -change / jnp.where(comes, _approach(moved, neuron), 1), 0)


def _approach(state: Array, neuron: NumericalNeuron) -> Array:
    """d/dt of the distance to the spike."""
    return jax.jvp(neuron.distance_to_spike, (state,), (neuron.right_hand_side(state),))[1]
