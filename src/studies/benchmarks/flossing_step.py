"""Benchmark F: one flossing step of a surrogate network, by this package and as plain JAX would have it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from stablespike.dynamics.neurons.theta import Theta
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from stablespike.learning.training import gradient_training
from stablespike.stability.flossing import Flossing, network_flossing
from stablespike.stability.orthonormal import random_basis
from stablespike.stability.phase_network_spectrum import theta_network_spectrum
from stablespike.stability.surrogate_tangent import random_surrogate_network
from studies.benchmarks.harness import Workload

NEURONS, CHANNELS, STEPS, COUNT, RATE = 64, 100, 500, 50, 1e-3
KEY_SEED = 0


def flossing_arrays(dtype: Any) -> tuple[Any, Array]:
    """Network and input `[steps, channels]` of F: weights normal/sqrt(fan-in), input spikes of probability 0.1."""
    generator = np.random.default_rng(0)
    spike = SurrogateSpike(SuperSpike(5.0))
    network = random_surrogate_network(generator, NEURONS, CHANNELS, spike, dtype=dtype)
    return network, jnp.asarray(generator.random((STEPS, CHANNELS)) < 0.1, dtype)


def flossing_step(dtype: Any) -> Workload:
    """F by the package: loss, gradient and Adam; result: the new weights and the exponents `[50]`."""
    network, drives = flossing_arrays(dtype)
    key = jax.random.key(KEY_SEED)
    init, step = gradient_training(network_flossing(Flossing(COUNT), key), optax.adam(RATE))

    def run(state: Any, drives: Array) -> Any:
        state, info = step(state, drives)
        return _weights(state.parameters), info.extra

    return run, (init(network, key), drives)


def plain_flossing_step(dtype: Any) -> Workload:
    """F in plain JAX: the Jacobian in blocks, `jnp.linalg.qr` in every step, reverse mode through all of it."""
    network, drives = flossing_arrays(dtype)
    a, b = (jnp.asarray(np.exp(-1 / tau), dtype) for tau in (5, 10))
    slope, spike = SuperSpike(5.0), SurrogateSpike(SuperSpike(5.0))
    start = random_basis(jax.random.key(KEY_SEED), COUNT, 2 * NEURONS, dtype).T
    optimiser = optax.adam(RATE)

    def loss(weights: Any, drives: Array) -> tuple[Array, Array]:
        inward, recurrent = weights

        def step(carry: tuple[Array, Array, Array], drive: Array) -> tuple[tuple[Array, Array, Array], Array]:
            mem, syn, basis = carry
            of_mem, of_syn = basis[:NEURONS], basis[NEURONS:]
            of_syn = recurrent @ (slope(mem - 1)[:, None] * of_mem) + a * of_syn
            of_mem = b * of_mem + (1 - b) * of_syn
            syn = a * syn + inward @ drive + recurrent @ spike(mem - 1)
            mem = (b * mem + (1 - b) * syn) * (mem < 1).astype(dtype)
            basis, upper = jnp.linalg.qr(jnp.concatenate([of_mem, of_syn]))
            return (mem, syn, basis), jnp.log(jnp.abs(jnp.diagonal(upper)))

        zero = jnp.zeros(NEURONS, dtype)
        _, growth = jax.lax.scan(step, (zero, zero, start), drives)
        exponents = growth.mean(0)
        return jnp.mean(exponents**2), exponents

    def run(weights: Any, moments: Any, drives: Array) -> tuple[Any, Array]:
        (_, exponents), gradient = jax.value_and_grad(loss, has_aux=True)(weights, drives)
        with jax.numpy_dtype_promotion("standard"):
            updates, _ = optimiser.update(gradient, moments, weights)
        return optax.apply_updates(weights, updates), exponents

    weights = _weights(network)
    return jax.jit(run), (weights, optimiser.init(weights), drives)


def exponents_of(neuron: Theta, weights: Any, phases: Any, **settings: Any) -> Float[Array, " count"]:
    """Exponents of an event network, from the same first tangent vectors every time: a benchmark of the spectrum."""
    return theta_network_spectrum(neuron, weights, phases, generator=np.random.default_rng(1), **settings).exponents


def _weights(network: Any) -> tuple[Array, Array]:
    layer = network.network.layers[0]
    return layer.inputs.weights, layer.recurrent.weights
