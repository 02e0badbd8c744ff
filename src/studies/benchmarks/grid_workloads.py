"""Benchmarks of networks on a time grid: one training step of recurrent layers with surrogate gradients.

The route that runs the network (`run_on_grid`, `run_on_grid_natively`) is an argument; S as written without the
package, its control, is `benchmarks/workloads.py`. All random numbers come from NumPy's default generator.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLeakyReadout, GridLIF, time_constant_of
from stablespike.dynamics.grid.network import GridNetwork, Layer
from stablespike.dynamics.grid.resets import ResetBeforeInput
from stablespike.learning.gradients.native_grid import spike_product
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from studies.benchmarks.harness import Workload

CHANNELS, OUTPUTS, DENSITY = 700, 20, 0.01


def surrogate_network(sizes: tuple[int, ...], dtype: Any) -> GridNetwork:
    """Recurrent layers of `sizes` current-based LIF neurons on 700 channels, and a leaky readout of 20.

    I' = 0.8 I + input, V' = 0.9 V (1 - s) + 0.1 I', surrogate 1/(1 + 10|v|)^2, O' = 0.9 O + 0.1 input. Weights as in S
    (BENCHMARK S: one layer of 256), standard deviation 1/sqrt(7) from the channels, 0.2/sqrt(n) within a layer of n,
    1/sqrt(n) from it to the readout, and sqrt(32/n) to another layer.
    """
    generator = np.random.default_rng(1)

    def dense(pre: int, post: int, scale: float) -> Dense:
        return Dense(jnp.asarray(scale * generator.normal(size=(pre, post)).T, dtype))

    membrane, synapse = (time_constant_of(jnp.asarray(decay, dtype), 1.0) for decay in (0.9, 0.8))
    cell = GridLIF(membrane, synapse, 1.0, spike=SurrogateSpike(SuperSpike()), reset=ResetBeforeInput())
    layers, pre = [], CHANNELS
    for size in sizes:
        scale = 1 / np.sqrt(7) if pre == CHANNELS else np.sqrt(32 / pre)
        layers.append(Layer(cell, dense(pre, size, scale), dense(size, size, 0.2 / np.sqrt(size))))
        pre = size
    return GridNetwork((*layers, Layer(GridLeakyReadout(membrane, 1.0), dense(pre, OUTPUTS, 1 / np.sqrt(pre)))))


def surrogate_training_step(
    route: Callable, dtype: Any, *, sizes: tuple[int, ...] = (256,), steps: int = 100, trials: int = 64
) -> Workload:
    """S by a route: one Adam step on the cross-entropy of the readout's maximum over time.

    With the default sizes the weights and inputs are those of the control. Only weights are trained. Result: weights,
    moments, (loss, flags of the simulation).
    """
    generator, optimiser = np.random.default_rng(0), optax.adam(0.005)
    spikes = np.swapaxes(generator.random((steps, trials, CHANNELS)) < DENSITY, 0, 1)
    labels = jnp.asarray(generator.integers(0, OUTPUTS, trials))
    network = surrogate_network(sizes, dtype)
    weights, rest = eqx.partition(network, lambda leaf: eqx.is_array(leaf) and leaf.ndim == 2)

    def loss(weights: Any, spikes: Array, labels: Array) -> tuple[Array, Array]:
        run = jax.vmap(lambda one: route(eqx.combine(weights, rest), one))(spikes)
        highest = run.readout.max(1)
        flags = jnp.bitwise_or.reduce(run.status.flags)
        return optax.softmax_cross_entropy_with_integer_labels(highest, labels).mean(), flags

    def step(weights: Any, moments: Any, spikes: Array, labels: Array) -> tuple[Any, Any, Any]:
        found, gradient = jax.value_and_grad(loss, has_aux=True)(weights, spikes, labels)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integer step counts with floats
            updates, moments = optimiser.update(gradient, moments)
        return optax.apply_updates(weights, updates), moments, found

    return step, (weights, optimiser.init(weights), jnp.asarray(spikes, dtype), labels)


def spike_product_gradient(dense_from: float, dtype: Any, *, density: float, channels: int = CHANNELS) -> Workload:
    """Products of the spikes of 64 trials x 100 steps with weights to 256 neurons: mean square, and its gradient.

    A part `density` of the `channels` spikes in each step; `dense_from` is that of `spike_product`.
    """
    generator = np.random.default_rng(0)
    spikes = jnp.asarray(generator.random((64, 100, channels)) < density, dtype)
    weights = jnp.asarray(generator.normal(size=(channels, 256)), dtype)

    def loss(weights: Any, spikes: Array) -> Array:
        return jnp.mean(jax.vmap(lambda one: spike_product(one, weights, dense_from))(spikes) ** 2)

    return jax.value_and_grad(loss), (weights, spikes)


def unrolled(turns: int) -> Callable:
    """The stepping of `run_on_grid` with `turns` steps in one turn of its loop."""
    return lambda step, start, inputs: jax.lax.scan(step, start, inputs, unroll=turns)
