"""Networks that take part in a contest of recalling a cue after a delay, in one form.

Each has `start(key, recall, trials)`, its network and the sharpness of its surrogate; `loss(candidate, batch, key,
recall)`, as `gradient_training` takes it when the task is known; and `costs(candidate, spikes, recall)` of a trial.
Units of time are tau.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, PyTree

import stablespike as ss
from stablespike.learning.classify import Classification, Labelled
from stablespike.learning.readouts import last_in_time
from stablespike.stability.synaptic_operations import Projection, synaptic_operations
from studies.cells_that_hear import STEP, Kind, neurons
from studies.critical_sharpness import Recall, a_few, hidden_of, on_grid, recall_network
from studies.network_complexity import event_complexity, grid_complexity
from studies.networks_that_hear import Hearing

STEPS = 10  # of a tau, on every grid but those that say otherwise: what a slope's sharpness is meant for
CRITICAL = 0.0  # in place of a sharpness: the one that is computed for the network
CONSTANT = 25.0  # a sharpness of SuperSpike that is in wide use
ROOM = 3.0  # by which a delay may be longer than that of the task


class Candidate(eqx.Module):
    """A network in training with what is no parameter of it: the sharpness of its surrogate and the rate of Adam."""

    network: PyTree
    sharpness: Float[Array, ""]
    rate: Float[Array, ""]


class Costs(NamedTuple):
    """Of a trial, means over trials: hidden spikes, and synaptic operations where neither weight nor input is 0."""

    spikes: float
    additions: float
    multiplications: float


def task_of(delay: float) -> Recall:
    """Which of four groups of channels spiked much in the first tau, asked one tau after the delay."""
    return Recall(delay=delay, channels=20, cue_rate=8.0, background=1.0)


class OnGrid(NamedTuple):
    """A recurrent layer of cells on a grid; with a surrogate of a constant `sharpness`, or `CRITICAL`.

    `kind(key, neurons, recall, dt)` makes the cells. Their parameters are not trained. The slope is one per time, so
    that a sharpness means the same on every grid.
    """

    neurons: int
    kind: Callable[[Key[Array, ""], int, Recall, float], Any]
    sharpness: float = CONSTANT
    steps: int = STEPS
    per_time: bool = True

    def start(self, key: Key[Array, ""], recall: Recall, trials: Labelled) -> tuple[ss.Network, float]:
        """The network and its sharpness."""
        network = recall_network(key, recall._replace(neurons=self.neurons))
        hidden, readout = network.layers
        cells, scale = self.kind(jax.random.fold_in(key, 1), self.neurons, recall, 1 / self.steps)
        scaled = jax.tree.map(lambda leaf: jnp.asarray(scale, leaf.dtype) * leaf, (hidden.inputs, hidden.loop))
        network = ss.Network(ss.Layer(cells, *scaled), readout)
        return network, self.sharpness or self.critical(network, recall, trials)

    def slope(self, sharpness: Any) -> Any:
        """The surrogate's derivative."""
        plain = ss.SuperSpike(sharpness)
        return ss.PerTime(plain, 1 / self.steps, 1 / STEPS) if self.per_time else plain

    def critical(self, network: ss.Network, recall: Recall, trials: Labelled) -> float:
        """The sharpness at which gradients of the hidden layer neither fade nor explode on these trials."""
        on, lags = on_grid(self.steps, self.slope(10.0)), min(8, int(recall.duration / 2)) * self.steps
        return ss.critical_sharpness(hidden_of(network), a_few(trials), recall.duration, on=on, lags=lags)

    def task(self, candidate: Candidate, recall: Recall) -> tuple[Classification, ss.Network]:
        """The loss, and the network in which neurons are constants to the derivative."""
        network, sharpness = candidate.network, jax.lax.stop_gradient(candidate.sharpness)
        score, on = ss.Outputs(last_in_time, recall.gain), on_grid(self.steps, self.slope(sharpness))
        held = jax.tree.map(_constant, network.layers[0].neuron)
        network = eqx.tree_at(lambda one: one.layers[0].neuron, network, held)
        return ss.classify(recall.duration, score=score, on=on), network

    def loss(self, candidate: Candidate, batch: Labelled, key: Any, recall: Recall) -> Any:
        """What `gradient_training` descends."""
        loss, network = self.task(candidate, recall)
        return loss(network, batch, key)

    def costs(self, candidate: Candidate, spikes: ss.Spikes, recall: Recall) -> Costs:
        """What a trial costs."""
        loss, network = self.task(candidate, recall)
        found = grid_complexity(loss, network, spikes)
        return Costs(found.hidden_spikes, found.effective_acs, found.effective_macs)


