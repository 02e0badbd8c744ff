"""Learning to spike at given times: a neuron by its inputs, a network by its recurrent weights."""

import functools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.network import Layer, Network
from stablespike.dynamics.neurons.neuron import AbstractNeuron
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.dynamics.status import Status
from stablespike.dynamics.ways import Events
from stablespike.learning.gradients.rules import Recorded, Rule
from stablespike.learning.losses import spike_time_error
from stablespike.learning.pseudospikes import spike_times_beyond
from stablespike.learning.training import StepLimit
from stablespike.simulation import simulate


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
    on: Events = Events(budget=96)


class NetworkPattern(eqx.Module):
    """A network of one layer, whose first neurons have `targets` `[targets, spikes]`; its loop is trained.

    `watched` spikes of every neuron are reported. It is run `on` events, with the `gradient` rule.
    """

    network: Network
    inputs: Spikes
    targets: Float[Array, "targets spikes"]
    duration: float
    watched: int = eqx.field(default=8, static=True)
    on: Events = Events(budget=16)
    gradient: Rule | None = Recorded()


def neuron_trial(trained: InputSpikes, task: NeuronPattern) -> tuple[Network, Spikes, Run]:
    """The neuron as a network of one, with all its inputs in order of time, and its simulation."""
    weights = jnp.concatenate([trained.weights, task.fixed.weights])
    times = jnp.concatenate([trained.times, task.fixed.times])
    network, inputs = Network(Layer(task.neuron, Dense(weights[None]))), in_order(times, jnp.arange(times.shape[0]))
    return network, inputs, simulate(network, inputs, task.duration, on=task.on, gradient=Recorded())


def neuron_pattern_loss(
    trained: InputSpikes, task: NeuronPattern, key: Key[Array, ""]
) -> tuple[Float[Array, ""], tuple[Status, Float[Array, "1 spikes"]]]:
    """Squared error of the first spike times, summed; with the status and these times, pseudospikes included."""
    del key
    network, _, run = neuron_trial(trained, task)
    (times,) = spike_times_beyond(network, run, task.duration, task.targets.shape[0])
    error = task.targets.shape[0] * spike_time_error(times[0], task.targets)
    return error, (run.status, times)


def with_loop(network: Network, weights: Float[Array, "neurons neurons"]) -> Network:
    """The network with other recurrent weights in its only layer."""
    return eqx.tree_at(lambda one: one.layers[0].loop.weights, network, weights)


def network_trial(weights: Float[Array, "neurons neurons"], task: NetworkPattern) -> tuple[Network, Run]:
    """The network with these recurrent weights, and its simulation."""
    network = with_loop(task.network, weights)
    return network, simulate(network, task.inputs, task.duration, on=task.on, gradient=task.gradient)


def network_pattern_loss(
    weights: Float[Array, "neurons neurons"], task: NetworkPattern, key: Key[Array, ""]
) -> tuple[Float[Array, ""], tuple[Status, Float[Array, "neurons watched"]]]:
    """Mean squared error of the target neurons' first spikes; with the status and the `watched` spike times of all."""
    del key
    network, run = network_trial(weights, task)
    (times,) = spike_times_beyond(network, run, task.duration, task.watched)
    rows, spikes = task.targets.shape
    if rows > times.shape[0] or spikes > times.shape[1]:
        raise ValueError(
            f"targets of {rows} neurons with {spikes} spikes each need as many neurons, not {times.shape[0]}, and as "
            f"many watched spikes, not {times.shape[1]}."
        )
    return spike_time_error(times[:rows, :spikes], task.targets), (run.status, times)


def largest_move(before: Float[Array, "..."], after: Float[Array, "..."], duration: Any) -> Float[Array, ""]:
    """How far the spike time that moves farthest moves within the trial; what lies beyond its end counts as there."""
    return jnp.max(jnp.abs(jnp.minimum(before, duration) - jnp.minimum(after, duration)))


def spike_move_limit(duration: float, largest: float) -> StepLimit:
    """The limit under which no spike moves by more than `largest` in a step (Klos & Memmesheimer 2025)."""
    return StepLimit(functools.partial(largest_move, duration=duration), largest)


def random_neuron_pattern(
    generator: np.random.Generator, neuron: AbstractNeuron, inputs: int, scale: float, targets: Any, duration: float
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
    targets: Any,
    duration: float,
    **options: Any,
) -> NetworkPattern:
    """Dense network at rest, an input channel per neuron: weight `input_weight`, its negative in a part `inhibitory`.

    Recurrent weights are normal with variance 1/neurons. `options` are the other fields of `NetworkPattern`.
    """
    signs = np.where(generator.random(neurons) < inhibitory, -1.0, 1.0)
    weights = generator.normal(0, neurons**-0.5, (neurons, neurons))
    layer = Layer(neuron, Dense(jnp.diag(jnp.asarray(input_weight * signs))), Dense(jnp.asarray(weights)))
    return NetworkPattern(Network(layer), inputs, jnp.asarray(targets), duration, **options)
