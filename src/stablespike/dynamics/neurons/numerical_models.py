"""Neurons without closed form, as examples of `NumericalNeuron`: exponential, Izhikevich, adaptive leaky."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool

from stablespike.dynamics.neurons.neuron import Parameter, Scalar, State, positive_time
from stablespike.dynamics.neurons.numerical import NumericalNeuron


class ExponentialIF(NumericalNeuron):
    """Exponential IF neuron: tau V' = -V + Delta exp((V - V_T)/Delta) + I, tau_s I' = -I, spike at V = cutoff.

    `membrane_time_constant` tau and `synaptic_time_constant` tau_s set the unit of time; V, I, `sharpness` Delta,
    `soft_threshold` V_T and `cutoff` are dimensionless. Reset to V = 0; an input spike of weight w adds w to I. State
    `[V, I]`. Source: Fourcaud-Trocme, Hansel, van Vreeswijk & Brunel (2003).
    """

    membrane_time_constant: Parameter = 1.0
    synaptic_time_constant: Parameter = 0.5
    sharpness: Parameter = 0.2
    soft_threshold: Parameter = 1.0
    cutoff: Parameter = 3.0
    horizon: float = eqx.field(default=10.0, static=True)
    longest_step: float = eqx.field(default=0.1, static=True)

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """Positive time constants and sharpness, and a cutoff above the soft threshold."""
        return (
            positive_time("membrane_time_constant", self.membrane_time_constant),
            positive_time("synaptic_time_constant", self.synaptic_time_constant),
            (jnp.asarray(self.sharpness) > 0, "sharpness must be positive."),
            (jnp.asarray(self.cutoff) > jnp.asarray(self.soft_threshold), "cutoff must lie above soft_threshold."),
        )

    def right_hand_side(self, state: State) -> State:
        """(V', I')."""
        voltage, current = state
        rise = self.sharpness * jnp.exp((voltage - self.soft_threshold) / self.sharpness)
        return jnp.stack([
            (-voltage + rise + current) / self.membrane_time_constant,
            -current / self.synaptic_time_constant,
        ])  # fmt: skip

    def distance_to_spike(self, state: State) -> Scalar:
        """cutoff - V."""
        return self.cutoff - state[0]

    def jump(self, state: State, weight: Scalar) -> State:
        """I <- I + w."""
        return state.at[1].add(weight)

    def reset(self, state: State) -> State:
        """V = 0; the current stays."""
        return state.at[0].set(0.0)


class Izhikevich(NumericalNeuron):
    """Izhikevich neuron: V' = 0.04 V^2 + 5 V + 140 - u + I, u' = a (b V - u), spike at V = 30, V <- c, u <- u + d.

    Time in ms, V in mV; `recovery_rate` a, `recovery_coupling` b, `reset_voltage` c, `recovery_step` d, `drive` I. An
    input spike of weight w adds w mV to V. State `[V, u]`. The defaults are a regularly spiking cell.
    Source: Izhikevich (2003).
    """

    recovery_rate: Parameter = 0.02
    recovery_coupling: Parameter = 0.2
    reset_voltage: Parameter = -65.0
    recovery_step: Parameter = 8.0
    drive: Parameter = 10.0
    horizon: float = eqx.field(default=200.0, static=True)
    longest_step: float = eqx.field(default=1.0, static=True)

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """A reset below the peak of the spike."""
        return ((jnp.asarray(self.reset_voltage) < 30, "reset_voltage must lie below the peak of 30 mV."),)

    def right_hand_side(self, state: State) -> State:
        """(V', u')."""
        voltage, recovery = state
        return jnp.stack([
            0.04 * voltage**2 + 5 * voltage + 140 - recovery + self.drive,
            self.recovery_rate * (self.recovery_coupling * voltage - recovery),
        ])  # fmt: skip

    def distance_to_spike(self, state: State) -> Scalar:
        """30 - V."""
        return 30 - state[0]

    def spikes_on_arrival(self) -> bool:
        """A pulse adds to the voltage."""
        return True

    def jump(self, state: State, weight: Scalar) -> State:
        """V <- V + w."""
        return state.at[0].add(weight)

    def reset(self, state: State) -> State:
        """V <- c, u <- u + d."""
        return jnp.stack([jnp.asarray(self.reset_voltage, state.dtype), state[1] + self.recovery_step])


class AdaptiveLIF(NumericalNeuron):
    """LIF neuron with adaptation: tau V' = -V - A + I, tau_s I' = -I, tau_a A' = -A, spike at V = threshold.

    `membrane_time_constant` tau, `synaptic_time_constant` tau_s and `adaptation_time_constant` tau_a set the unit of
    time; V, I, A, `threshold` and `adaptation_step` b are dimensionless. A spike resets V to 0 and adds b to A; an
    input spike of weight w adds w to I. State `[V, I, A]`. Source: Benda & Herz (2003), in its linear form.
    """

    membrane_time_constant: Parameter = 1.0
    synaptic_time_constant: Parameter = 0.5
    adaptation_time_constant: Parameter = 5.0
    threshold: Parameter = 1.0
    adaptation_step: Parameter = 0.2
    horizon: float = eqx.field(default=10.0, static=True)
    longest_step: float = eqx.field(default=0.1, static=True)

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """Positive time constants, and a threshold above rest."""
        return (
            positive_time("membrane_time_constant", self.membrane_time_constant),
            positive_time("synaptic_time_constant", self.synaptic_time_constant),
            (jnp.asarray(self.adaptation_time_constant) > 0, "adaptation_time_constant must be positive."),
            (jnp.asarray(self.threshold) > 0, "threshold must lie above the resting voltage 0."),
        )

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """State `[V, I, 0]`: not adapted."""
        state = super().initial_state(voltage, current)
        return jnp.concatenate([state, jnp.zeros(1, state.dtype)])

    def right_hand_side(self, state: State) -> State:
        """(V', I', A')."""
        voltage, current, adaptation = state
        return jnp.stack([
            (-voltage - adaptation + current) / self.membrane_time_constant,
            -current / self.synaptic_time_constant,
            -adaptation / self.adaptation_time_constant,
        ])  # fmt: skip

    def distance_to_spike(self, state: State) -> Scalar:
        """threshold - V."""
        return self.threshold - state[0]

    def jump(self, state: State, weight: Scalar) -> State:
        """I <- I + w."""
        return state.at[1].add(weight)

    def reset(self, state: State) -> State:
        """V = 0, A <- A + b; the current stays."""
        return jnp.stack([jnp.zeros_like(state[0]), state[1], state[2] + self.adaptation_step])


class AdaptiveQIF(NumericalNeuron):
    """QIF neuron with adaptation: tau V' = V (V - 1) - A + I, tau_s I' = -I, tau_a A' = -A, spike at V = cutoff.

    `membrane_time_constant` tau, `synaptic_time_constant` tau_s and `adaptation_time_constant` tau_a set the unit of
    time; V, I, A, `cutoff` and `adaptation_step` b are dimensionless. A spike resets V to -cutoff and adds b to A; an
    input spike of weight w adds w to I. State `[V, I, A]`. `QIF` for b = 0 and a cutoff at infinity, which is some
    tau/cutoff away at the spike. Source: Benda & Herz (2003) for the adaptation, Izhikevich (2003) for the model.
    """

    membrane_time_constant: Parameter = 1.0
    synaptic_time_constant: Parameter = 0.5
    adaptation_time_constant: Parameter = 5.0
    cutoff: Parameter = 20.0
    adaptation_step: Parameter = 1.0
    horizon: float = eqx.field(default=10.0, static=True)
    longest_step: float = eqx.field(default=0.1, static=True)

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """Positive time constants, and a cutoff above the point from which a spike comes without a current."""
        return (
            positive_time("membrane_time_constant", self.membrane_time_constant),
            positive_time("synaptic_time_constant", self.synaptic_time_constant),
            positive_time("adaptation_time_constant", self.adaptation_time_constant),
            (jnp.asarray(self.cutoff) > 1, "cutoff must lie above 1, from where a voltage rises by itself."),
        )

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """State `[V, I, 0]`: not adapted."""
        state = super().initial_state(voltage, current)
        return jnp.concatenate([state, jnp.zeros(1, state.dtype)])

    def right_hand_side(self, state: State) -> State:
        """(V', I', A')."""
        voltage, current, adaptation = state
        return jnp.stack([
            (voltage * (voltage - 1) - adaptation + current) / self.membrane_time_constant,
            -current / self.synaptic_time_constant,
            -adaptation / self.adaptation_time_constant,
        ])  # fmt: skip

    def distance_to_spike(self, state: State) -> Scalar:
        """cutoff - V."""
        return self.cutoff - state[0]

    def jump(self, state: State, weight: Scalar) -> State:
        """I <- I + w."""
        return state.at[1].add(weight)

    def reset(self, state: State) -> State:
        """V = -cutoff, A <- A + b; the current stays."""
        return jnp.stack([-self.cutoff * jnp.ones_like(state[0]), state[1], state[2] + self.adaptation_step])