class ByEvents(NamedTuple):
    """Neurons without recurrence, run event by event, that hear every second channel late, or all of them at once.

    Delays are drawn evenly within one tau of the task's delay, and trained within `ROOM` of it.
    """

    neurons: int
    neuron: type[ss.QIF] | type[ss.LIF]
    delayed: bool = True
    current: float = 8.0  # mean input of a neuron, for which a QIF neuron spikes about once in two tau
    spread: float = 4.0
    budget: float = 3.0  # room for spikes of a neuron in a tau

    def start(self, key: Key[Array, ""], recall: Recall, trials: Labelled) -> tuple[ss.Network, float]:
        """The network; there is no surrogate."""
        del trials
        keys, channels = jax.random.split(key, 3), recall.channels
        mean = self.current / (recall.background * channels)
        weights = mean + ss.normal_by_fan_in(keys[0], self.neurons, channels, self.spread).astype(float)
        readout = ss.normal_by_fan_in(keys[1], recall.classes, self.neurons, 1.0).astype(float)
        inputs: ss.Dense | ss.Delayed = ss.Dense(weights)
        if self.delayed:
            late = recall.delay + jax.random.uniform(keys[2], (channels,), minval=-1.0, maxval=1.0)
            delays = jnp.where(jnp.arange(channels) % 2, late, 0.0).astype(float)
            inputs = ss.Delayed(weights, delays, within=(0.0, recall.delay + ROOM))
        hidden = ss.Layer(self.neuron(1.0), inputs)
        return ss.Network(hidden, ss.Layer(ss.LeakyReadout(1.0), ss.Dense(readout))), 0.0

    def task(self, recall: Recall) -> Classification:
        """The loss; the gradient of each trial is cut, which few long ones would decide."""
        on = ss.Events(math.ceil(self.budget * recall.duration), looks=1)  # at the end, where it is asked
        return ss.classify(recall.duration, score=ss.Outputs(last_in_time, recall.gain), on=on, limit=1.0)

    def loss(self, candidate: Candidate, batch: Labelled, key: Any, recall: Recall) -> Any:
        """What `gradient_training` descends."""
        spikes, labels = batch
        exact = ss.Spikes(spikes.times.astype(float), spikes.sources)
        return self.task(recall)(candidate.network, (exact, labels), key)

    def costs(self, candidate: Candidate, spikes: ss.Spikes, recall: Recall) -> Costs:
        """What a trial costs."""
        exact = ss.Spikes(spikes.times.astype(float), spikes.sources)
        found = event_complexity(self.task(recall), candidate.network, exact, round(recall.duration * STEPS))
        return Costs(found.hidden_spikes, found.effective_acs, found.effective_macs)


class Rates(eqx.Module):
    """A gated recurrent layer and a readout of its last state."""

    cell: eqx.nn.GRUCell
    readout: eqx.nn.Linear


