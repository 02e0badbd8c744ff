"""Learning to spike at given times: a neuron by its inputs, a network by its recurrent weights."""

import functools
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from stablespike.dynamics.engines.events import Solution, simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.neuron import AbstractNeuron, initial_states
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.dynamics.status import Status
from stablespike.learning.losses import spike_time_error
from stablespike.learning.pseudospikes import recurrent_spike_times
from stablespike.learning.training import StepLimit


class InputSpikes(eqx.Module):
    """Input spikes of one neuron, one of each channel: `weights` and `times` `[channels]`, any order."""

    weights: Float[Array, "*seeds channels"]
    times: Float[Array, "*seeds channels"]


class NeuronPattern(eqx.Module):
    """One neuron at rest, `fixed` inputs besides the trained ones, and the `targets` `[spikes]` of its first spikes."""

    neuron: AbstractNeuron
    fixed: InputSpikes
    targets: Float[Array, " spikes"]
    duration: float
    max_events: int = eqx.field(default=128, static=True)


class NetworkPattern(eqx.Module):
    """A network whose first neurons have `targets` `[targets, spikes]`; its recurrent weights are trained.

    `watched` spikes of every neuron are reported. `simulator` is `simulate` or another gradient rule for it.
    """

    network: Recurrent
    states: Float[Array, "neurons variables"]
    inputs: Spikes
    targets: Float[Array, "targets spikes"]
    duration: float
    watched: int = eqx.field(default=8, static=True)
    max_events: int = eqx.field(default=256, static=True)
    simulator: Callable[..., Solution] = eqx.field(default=simulate, static=True)


def neuron_trial(trained: InputSpikes, task: NeuronPattern) -> tuple[Recurrent, Spikes, Solution]:
    """The neuron as a network of one, with all its inputs in order of time, and its simulation."""
    weights = jnp.concatenate([trained.weights, task.fixed.weights])
    times = jnp.concatenate([trained.times, task.fixed.times])
    network = Recurrent(task.neuron, jnp.zeros((1, 1), weights.dtype), weights[None])
    inputs = in_order(times, jnp.arange(times.shape[0]))
    states = task.neuron.initial_state()[None].astype(weights.dtype)
    return network, inputs, simulate(network, states, inputs, task.duration, max_events=task.max_events)


def neuron_pattern_loss(
    trained: InputSpikes, task: NeuronPattern, key: Key[Array, ""]
) -> tuple[Float[Array, ""], tuple[Status, Float[Array, "1 spikes"]]]:
    """Squared error of the first spike times, summed; with the status and these times, pseudospikes included."""
    del key
    network, _, solution = neuron_trial(trained, task)
    times = recurrent_spike_times(network, solution, task.duration, task.targets.shape[0])
    error = task.targets.shape[0] * spike_time_error(times[0], task.targets)
    return error, (solution.status, times)


def network_trial(weights: Float[Array, "neurons neurons"], task: NetworkPattern) -> tuple[Recurrent, Solution]:
    """The network with these recurrent weights, and its simulation."""
    network = eqx.tree_at(lambda one: one.weights, task.network, weights)
    return network, task.simulator(network, task.states, task.inputs, task.duration, max_events=task.max_events)


def network_pattern_loss(
    weights: Float[Array, "neurons neurons"], task: NetworkPattern, key: Key[Array, ""]
) -> tuple[Float[Array, ""], tuple[Status, Float[Array, "neurons watched"]]]:
    """Mean squared error of the target neurons' first spikes; with the status and the `watched` spike times of all."""
    del key
    network, solution = network_trial(weights, task)
    times = recurrent_spike_times(network, solution, task.duration, task.watched)
    rows, spikes = task.targets.shape
    if rows > times.shape[0] or spikes > times.shape[1]:
        raise ValueError(
            f"targets of {rows} neurons with {spikes} spikes each need as many neurons, not {times.shape[0]}, and as "
            f"many watched spikes, not {times.shape[1]}."
        )
    return spike_time_error(times[:rows, :spikes], task.targets), (solution.status, times)


def largest_move(before: Float[Array, "..."], after: Float[Array, "..."], duration) -> Float[Array, ""]:
    """How far the spike time that moves farthest moves within the trial; what lies beyond its end counts as there."""
    return jnp.max(jnp.abs(jnp.minimum(before, duration) - jnp.minimum(after, duration)))


def spike_move_limit(duration: float, largest: float) -> StepLimit:
    """The limit under which no spike moves by more than `largest` in a step (Klos & Memmesheimer 2025)."""
    return StepLimit(functools.partial(largest_move, duration=duration), largest)


def random_neuron_pattern(
    generator: np.random.Generator, neuron: AbstractNeuron, inputs: int, scale: float, targets, duration: float
) -> NeuronPattern:
    """Task with `inputs` fixed input spikes: times uniform over the trial, weights normal with deviation `scale`."""
    weights, times = generator.normal(0, scale, inputs), generator.uniform(0, duration, inputs)
    fixed = InputSpikes(jnp.asarray(weights), jnp.asarray(times))
    return NeuronPattern(neuron, fixed, jnp.asarray(targets), duration)


def random_network_pattern(
    generator: np.random.Generator,
    neuron: AbstractNeuron,
    neurons: int,
    inputs: Spikes,
    input_weight: float,
    inhibitory: float,
    targets,
    duration: float,
    **options,
) -> NetworkPattern:
    """Dense network at rest, an input channel per neuron: weight `input_weight`, its negative in a part `inhibitory`.

    Recurrent weights are normal with variance 1/neurons. `options` are the other fields of `NetworkPattern`.
    """
    signs = np.where(generator.random(neurons) < inhibitory, -1.0, 1.0)
    weights = generator.normal(0, neurons**-0.5, (neurons, neurons))
    network = Recurrent(neuron, jnp.asarray(weights), jnp.diag(jnp.asarray(input_weight * signs)))
    states = initial_states(neuron, jnp.zeros(neurons))
    return NetworkPattern(network, states, inputs, jnp.asarray(targets), duration, **options)
