"""Any neuron given by its right-hand side, its threshold and its reset, integrated and located by diffrax."""

import abc
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix
from jaxtyping import Array, Float

from stablespike.dynamics.arguments import require_number
from stablespike.dynamics.neurons.forward_mode import by_forward_mode
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, State, as_floats, require

TOLERANCE_IN_ROUNDINGS = 16  # of one solver step
MOST_STEPS = 2**14
NEWTON_STEPS = 4


class NumericalNeuron(AbstractNeuron):
    """A neuron of which only the model is written down; subclasses give it in a few lines, the rest is computed.

    `right_hand_side(state)` is dx/dt, in any unit of time; `distance_to_spike(state)` is positive below threshold and
    passes through zero at the spike; `reset` and `jump` are as for every neuron. State `[variables]`, voltage first.

    A spike is looked for up to `horizon` after each event: set it to the duration of the trial. `longest_step` bounds
    the solver's step, so that no crossing of the threshold is overlooked: keep it below the model's time scales. Errors
    are those of the solver (Dormand & Prince 8, 16 units of rounding a step): in float64 spike times of the LIF and QIF
    neuron come out to 1e-11. A state at or beyond threshold spikes at once. Where the solver fails the result is nan,
    which the simulators report. Much slower than a closed form, above all to compile.

    The right-hand side must be smooth. Where it switches on the way (a refractory clock in a `where`) states are right,
    but derivatives lack the jump that the switch makes, and nothing notices.
    """

    horizon: eqx.AbstractVar[float]
    longest_step: eqx.AbstractVar[float]

    def __check_init__(self) -> None:
        """Refuse a horizon and a step that are not positive."""
        for name in ("horizon", "longest_step"):
            require_number(name, getattr(self, name))
            require(0 < getattr(self, name) < jnp.inf, f"{name} must be positive and finite.")

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

    def time_to_spike(self, state: State) -> Scalar:
        """First zero of the distance to the spike within the horizon, else inf."""
        return _first_passage(state, self)


def _solve(state: Array, neuron: NumericalNeuron, dt: Any) -> Array:
    solution = _integrate(state, neuron, dt, None)
    return jnp.where(solution.result == diffrax.RESULTS.successful, solution.ys[-1], jnp.nan)


def _integrate(state: Array, neuron: NumericalNeuron, dt: Any, event: Any) -> Any:
    dt = jnp.asarray(dt, state.dtype)
    moving = dt != 0  # diffrax needs an interval
    tolerance = TOLERANCE_IN_ROUNDINGS * float(jnp.finfo(state.dtype).eps)
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: args.right_hand_side(y) * moving.astype(y.dtype)),
        diffrax.Dopri8(),
        t0=jnp.zeros_like(dt),
        t1=jnp.where(moving, dt, 1),
        dt0=None,
        y0=state,
        args=neuron,
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance, dtmax=neuron.longest_step),
        adjoint=diffrax.ForwardMode(),
        event=event,
        max_steps=MOST_STEPS,
        throw=False,
    )


@jax.custom_jvp
def _first_passage(state: Float[Array, "variables"], neuron: NumericalNeuron) -> Float[Array, ""]:
    """Time to threshold, polished by Newton's method after diffrax has located it."""
    root_finder: optimistix.AbstractRootFinder = optimistix.Newton(rtol=1e-6, atol=1e-6)
    event = diffrax.Event(lambda t, y, args, **_: args.distance_to_spike(y), root_finder, direction=False)
    solution = _integrate(state, neuron, neuron.horizon, event)
    found = solution.result == diffrax.RESULTS.event_occurred
    silent = solution.result == diffrax.RESULTS.successful

    def polish(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        # diffrax locates the event on its interpolant, which is less exact than its steps
        time, _, k = carry
        moved = _solve(state, neuron, time)
        step = -neuron.distance_to_spike(moved) / _approach(moved, neuron)
        return time + step, jnp.abs(step), k + 1

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        return (carry[1] > 8 * jnp.finfo(state.dtype).eps * carry[0]) & (carry[2] < NEWTON_STEPS)

    start = (jnp.where(found, solution.ts[-1], 0), jnp.where(found, jnp.inf, 0), jnp.zeros((), int))
    time = jax.lax.while_loop(unfinished, polish, start)[0]
    time = jnp.where(found, jnp.maximum(time, 0), jnp.where(silent, jnp.inf, jnp.nan))
    return jnp.where(neuron.distance_to_spike(state) <= 0, 0, time)


@_first_passage.defjvp
def _first_passage_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """g(x(t*)) = 0 gives dt* = -(change of g at fixed time)/(dg/dt)."""
    time = _first_passage(*primals)
    comes = jnp.isfinite(time)
    until = jnp.where(comes, time, 0)

    def distance(state: Array, neuron: NumericalNeuron) -> Scalar:
        return neuron.distance_to_spike(by_forward_mode(_solve, state, neuron, until))

    change, neuron = jax.jvp(distance, primals, tangents)[1], primals[1]
    moved = by_forward_mode(_solve, *primals, until)
    return time, jnp.where(comes, -change / jnp.where(comes, _approach(moved, neuron), 1), 0)


def _approach(state: Array, neuron: NumericalNeuron) -> Array:
    """d/dt of the distance to the spike."""
    return jax.jvp(neuron.distance_to_spike, (state,), (neuron.right_hand_side(state),))[1]
