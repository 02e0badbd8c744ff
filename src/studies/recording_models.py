"""Networks that take part in `models_on_recordings`, in one form, each of as many trained numbers as a task allows.

Each has `numbers(neurons, task)`, how many it trains; `start(key, task, spikes)`, its network and the sharpness of its
surrogate; `voltages(candidate, spikes, task, every)` of the readout at the end of each `every`-th step, with the
status of the run; and `costs(candidate, spikes, task)` of a trial. Times in s.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

import stablespike as ss
from stablespike.learning.classify import Classification
from stablespike.learning.readouts import last_in_time
from stablespike.stability.synaptic_operations import Projection, synaptic_operations
from studies import electrocardiogram as heart
from studies.cells_that_hear import KINDS, Kind, network_of
from studies.contestants import CONSTANT, CRITICAL, Candidate, Costs, Rates
from studies.critical_sharpness import RESET, hidden_of
from studies.network_complexity import event_complexity, grid_complexity
from studies.networks_that_hear import Hearing
from studies.recorded_tasks import Task

FEW = 4  # trials that a critical sharpness is computed on
PER_TRACE = 8  # membrane time constants over which gradients are followed for it
LONGEST = 1.5  # that a delay may become, in pauses
Voltages = Float[Array, "trials looks classes"]


class Grown(eqx.Module):
    """A network, and the logarithms of those parameters of its hidden neurons that are trained."""

    network: ss.Network
    logarithms: dict[str, Float[Array, " neurons"]]


def largest(numbers: Callable[[int, Task], int], task: Task) -> int:
    """The most neurons by which no more numbers are trained than the task allows."""
    neurons = 1
    while numbers(neurons + 1, task) <= task.numbers:
        neurons += 1
    return neurons


class OnGrid(NamedTuple):
    """A recurrent layer on the grid of the data: cells of the `kind` that a task's name has, or LIF neurons.

    LIF neurons are alike but for the part `slow`, whose membranes have one to three pauses, evenly by the logarithm,
    at the sharpness of the network before: nothing of them is trained. Of other cells those
    parameters are that their `kind` draws.
    """

    kinds: Callable[[Task], Kind]
    sharpness: float = CONSTANT
    slow: float = 0.0

    def numbers(self, neurons: int, task: Task) -> int:
        """Weights and trained parameters."""
        return neurons * (task.channels + neurons + task.classes + len(self.kinds(task).drawn))

    def start(self, key: Key[Array, ""], task: Task, spikes: ss.Spikes) -> tuple[Grown, float]:
        """The network and its sharpness."""
        kind, neurons = self.kinds(task), largest(self.numbers, task)
        shared = Hearing(
            hidden=neurons, dt=task.dt, mean=task.mean, deviation=task.deviation, recurrence=task.loop,
            readout_time_constant=task.trace, sharpness=CONSTANT,
        )  # fmt: skip
        network = network_of(key, kind, shared, task.channels, task.classes)
        sharpness = self.sharpness or critical(network, spikes, task)
        if self.slow:
            constants = slow_constants(jax.random.fold_in(key, 2), self.slow, neurons, task)
            network = eqx.tree_at(lambda one: one.layers[0].neuron, network, ss.LIF(constants))
        drawn = {name: jnp.log(getattr(network.layers[0].neuron, name)) for name in kind.drawn}
        return Grown(network, drawn), sharpness

    def task(self, candidate: Candidate, task: Task) -> tuple[Classification, ss.Network]:
        """How it is run, and the network with its trained parameters."""
        grown, kind = candidate.network, self.kinds(task)
        bounds = {name: (low / kind.bound, high * kind.bound) for name, (low, high) in kind.drawn.items()}
        neuron = jax.tree.map(_constant, grown.network.layers[0].neuron)
        values = [jnp.clip(jnp.exp(grown.logarithms[name]), *ends) for name, ends in bounds.items()]
        if values:
            neuron = eqx.tree_at(lambda one: [getattr(one, name) for name in bounds], neuron, values)
        network = eqx.tree_at(lambda one: one.layers[0].neuron, grown.network, neuron)
        on = ss.Grid(task.dt, ss.SuperSpike(jax.lax.stop_gradient(candidate.sharpness)), reset=RESET)
        return ss.classify(task.duration, score=ss.Outputs(last_in_time, task.gain), on=on), network

    def voltages(self, candidate: Candidate, spikes: ss.Spikes, task: Task, every: int) -> tuple[Any, Voltages]:
        """Status and voltages, times the gain."""
        loss, network = self.task(candidate, task)
        run = loss.run(network, spikes)
        return run.status, task.gain * run.output.sent[:, every - 1 :: every]

    def costs(self, candidate: Candidate, spikes: ss.Spikes, task: Task) -> Costs:
        """What a trial costs."""
        found = grid_complexity(*self.task(candidate, task), spikes)
        return Costs(found.hidden_spikes, found.effective_acs, found.effective_macs)


def slow_constants(key: Key[Array, ""], part: float, neurons: int, task: Task) -> Float[Array, " neurons"]:
    """Membrane time constants, of which this `part` are one to three pauses."""
    ratio = jnp.exp(math.log(3.0) * jax.random.uniform(key, (neurons,)))
    constants = jnp.where(jnp.arange(neurons) < round(part * neurons), task.pause * ratio, task.membrane)
    return constants.astype(jnp.float32)


def critical(network: ss.Network, spikes: ss.Spikes, task: Task) -> float:
    """The sharpness at which gradients of the hidden layer neither fade nor explode in the first trials."""
    few, lags = jax.tree.map(lambda leaf: leaf[:FEW], spikes), round(PER_TRACE * task.membrane / task.dt)
    on = ss.Grid(task.dt, ss.SuperSpike(10.0), reset=RESET)
    return ss.critical_sharpness(hidden_of(network), few, task.duration, on=on, lags=lags)


def _constant(leaf: Any) -> Any:
    return jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf


class ByEvents(NamedTuple):
    """Neurons without recurrence, run event by event, that hear every channel at once and after trained delays.

    Each channel comes `copies` times, at delays that are spread from 0 to a pause at the start; one copy has no delay
    at all. `current` is a neuron's mean input at the start, in the model's unit, as drawn for `better-models`;
    `budget`: room for spikes of a neuron in a membrane time constant.
    """

    neuron: type[ss.QIF] | type[ss.LIF]
    copies: int = 3
    current: float = 8.0
    spread: float = 4.0
    budget: float = 3.0

    def numbers(self, neurons: int, task: Task) -> int:
        """Weights and delays."""
        lines = self.copies * task.channels
        return neurons * (lines + task.classes) + (lines if self.copies > 1 else 0)

    def start(self, key: Key[Array, ""], task: Task, spikes: ss.Spikes) -> tuple[ss.Network, float]:
        """The network; there is no surrogate."""
        keys, neurons, lines = jax.random.split(key, 3), largest(self.numbers, task), self.copies * task.channels
        arriving = float(jnp.isfinite(spikes.times).sum(1).mean()) * self.copies * task.membrane / task.duration
        weights = self.current / arriving + ss.normal_by_fan_in(keys[0], neurons, lines, self.spread).astype(float)
        readout = ss.normal_by_fan_in(keys[1], task.classes, neurons, 1.0).astype(float)
        inputs: ss.Dense | ss.Delayed = ss.Dense(weights)
        if self.copies > 1:
            place = jnp.repeat(jnp.arange(self.copies), task.channels) + jax.random.uniform(keys[2], (lines,)) - 0.5
            delays = jnp.clip(place / (self.copies - 1), 0.0, 1.0) * task.pause
            inputs = ss.Delayed(weights, delays.astype(float), within=(0.0, LONGEST * task.pause))
        hidden = ss.Layer(self.neuron(task.membrane), inputs)
        return ss.Network(hidden, ss.Layer(ss.LeakyReadout(task.trace), ss.Dense(readout))), 0.0

    def heard(self, spikes: ss.Spikes, task: Task) -> ss.Spikes:
        """The spikes of all copies, those of copy k from the channels k times so many on."""
        times = jnp.repeat(spikes.times.astype(float), self.copies, axis=1)
        copy = jnp.tile(jnp.arange(self.copies, dtype=spikes.sources.dtype), spikes.times.shape[1])
        return ss.Spikes(times, jnp.repeat(spikes.sources, self.copies, axis=1) + task.channels * copy)

    def task(self, task: Task, every: int) -> Classification:
        """How it is run; the gradient of each trial is cut, which few long ones would decide."""
        on = ss.Events(math.ceil(self.budget * task.duration / task.membrane), looks=task.steps // every)
        return ss.classify(task.duration, score=ss.Outputs(last_in_time, task.gain), on=on, limit=task.limit)

    def voltages(self, candidate: Candidate, spikes: ss.Spikes, task: Task, every: int) -> tuple[Any, Voltages]:
        """Status and voltages, times the gain."""
        run = self.task(task, every).run(candidate.network, self.heard(spikes, task), task.limit)
        return run.status, task.gain * run.output.sent

    def costs(self, candidate: Candidate, spikes: ss.Spikes, task: Task) -> Costs:
        """What a trial costs; that delayed spikes must be stored is not counted."""
        heard = self.heard(spikes, task)
        found = event_complexity(self.task(task, task.every), candidate.network, heard, task.steps)
        return Costs(found.hidden_spikes, found.effective_acs, found.effective_macs)


class Gated(NamedTuple):
    """A gated recurrent network of rates that is told the number of spikes of each channel in each step.

    Its units keep their state for one step to one pause at the start: biases of the gates are log U(1, pause/dt).
    """

    def numbers(self, neurons: int, task: Task) -> int:
        """All that there is."""
        return neurons * (3 * (task.channels + neurons) + 4 + task.classes) + task.classes

    def start(self, key: Key[Array, ""], task: Task, spikes: ss.Spikes) -> tuple[Rates, float]:
        """The network in single precision; there is no surrogate."""
        del spikes
        keys, neurons = jax.random.split(key, 3), largest(self.numbers, task)
        cell = eqx.nn.GRUCell(task.channels, neurons, key=keys[0], dtype=jnp.float32)
        kept = jnp.log(jax.random.uniform(keys[2], (neurons,), jnp.float32, 1.0, task.pause / task.dt))
        bias = jnp.zeros(3 * neurons, jnp.float32).at[neurons : 2 * neurons].set(kept)
        cell = eqx.tree_at(lambda one: one.bias, cell, bias)
        return Rates(cell, eqx.nn.Linear(neurons, task.classes, key=keys[1], dtype=jnp.float32)), 0.0

    def signals(self, spikes: ss.Spikes, task: Task) -> Float[Array, "trials steps channels"]:
        """What arrives."""
        on = ss.Grid(task.dt)
        return jax.vmap(lambda one: on.signals(one, task.channels, task.steps))(spikes).astype(jnp.float32)

    def states(self, network: Rates, signals: Float[Array, "steps channels"]) -> Float[Array, "steps neurons"]:
        """The states after each step."""

        def step(state: Array, signal: Array) -> tuple[Array, Array]:
            state = network.cell(signal, state)
            return state, state

        return jax.lax.scan(step, jnp.zeros(network.cell.hidden_size, jnp.float32), signals)[1]

    def voltages(self, candidate: Candidate, spikes: ss.Spikes, task: Task, every: int) -> tuple[Any, Voltages]:
        """No status, and the readout of the states."""
        states = jax.vmap(lambda one: self.states(candidate.network, one))(self.signals(spikes, task))
        return (), jax.vmap(jax.vmap(candidate.network.readout))(states[:, every - 1 :: every])

    def costs(self, candidate: Candidate, spikes: ss.Spikes, task: Task) -> Costs:
        """What a trial costs: no spikes."""
        network, signals = candidate.network, self.signals(spikes, task)
        states = jax.vmap(lambda one: self.states(network, one))(signals)
        before = jnp.concatenate([jnp.zeros_like(states[:, :1]), states[:, :-1]], 1)
        parts = (
            (signals, network.cell.weight_ih), (before, network.cell.weight_hh), (states, network.readout.weight),
        )  # fmt: skip
        found = synaptic_operations([Projection(np.asarray(sent), np.asarray(weights)) for sent, weights in parts])
        return Costs(math.nan, found.effective_acs, found.effective_macs)


Model = OnGrid | ByEvents | Gated


def plain(task: Task) -> Kind:
    """LIF neurons that are alike."""
    return Kind(ss.LIF, {}, {"membrane_time_constant": task.membrane})


def published(name: str, task: Task) -> Kind:
    """Cells with the parameters of their papers, on electrocardiograms those that BRF cells had there."""
    return heart.KINDS["BRF"] if name == "BRF" and not task.weighting else KINDS[name]


def _published(name: str) -> Callable[[Task], Kind]:
    return lambda task: published(name, task)


MODELS: Mapping[str, Model] = {
    "LIF, constant": OnGrid(plain),
    "LIF, critical": OnGrid(plain, CRITICAL),
    "LIF, slow modes": OnGrid(plain, CRITICAL, slow=0.5),
    "exact QIF, delay lines": ByEvents(ss.QIF),
    "exact QIF, no delays": ByEvents(ss.QIF, copies=1),
    "exact LIF, delay lines": ByEvents(ss.LIF, current=2.0, spread=1.0, budget=4.0),
    **{name: OnGrid(_published(name)) for name in ("SE-adaptive", "BRF", "C-SiLIF")},
    "gated rates": Gated(),
}
