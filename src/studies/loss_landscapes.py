"""Loss landscapes of exact spiking networks: where the loss jumps, and how far its gradient can be believed.

Networks of LIF or QIF neurons are to spike at given times, spikes that are missing being continued beyond the trial's
end. The loss is looked at along straight lines through the space of all weights; what jumps there is found by bisection
and traced to the first spike that differs on both sides.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

import stablespike as ss
from stablespike.dynamics.status import Status
from stablespike.learning.losses import spike_time_error
from stablespike.learning.pseudospikes import spike_times_beyond
from stablespike.tasks.poisson import poisson_spikes
from studies.surrogate_versus_exact import random_network, stacked, surrogate, voltages

NEURONS: dict[str, Any] = {"LIF": ss.LIF(1.0), "QIF": ss.QIF(1.0)}


class Shape(NamedTuple):
    """Sizes of a task: a `recurrent` layer, whose first neurons are read, or a hidden layer below `outputs` neurons.

    `trials` patterns of Poisson input of `rate` in `channels` channels until `duration` (tau), in each of which every
    output has `spikes` target times of its own.
    """

    recurrent: bool
    neurons: int = 20
    channels: int = 20
    outputs: int = 2
    spikes: int = 2
    trials: int = 8
    rate: float = 0.5
    duration: float = 5.0
    budget: int = 64


class Timing(eqx.Module):
    """Input `spikes` `[trials, room]` and `targets` `[trials, outputs, spikes]`, times of the outputs' first spikes.

    The network is run `until` the end of the trial, with a `budget` of spikes of a neuron, all of which are reported.
    """

    spikes: ss.Spikes
    targets: Float[Array, "trials outputs spikes"]
    until: float
    budget: int = eqx.field(static=True)
    recurrent: bool = eqx.field(static=True)


def random_timing(generator: np.random.Generator, shape: Shape) -> Timing:
    """Input and targets drawn at random; targets lie in slots of equal length between 1 tau and the trial's end."""
    room = int(2 * shape.rate * shape.channels * shape.duration) + 10
    inputs = [
        poisson_spikes(generator, shape.rate, shape.channels, shape.duration, room=room) for _ in range(shape.trials)
    ]
    slot = (shape.duration - 1) / shape.spikes
    within = generator.uniform(0.15, 0.85, (shape.trials, shape.outputs, shape.spikes))
    targets = 1 + slot * (np.arange(shape.spikes) + within)
    return Timing(stacked(inputs), jnp.asarray(targets), shape.duration, shape.budget, shape.recurrent)


def timing_network(key: Key[Array, ""], neuron: ss.LIF | ss.QIF, shape: Shape, gain: Any) -> ss.Network:
    """A `random_network` of this shape, all of whose weights are `gain` times as large."""
    sizes = (shape.neurons,) if shape.recurrent else (shape.neurons, shape.outputs)
    loop = 0.5 if shape.recurrent else 0.0
    network = random_network(key, neuron, shape.channels, sizes, mean=4.0, spread=2.5, loop=loop)
    trained, rest = eqx.partition(network, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda weights: gain * weights, trained), rest)


def trial_loss(
    network: ss.Network, trial: ss.Spikes, targets: Float[Array, "outputs spikes"], task: Timing, rule: Any = None
) -> tuple[Float[Array, ""], tuple[Status, Float[Array, "neurons budget"]]]:
    """Mean squared distance of the outputs' spikes from their targets (tau^2), the status, and all neurons' times."""
    run = ss.simulate(network, trial, task.until, on=ss.Events(task.budget), gradient=rule)
    times = spike_times_beyond(network, run, task.until, task.budget)
    rows, spikes = targets.shape
    return spike_time_error(times[-1][:rows, :spikes], targets), (run.status, jnp.concatenate(times))


def timing_loss(
    network: ss.Network, task: Timing, key: Key[Array, ""] | None = None
) -> tuple[Float[Array, ""], tuple[Status, Float[Array, "trials neurons budget"]]]:
    """The mean of the trials' losses; with the status and the spike times of all neurons, pseudospikes included."""
    del key
    losses, (status, times) = jax.vmap(functools.partial(trial_loss, network, task=task))(task.spikes, task.targets)
    return losses.mean(), (status, times)


class Exactly(eqx.Module):
    """The mean loss, with the derivative of its events."""

    def __call__(self, network: ss.Network, task: Timing) -> Float[Array, ""]:
        """As `timing_loss`, without the rest."""
        return timing_loss(network, task)[0]


class OnGrid(eqx.Module):
    """The same task on a grid of `steps` steps, with a SuperSpike of this `sharpness`, for LIF neurons.

    A grid has no times to move: the loss is the squared distance between the outputs' trains and those of their targets
    after a leaky membrane, in units of that of silence, as in `surrogate-versus-exact`.
    """

    steps: int = eqx.field(static=True)
    sharpness: float = 10.0

    def __call__(self, network: ss.Network, task: Timing) -> Float[Array, ""]:
        """The mean over the trials."""
        method, rows = surrogate(task.until, self.steps, self.sharpness), task.targets.shape[1]
        at = jnp.linspace(0, task.until, 101)[1:]

        def one(trial: ss.Spikes, targets: Array) -> tuple[Array, Array]:
            found = voltages(*method(network, trial).output.weighted(), 1.0, at)[:rows]
            wanted = voltages(targets, jnp.ones_like(targets), 1.0, at)
            return jnp.mean((found - wanted) ** 2), jnp.mean(wanted**2)

        distances, silence = jax.vmap(one)(task.spikes, task.targets)
        return distances.mean() / silence.mean()
