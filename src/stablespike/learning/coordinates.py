"""Optimisers that move positive parameters by their logarithms, within bounds."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from stablespike.dynamics.neurons.neuron import Scalar, require


def in_logarithms(
    optimiser: optax.GradientTransformation, low: Scalar = 0.0, high: Scalar = jnp.inf
) -> optax.GradientTransformation:
    """`optimiser` for the logarithms z = log p of parameters p, which stay between `low` and `high`.

    It is given dL/dz = p dL/dp, and its step dz becomes p <- min(max(p exp(dz), low), high): time constants,
    frequencies and thresholds stay positive, and a rate means the same for fast and slow neurons. Parameters have to be
    above 0, bounds in their unit.
    """
    require(jnp.asarray(low >= 0) & (low < high), f"bounds need 0 <= low < high, not {low} and {high}.")

    def moved(step: Array, at: Array) -> Array:
        return (jnp.clip(at * jnp.exp(step), low, high) - at).astype(at.dtype)

    by_logarithm = optax.stateless(lambda updates, params: jax.tree.map(jnp.multiply, updates, params))
    as_steps = optax.stateless(lambda updates, params: jax.tree.map(moved, updates, params))
    return optax.chain(by_logarithm, optimiser, as_steps)
