"""Neurons that spike by chance near threshold, whose expected gradient surrogate gradients approximate.

A neuron at distance v from threshold spikes in a step with probability p(v). Its expected output has the derivative
p'(v); a surrogate gradient with the slope p' along the spikes that were drawn is an estimate of the gradient of the
expected loss (Gygax & Zenke 2025). It is unbiased for a layer whose spikes enter the loss linearly and influence no
later voltage; through resets, recurrence and further layers it is an approximation.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt32

from stablespike.dynamics.grid.cells import SpikingCell, Values
from stablespike.dynamics.neurons.neuron import Scalar, require


class LogisticEscape(eqx.Module):
    """p(v) = 1/(1 + exp(-sharpness v)), v in units of the threshold; p'(v) = sharpness p (1 - p)."""

    sharpness: Scalar = 10.0

    def __check_init__(self) -> None:
        """Refuse a probability that falls towards the threshold."""
        require(jnp.asarray(self.sharpness) > 0, "sharpness must be positive.")

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The probability to spike in a step."""
        return jax.nn.sigmoid(self.sharpness * v)


@jax.custom_jvp
def drawn_spikes(probability: Float[Array, "..."], uniform: Float[Array, "..."]) -> Float[Array, "..."]:
    """Spikes (0 or 1) where `uniform` < `probability`; their derivative in the probability is 1, that of the mean."""
    return (uniform < probability).astype(probability.dtype)


@drawn_spikes.defjvp
def _drawn_spikes_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    return drawn_spikes(*primals), tangents[0]


class NoisyState(eqx.Module):
    """State of the `cell` and what the next spikes are drawn with: `words` of a random key."""

    cell: Any
    words: UInt32[Array, " words"]


class NoisyCell(SpikingCell):
    """The neurons of `cell` with spikes drawn with probability `escape(v)` in place of their threshold.

    The cell's own `spike` is not used. A network starts from the same words of a key in all its layers; give every
    trial its own by `with_key`.
    """

    cell: SpikingCell
    escape: LogisticEscape = LogisticEscape()

    def requirements(self) -> Any:
        """Those of the cell."""
        return self.cell.requirements()

    def initial_state(self, neurons: int, dtype: Any) -> NoisyState:
        """At rest, with the words of key 0."""
        return NoisyState(self.cell.initial_state(neurons, dtype), jax.random.key_data(jax.random.key(0)))

    def distance(self, state: NoisyState) -> Values:
        """v of the cell."""
        return self.cell.distance(state.cell)

    def output(self, state: NoisyState) -> Values:
        """Spikes drawn for this state; the same whenever they are asked for."""
        v = self.distance(state)
        uniform = jax.random.uniform(jax.random.wrap_key_data(state.words), v.shape, v.dtype)
        return drawn_spikes(self.escape(v), uniform)

    def advance(self, state: NoisyState, output: Values, arriving: Values) -> NoisyState:
        """The cell's step, and a new key."""
        key = jax.random.split(jax.random.wrap_key_data(state.words), 1)[0]
        return NoisyState(self.cell.advance(state.cell, output, arriving), jax.random.key_data(key))


def with_key(state: tuple[Any, ...], key: Key[Array, ""]) -> tuple[Any, ...]:
    """The initial state of a network (`GridNetwork.initial_state`) with a key of its own in each noisy layer."""
    keys = jax.random.split(key, len(state))
    return tuple(
        eqx.tree_at(lambda layer: layer.cell.words, layer, jax.random.key_data(one))
        if isinstance(layer.cell, NoisyState)
        else layer
        for layer, one in zip(state, keys, strict=True)
    )
