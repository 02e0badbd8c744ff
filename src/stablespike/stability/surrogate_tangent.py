"""A surrogate network on a time grid whose tangent dynamics follow one of three conventions.

Papers differ in what the surrogate Jacobian contains. The forward pass is the same in all three.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Spike = Callable[[Float[Array, "..."]], Float[Array, "..."]]
Reset = Callable[[Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]


def public_reset(voltage: Float[Array, "..."], spike: Float[Array, "..."]) -> Float[Array, "..."]:
    """v (1 - s) with the derivative of v: the reset is neither applied to tangents nor differentiated."""
    return voltage - jax.lax.stop_gradient(voltage * spike)


def gated_reset(voltage: Float[Array, "..."], spike: Float[Array, "..."]) -> Float[Array, "..."]:
    """v (1 - s) with s held fixed in the derivative, which is therefore singular at each spike."""
    return voltage * (1 - jax.lax.stop_gradient(spike))


def full_reset(voltage: Float[Array, "..."], spike: Float[Array, "..."]) -> Float[Array, "..."]:
    """v (1 - s), differentiated in v and in s."""
    return voltage * (1 - spike)


class SurrogateNetwork(eqx.Module):
    """Recurrent current-based LIF network, threshold 1, reset to 0 one step after the spike.

    syn' = a syn + W x + V s, mem' = reset(b mem + (1 - b) syn', s), s = H(mem - 1) of the step before, by `spike`, a
    `SurrogateSpike`.
    `recurrent` V `[neurons, neurons]` and `inward` W `[neurons, channels]`, post index first; `synaptic_decay` a and
    `membrane_decay` b are exp(-dt/tau). Public convention: det D = (a b)^n whatever the weights, spikes and surrogate.
    """

    recurrent: Float[Array, "neurons neurons"]
    inward: Float[Array, "neurons channels"]
    spike: Spike
    reset: Reset = eqx.field(static=True, default=public_reset)
    synaptic_decay: float = 0.8187307530779818
    membrane_decay: float = 0.9048374180359595

    def rest(self) -> tuple[Float[Array, " neurons"], Float[Array, " neurons"]]:
        """The state (mem, syn) at rest."""
        zero = jnp.zeros(self.recurrent.shape[0], self.recurrent.dtype)
        return zero, zero

    def __call__(
        self, state: tuple[Float[Array, " neurons"], Float[Array, " neurons"]], drive: Float[Array, " channels"]
    ) -> tuple[Float[Array, " neurons"], Float[Array, " neurons"]]:
        """One step of the grid; `drive` x are the input spikes of the step."""
        mem, syn = state
        spike = self.spike(mem - 1)
        syn = self.synaptic_decay * syn + self.inward @ drive + self.recurrent @ spike
        pre = self.membrane_decay * mem + (1 - self.membrane_decay) * syn
        return self.reset(pre, spike), syn


def random_surrogate_network(
    generator: np.random.Generator,
    neurons: int,
    channels: int,
    spike: Spike,
    *,
    input_gain: float = 1.0,
    recurrent_gain: float = 1.0,
    reset: Reset = public_reset,
    dtype=np.float64,
) -> SurrogateNetwork:
    """Weights normal with deviation gain/sqrt(fan-in), the mean of each neuron's weights removed."""

    def normal(gain, inputs):
        weights = gain * generator.normal(size=(neurons, inputs)) / np.sqrt(inputs)
        return jnp.asarray(weights - weights.mean(1, keepdims=True), dtype)

    inward = normal(input_gain, channels)
    return SurrogateNetwork(normal(recurrent_gain, neurons), inward, spike, reset)


def spike_counts(network: SurrogateNetwork, drives: Float[Array, "steps channels"]) -> Float[Array, " neurons"]:
    """Spikes of each neuron in a run from rest."""

    def step(state, drive):
        state = network(state, drive)
        return state, (state[0] >= 1).astype(state[0].dtype)

    return jax.lax.scan(step, network.rest(), drives)[1].sum(0)
