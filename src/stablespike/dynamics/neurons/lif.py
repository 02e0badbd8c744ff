"""Leaky integrate-and-fire neuron with exponentially decaying synaptic current."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from stablespike.dynamics.neurons.logarithm import log1p
from stablespike.dynamics.neurons.neuron import (
    AbstractNeuron,
    Parameter,
    Scalar,
    State,
    as_floats,
    may_be_driven_up,
    not_negative,
    positive_time,
    well_above,
)


class LIF(AbstractNeuron):
    """LIF neuron: tau V' = -V + I, (tau/2) I' = -I, spike at V = threshold > 0, reset to V = 0 (Goeltz 2021).

    `membrane_time_constant` tau sets the unit of time; the synaptic time constant is tau/2. V, I and `threshold` are
    dimensionless; an input spike of weight w adds w to I, which survives the reset. State: `[V, I]`. A state at or
    above threshold spikes at once.
    Where the voltage only grazes the threshold the spike vanishes in mid-trial and the derivative of its time diverges
    like (w - w_min)^(-1/2): that is the model, not an error, and it is not smoothed. One limit: where the two crossings
    coincide to the last bit the derivative returned is finite, that of their mean time.

    Measured errors of flow and spike time, in float32 as in float64: at most 2 units of rounding times condition number
    (which is large near a grazing spike).
    """

    membrane_time_constant: Parameter = 1.0
    threshold: Parameter = 1.0

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """A positive time constant, and a threshold above rest."""
        return (
            positive_time("membrane_time_constant", self.membrane_time_constant),
            (jnp.asarray(self.threshold) > 0, "threshold must lie above the resting voltage 0."),
        )

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """State `[V, I]`."""
        return jnp.stack(as_floats(voltage, current))

    def voltage(self, state: State) -> Scalar:
        """V."""
        return state[0]

    def flow(self, state: State, dt: Scalar) -> State:
        """V <- V x + I (x - x^2), I <- x^2 I, x = exp(-dt/tau)."""
        voltage, current = state
        x = jnp.exp(-dt / self.membrane_time_constant)
        y = -jnp.expm1(-dt / self.membrane_time_constant)
        return jnp.stack([voltage * x + current * x * y, x**2 * current])

    def velocity(self, state: State) -> State:
        """(I - V)/tau and -2 I/tau."""
        voltage, current = state
        return jnp.stack([current - voltage, -2 * current]) / self.membrane_time_constant

    def time_to_spike(self, state: State) -> Scalar:
        """-tau log(1 - y), y the smaller root of I y^2 - (I - V) y + (threshold - V) = 0, if it is real and below 1."""
        voltage, current = state
        gap, rise = self.threshold - voltage, current - voltage
        discriminant = rise**2 - 4 * current * gap
        due = gap <= 0
        fixed = well_above(voltage, self.threshold) | (due & (rise <= 0))  # now, and no derivative: it was put there
        comes = due | ((discriminant >= 0) & (rise > 0) & (current > 0))
        root = jnp.sqrt(jnp.where(comes & (discriminant > 0), discriminant, 1.0))
        root = jnp.where(discriminant > 0, root, 0.0)  # else a spike that is not asked for would spoil all others
        sum_of_roots = jnp.where(comes & (rise > 0), rise + root, 1.0)
        y = 2 * gap / sum_of_roots
        inside = comes & (y < 1)
        time = -self.membrane_time_constant * log1p(-jnp.where(inside, y, 0.5))
        return jnp.where(fixed, 0.0, jnp.where(inside, not_negative(time), jnp.inf))

    def spike_time_derivative(self, state: State) -> State:
        """(-1/V', 0) at the threshold, V' = (I - V)/tau."""
        voltage, current = state
        return jnp.stack([-self.membrane_time_constant / (current - voltage), jnp.zeros_like(current)])

    def may_spike_within(self, state: State, dt: Scalar) -> Bool[Array, ""]:
        """Whether the current at the start could bring the voltage to the threshold."""
        return may_be_driven_up(state[0], state[1], self.threshold, self.membrane_time_constant, dt)

    def trial_end_phase(self, state: State, pulse: Scalar = 0.0) -> tuple[Scalar, Scalar]:
        """Phase and period with which it goes on after the trial, its drive J held above the threshold th.

        J = th (1 + softplus((I + w)/th - 1)), Theta = tau ln(J/(J - th)), phi = Theta - tau ln((J - V)/(J - th)). At
        V = th the phase is the period: a spike that leaves the trial keeps its time, but not the slope of its time (the
        pseudospikes of QIF, which need no made-up drive, keep both). Made here, after Klos & Memmesheimer (2025).
        """
        voltage, current = state
        beyond = self.threshold * jax.nn.softplus((current + pulse) / self.threshold - 1)
        period = self.membrane_time_constant * jnp.log1p(self.threshold / beyond)
        return period - self.membrane_time_constant * jnp.log1p((self.threshold - voltage) / beyond), period

    def jump(self, state: State, weight: Scalar) -> State:
        """I <- I + w."""
        return state.at[1].add(weight)

    def reset(self, state: State) -> State:
        """V = 0; the current stays. The voltage that a reset destroys is the threshold."""
        return state.at[0].set(0.0)

    def on_grid(self, on: Any, spike: Callable) -> Any:
        """The cell of the literature, with its reset a choice."""
        from stablespike.dynamics.grid.cells import GridLIF  # here, as cells are made of neurons

        tau = self.membrane_time_constant
        return GridLIF(tau, tau / 2, on.dt, self.threshold, spike, on.reset)