class Gated(NamedTuple):
    """A gated recurrent network of rates that is told the number of spikes of each channel in each step."""

    neurons: int

    def start(self, key: Key[Array, ""], recall: Recall, trials: Labelled) -> tuple[Rates, float]:
        """The network in single precision; there is no surrogate."""
        del trials
        own, up = jax.random.split(key)
        cell = eqx.nn.GRUCell(recall.channels, self.neurons, key=own, dtype=jnp.float32)
        return Rates(cell, eqx.nn.Linear(self.neurons, recall.classes, key=up, dtype=jnp.float32)), 0.0

    def signals(self, spikes: ss.Spikes, recall: Recall) -> Float[Array, "trials steps channels"]:
        """What arrives."""
        on, steps = ss.Grid(1 / STEPS), round(recall.duration * STEPS)
        return jax.vmap(lambda one: on.signals(one, recall.channels, steps))(spikes).astype(jnp.float32)

    def states(self, network: Rates, signals: Float[Array, "steps channels"]) -> Float[Array, "steps neurons"]:
        """The states after each step."""

        def step(state: Array, signal: Array) -> tuple[Array, Array]:
            state = network.cell(signal, state)
            return state, state

        return jax.lax.scan(step, jnp.zeros(self.neurons, jnp.float32), signals)[1]

    def loss(self, candidate: Candidate, batch: Labelled, key: Any, recall: Recall) -> Any:
        """What `gradient_training` descends."""
        del key
        spikes, labels = batch
        last = jax.vmap(lambda one: self.states(candidate.network, one)[-1])(self.signals(spikes, recall))
        scores = jax.vmap(candidate.network.readout)(last)
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean(), ((), scores)

    def costs(self, candidate: Candidate, spikes: ss.Spikes, recall: Recall) -> Costs:
        """What a trial costs: no spikes."""
        network, signals = candidate.network, self.signals(spikes, recall)
        states = jax.vmap(lambda one: self.states(network, one))(signals)
        before = jnp.concatenate([jnp.zeros_like(states[:, :1]), states[:, :-1]], 1)
        parts = (
            (signals, network.cell.weight_ih),
            (before, network.cell.weight_hh),
            (states[:, -1:], network.readout.weight),
        )
        found = synaptic_operations([Projection(np.asarray(sent), np.asarray(weights)) for sent, weights in parts])
        return Costs(math.nan, found.effective_acs, found.effective_macs)


def _constant(leaf: Any) -> Any:
    return jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf


def alike(key: Key[Array, ""], count: int, recall: Recall, dt: float) -> tuple[Any, float]:
    """LIF neurons of one time constant, and by how much their weights are larger."""
    del key, count, recall, dt
    return ss.LIF(1.0), 1.0


def slow(part: float, key: Key[Array, ""], count: int, recall: Recall, dt: float) -> tuple[Any, float]:
    """LIF neurons of which this `part` have membranes with one to three times the delay, evenly by the logarithm."""
    del dt
    ratio = jnp.exp(math.log(3.0) * jax.random.uniform(key, (count,)))
    constants = jnp.where(jnp.arange(count) < round(part * count), recall.delay * ratio, 1.0)
    return ss.LIF(constants.astype(jnp.float32)), 1.0


def equally_slow(part: float, key: Key[Array, ""], count: int, recall: Recall, dt: float) -> tuple[Any, float]:
    """LIF neurons of one time constant, the geometric mean of those of `slow`."""
    found = slow(part, key, count, recall, dt)[0].membrane_time_constant
    return ss.LIF(jnp.broadcast_to(jnp.exp(jnp.log(found).mean()), found.shape)), 1.0


def cells(kind: Kind, key: Key[Array, ""], count: int, recall: Recall, dt: float) -> tuple[Any, float]:
    """Published cells with the parameters of their papers, counted in steps of the grid, and the scale of weights."""
    del recall
    factor = dt / STEP
    longer = {"membrane_time_constant", "adaptation_time_constant", "refractory_time_constant"}
    slower = {"angular_frequency", "damping", "refractory_damping"}

    def scaled(name: str, value: Any) -> Any:
        by = factor if name in longer else 1 / factor if name in slower else 1.0
        return tuple(by * end for end in value) if isinstance(value, tuple) else by * value if by != 1.0 else value

    drawn, shared = ({name: scaled(name, value) for name, value in part.items()} for part in (kind.drawn, kind.shared))
    hearing = Hearing(hidden=count, dt=dt, sharpness=CONSTANT)
    return neurons(key, kind._replace(drawn=drawn, shared=shared), hearing), kind.scale


Contestant = OnGrid | ByEvents | Gated
