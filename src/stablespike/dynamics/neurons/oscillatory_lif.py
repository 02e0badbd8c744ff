"""Leaky integrate-and-fire neuron with suprathreshold drive and delta pulses."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from stablespike.dynamics.neurons.logarithm import log1p
from stablespike.dynamics.neurons.neuron import (
    AbstractNeuron,
    Parameter,
    Scalar,
    State,
    as_floats,
    not_negative,
    positive_time,
    well_above,
)


class OscillatoryLIF(AbstractNeuron):
    """Oscillatory LIF neuron: tau V' = -V + I0, I0 > threshold > 0, reset to V = 0, pulses V += w.

    Source: Mirollo & Strogatz (1990). `membrane_time_constant` tau sets the unit of time; V, w, `drive` I0 and
    `threshold` are dimensionless. State: `[V]`.
    A pulse that lifts V above threshold makes the neuron spike at once. The phase is phi = tau log(1/(1 - V/I0)).
    A weight on itself comes after the reset: V = w right after the own spike, and the next one follows after
    tau log((I0 - w)/(I0 - threshold)); with w >= threshold it would spike for ever, which exhausts any budget.
    Spike times jump when an inhibitory pulse crosses the neuron's own spike: by tau log((I0 - th + |w|)/(I0 - th)).

    Measured errors of flow and spike time, in float32 as in float64: at most 2 units of rounding times condition
    number.
    """

    membrane_time_constant: Parameter = 1.0
    drive: Parameter = 1.25
    threshold: Parameter = 1.0

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """A positive time constant, and a drive with which there is a period."""
        return (
            positive_time("membrane_time_constant", self.membrane_time_constant),
            (jnp.asarray(self.threshold) > 0, "threshold must lie above the reset voltage 0."),
            (
                jnp.asarray(self.drive) > jnp.asarray(self.threshold),
                "drive must exceed threshold, else the oscillatory LIF neuron does not fire on its own.",
            ),
        )

    @property
    def period(self) -> Scalar:
        """tau log(I0 / (I0 - threshold))."""
        return self.membrane_time_constant * jnp.log(self.drive / (self.drive - self.threshold))

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """State `[V]`; there is no current."""
        del current
        return jnp.stack(as_floats(voltage))

    def state_at_phase(self, phase: Scalar) -> State:
        """State `[V]` at phase phi in [0, period]: V = I0 (1 - exp(-phi/tau))."""
        return jnp.stack(as_floats(-self.drive * jnp.expm1(-jnp.asarray(phase) / self.membrane_time_constant)))

    def phase(self, state: State) -> Scalar:
        """Phase phi = -tau log(1 - V/I0), in the unit of tau: the time since the last spike if nothing had arrived."""
        return -self.membrane_time_constant * log1p(-state[0] / self.drive)

    def voltage(self, state: State) -> Scalar:
        """V."""
        return state[0]

    def trial_end_phase(self, state: State, pulse: Scalar = 0.0) -> tuple[Scalar, Scalar]:
        """Phase after the pulse, at most the period, and the period."""
        return self.period - self.time_to_spike(self.jump(state, pulse)), self.period

    def spikes_on_arrival(self) -> bool:
        """A pulse adds to the voltage."""
        return True

    def flow(self, state: State, dt: Scalar) -> State:
        """V <- V + (I0 - V)(1 - exp(-dt/tau))."""
        return state - (self.drive - state) * jnp.expm1(-dt / self.membrane_time_constant)

    def time_to_spike(self, state: State) -> Scalar:
        """tau log((I0 - V)/(I0 - threshold)), 0 above threshold."""
        lifted = well_above(state[0], self.threshold)
        gap = jnp.where(lifted, 0, self.threshold - state[0]) / (self.drive - self.threshold)
        return not_negative(self.membrane_time_constant * log1p(gap))

    def spike_time_derivative(self, state: State) -> State:
        """-1/V' at the threshold, V' = (I0 - threshold)/tau."""
        return -self.membrane_time_constant / (self.drive - self.threshold) * jnp.ones_like(state)

    def jump(self, state: State, weight: Scalar) -> State:
        """V <- V + w."""
        return state + weight

    def reset(self, state: State) -> State:
        """V = 0; a voltage above threshold is lost."""
        return jnp.zeros_like(state)
