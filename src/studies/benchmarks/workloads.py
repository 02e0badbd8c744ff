"""Benchmarks of the exact engine: one step or gradient of three kinds of network, with the engine as an argument.

Each workload is a function and its arguments; the same with the recorded simulators is its control. All random numbers
come from NumPy's default generator with the seeds given, so that others can run the same.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.engines.early_stop import everyone_spiked, simulate_layers_until
from stablespike.dynamics.engines.events import BLOCK
from stablespike.dynamics.network import Layer, Layered, Network, Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.learning.gradients.rules import Rule
from studies.benchmarks.harness import Workload
from studies.handwritten_digits import ClassifierTask, PhaseClassifier

YIN_YANG_END, YIN_YANG_HIDDEN = 4.0, 120


def yin_yang_arrays() -> dict[str, np.ndarray]:
    """Weights of E `[pre, post]`: `hidden` `[5, 120]` and `output` `[120, 3]`."""
    generator = np.random.default_rng(0)
    hidden = generator.normal(3, 1.6, (5, YIN_YANG_HIDDEN))
    output = generator.normal(0.5 * min(1, 100 / YIN_YANG_HIDDEN), 0.8, (YIN_YANG_HIDDEN, 3))
    return {"hidden": hidden, "output": output}


def yin_yang_step(
    layer: Callable,
    times: Float[np.ndarray, "trials 5"],
    labels: Int[np.ndarray, " trials"],
    dtype: Any,
    *,
    capacities: tuple[int, int],
    boundaries: tuple[float, ...] = (YIN_YANG_END,),
) -> Workload:
    """E: one Adam step of a 5-120-3 LIF network on first-spike times; result: weights, moments, loss, flags.

    A trial is simulated window by window until all outputs have spiked, at most to the last of the `boundaries`;
    `capacities` are the budgets of a hidden and an output neuron for a window.
    """
    weights = tuple(jnp.asarray(block.T, dtype) for block in yin_yang_arrays().values())
    neuron, end = LIF(2.0, 1.0), jnp.asarray(YIN_YANG_END, dtype)
    states = tuple(initial_states(neuron, jnp.zeros(size, dtype)) for size in (YIN_YANG_HIDDEN, 3))
    optimiser = optax.adam(0.005)

    def trial_loss(weights: Any, times: Array, label: Array) -> tuple[Array, Array]:
        network, inputs = Layered(neuron, weights), in_order(times, jnp.arange(5))
        hidden, output = simulate_layers_until(
            everyone_spiked, network, states, inputs, boundaries, capacities=capacities, layer=layer
        ).layers
        first = output.times[:, 0]
        first = jnp.where(jnp.isfinite(first), first, end)
        target = jnp.where(jnp.arange(3) == label, 0.9, 1.1).astype(dtype)
        return jnp.sum(((first - target) / 2) ** 2), hidden.status.flags | output.status.flags

    def loss(weights: Any, times: Array, labels: Array) -> tuple[Array, Array]:
        losses, flags = jax.vmap(trial_loss, (None, 0, 0))(weights, times, labels)
        return losses.mean(), jnp.bitwise_or.reduce(flags)

    def step(weights: Any, moments: Any, times: Array, labels: Array) -> tuple[Any, Any, Array, Array]:
        (value, flags), gradient = jax.value_and_grad(loss, has_aux=True)(weights, times, labels)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integer step counts with floats
            updates, moments = optimiser.update(gradient, moments)
        return optax.apply_updates(weights, updates), moments, value, flags

    return step, (weights, optimiser.init(weights), jnp.asarray(times, dtype), jnp.asarray(labels))


def mnist_gradient(gradient: Rule, dtype: Any, *, trials: int = 1000, capacity: int = 4) -> Workload:
    """M: gradient of a 784-100-100-10 theta network in weights and initial phases: ((loss, flags), gradient).

    Images are random; active pixels arrive as one volley, whose pulses are summed before the simulation.
    """
    generator = np.random.default_rng(4321)
    sizes, duration = (784, 100, 100, 10), 2.0
    weights = tuple(
        jnp.asarray(generator.uniform(-0.5, 0.5, (post, pre)) / np.sqrt(pre), dtype)
        for pre, post in itertools.pairwise(sizes)
    )
    active = jnp.asarray(generator.random((trials, 784)) >= 0.5)[:, None]
    labels = jnp.asarray(generator.integers(0, 10, trials))
    phases = tuple(jnp.full(size, 3.0, dtype) for size in sizes[1:])
    task = ClassifierTask(jnp.asarray([duration * np.log(1 / 0.99)], dtype), duration, capacity, gradient=gradient)
    neuron = Theta(6 / np.pi, 1.25)

    def loss(weights: Any, phases: Any, active: Array, labels: Array) -> tuple[Array, Array]:
        model = PhaseClassifier(Network(*(Layer(neuron, Dense(block)) for block in weights)), phases)
        value, (status, _) = task(model, (active, labels), jax.random.key(0))
        return value, status.flags

    return jax.value_and_grad(loss, (0, 1), has_aux=True), (weights, phases, active, labels)


RECURRENT_SIZE, RECURRENT_END = 100, 15.10525894165039


def recurrent_gradient(simulator: Callable, dtype: Any, *, max_events: int = 1000) -> Workload:
    """R: gradient of mean first plus mean last spike time of 100 recurrent QIF neurons in both weights.

    998 events, 365 of them spikes of the network. Result: ((loss, flags), gradient).
    """
    return driven_gradient(simulator, driven_network(dtype), RECURRENT_END, max_events=max_events)


def driven_network(
    dtype: Any, *, size: int = RECURRENT_SIZE, rate: int = 1, duration: float = RECURRENT_END
) -> tuple[Recurrent, Float[Array, "neurons 3"], Spikes]:
    """R's network, states and inputs, with another number of neurons, another duration (unit of tau), and `rate` times
    as many inputs of a weight that is as many times smaller.
    """
    generator = np.random.default_rng(1234)
    recurrent = generator.standard_normal((size, size)) * 2 / np.sqrt(size)
    np.fill_diagonal(recurrent, 0)
    states = initial_states(QIF(1.0), jnp.asarray(generator.uniform(0, 0.5, size), dtype))
    room = math.ceil(60 * rate * duration / RECURRENT_END)
    arrivals = np.cumsum(generator.exponential(2.5 / rate, (size, room)), 1)
    sources, _ = np.nonzero(arrivals < duration)
    times = arrivals[arrivals < duration]
    order = np.argsort(times)
    inputs = Spikes(jnp.asarray(times[order], dtype), jnp.asarray(sources[order]))
    weights = jnp.asarray(recurrent, dtype), jnp.asarray(5.0 / rate * np.eye(size), dtype)
    return Recurrent(QIF(1.0), *weights), states, inputs


def driven_gradient(
    simulator: Callable, problem: Any, duration: float, *, max_events: int, trials: int | None = None
) -> Workload:
    """Gradient of mean first plus mean last spike time in both weights: ((loss, flags), gradient).

    With `trials`, the mean over a batch of that many trials, all alike.
    """
    (network, states, inputs), dtype, size = problem, problem[1].dtype, problem[0].size

    def trial_loss(weights: Any, input_weights: Array, states: Array) -> tuple[Array, Array]:
        solution = simulator(
            Recurrent(network.neuron, weights, input_weights), states, inputs, duration, max_events=max_events
        )
        picked = solution.spikes.times[_first_and_last(solution.spikes, size)]
        picked = jnp.where(solution.counts == 0, jnp.asarray(duration, dtype), picked)
        return jnp.sum(picked.mean(1)), solution.status.flags

    def loss(weights: Any, input_weights: Array) -> tuple[Array, Array]:
        if trials is None:
            return trial_loss(weights, input_weights, states)
        batch = jnp.broadcast_to(states, (trials, *states.shape))
        losses, flags = jax.vmap(trial_loss, (None, None, 0))(weights, input_weights, batch)
        return losses.mean(), jnp.bitwise_or.reduce(flags)

    return jax.value_and_grad(loss, (0, 1), has_aux=True), (network.weights, network.input_weights)


def _first_and_last(spikes: Spikes, size: int) -> Array:
    """Places `[2, size]` in the list of each neuron's first and last spike, block by block: no numbers per event."""
    times, owners = jax.lax.stop_gradient(spikes.times), spikes.sources.astype(np.int32)
    block = min(BLOCK, times.size)

    def look(k: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
        start = jnp.minimum(k * block, times.size - block)
        here, mine = (jax.lax.dynamic_slice_in_dim(one, start, block) for one in (times, owners))
        mine, places = jnp.where(jnp.isfinite(here), mine, size), start + jnp.arange(block)
        return found[0].at[mine].min(places, mode="drop"), found[1].at[mine].max(places, mode="drop")

    nothing = jnp.full(size, times.size - 1), jnp.zeros(size, int)
    return jnp.stack(jax.lax.fori_loop(0, -(-times.size // block), look, nothing))


@jax.custom_jvp
def _spike(v: Array) -> Array:
    return (v >= 0).astype(v.dtype)


@_spike.defjvp
def _spike_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (v,), (tangent,) = primals, tangents
    return _spike(v), tangent / (1 + 10 * jnp.abs(v)) ** 2


def surrogate_arrays() -> dict[str, np.ndarray]:
    """Arrays of S: `spikes` `[100, 64, 700]` (1 % density), `labels` `[64]`, weights `W`, `R`, `O` `[pre, post]`."""
    first, second = np.random.default_rng(0), np.random.default_rng(1)
    arrays: dict[str, np.ndarray] = {"spikes": first.random((100, 64, 700)) < 0.01, "labels": first.integers(0, 20, 64)}
    arrays |= {"W": second.normal(size=(700, 256)) / np.sqrt(7), "R": 0.2 * second.normal(size=(256, 256)) / 16}
    return arrays | {"O": second.normal(size=(256, 20)) / 16}


def surrogate_step(dtype: Any) -> Workload:
    """S: one Adam step of 256 recurrent current-based LIF neurons on a grid, with surrogate gradients (the control).

    A scan over 100 steps, the input projection one product: i' = 0.8 i + x W + s R, v' = 0.9 v (1 - s) + 0.1 i',
    s' = H(v' - 1), o' = 0.9 o + 0.1 s' O; cross-entropy on the maximum of o over time. Result: weights, moments, loss.
    """
    arrays, optimiser = surrogate_arrays(), optax.adam(0.005)
    weights = {name: jnp.asarray(arrays[name], dtype) for name in ("W", "R", "O")}

    def loss(weights: Any, spikes: Array, labels: Array) -> Array:
        drive = jnp.einsum("tbc,cn->tbn", spikes, weights["W"])

        def step(
            state: tuple[Array, Array, Array, Array], drive: Array
        ) -> tuple[tuple[Array, Array, Array, Array], Array]:
            current, voltage, spiked, readout = state
            current = 0.8 * current + drive + spiked @ weights["R"]
            voltage = 0.9 * voltage * (1 - spiked) + 0.1 * current
            spiked = _spike(voltage - 1)
            readout = 0.9 * readout + 0.1 * spiked @ weights["O"]
            return (current, voltage, spiked, readout), readout

        rest = jnp.zeros((spikes.shape[1], 256), dtype)
        _, readouts = jax.lax.scan(step, (rest, rest, rest, jnp.zeros((spikes.shape[1], 20), dtype)), drive)
        return optax.softmax_cross_entropy_with_integer_labels(readouts.max(0), labels).mean()

    def step(weights: Any, moments: Any, spikes: Array, labels: Array) -> tuple[Any, Any, Array]:
        value, gradient = jax.value_and_grad(loss)(weights, spikes, labels)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integer step counts with floats
            updates, moments = optimiser.update(gradient, moments)
        return optax.apply_updates(weights, updates), moments, value

    return step, (weights, optimiser.init(weights), jnp.asarray(arrays["spikes"], dtype), jnp.asarray(arrays["labels"]))
