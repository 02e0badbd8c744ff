"""One network, two derivatives: the same neurons, weights, inputs and losses, spike by spike and on a time grid.

Exact: neurons are simulated event by event, and spike times are differentiated. Surrogate: the same (LIF) neurons step
in time, and the spike gets a made-up slope. What is read out, leaky voltages or filtered trains, is the same function
of the spikes for both, so that losses agree as the step goes to zero, and what differs is the derivative.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.engines.layers import simulate_layers
from stablespike.dynamics.grid.cells import GridLIF, Heaviside
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.neuron import counts_on_grid
from stablespike.dynamics.grid.resets import Detached, ResetToZero
from stablespike.dynamics.network import Layered, Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import Status
from stablespike.learning.gradients.time_reversed import time_reversed_layer, time_reversed_simulate
from stablespike.native.conventions import Flag

Matrix = Float[Array, "_ _"]


class TwinWeights(eqx.Module):
    """Weights of a network of layers: `inputs` of each layer, `recurrent` of each (None: feed-forward), `readout`.

    All `[post, pre]`, jumps of the synaptic current; the readout `[classes, neurons]` looks at the last layer.
    """

    inputs: tuple[Matrix, ...]
    recurrent: tuple[Matrix | None, ...]
    readout: Float[Array, "classes neurons"]


class Train(eqx.Module):
    """Spikes of the last layer in a form that both simulations have: `times` `[neurons, spikes]` and their `sizes`.

    Sizes are 1, or 0 where there is no spike (on a grid: the surrogate spikes of all steps). `counts` `[neurons]` of
    every layer; the `status` of the simulation.
    """

    times: Float[Array, "neurons spikes"]
    sizes: Float[Array, "neurons spikes"]
    counts: tuple[Float[Array, " _"], ...]
    status: PyTree

    def mean_voltage(self, time_constant: float, duration: float) -> Float[Array, " neurons"]:
        """Average from 0 to `duration` T of a leaky membrane's voltage: (tau/2T)(1 - x)^2 of each spike.

        x = exp(-(T - t_spike)/tau), the integral of the response x - x^2 with tau_syn = tau/2.
        """
        x = jnp.exp(-(duration - self.times) / time_constant)
        return time_constant / (2 * duration) * jnp.sum(self.sizes * (1 - x) ** 2, -1)

    def voltages(self, time_constant: float, at: Float[Array, " samples"]) -> Float[Array, "neurons samples"]:
        """The voltage of such a membrane, the sum of x - x^2 over the spikes before, at some times."""
        since = at - self.times[..., None]
        x = jnp.exp(-jnp.maximum(since, 0) / time_constant)
        return jnp.sum(jnp.where(since > 0, self.sizes[..., None] * (x - x**2), 0), -2)


class Exact(eqx.Module):
    """Event by event: `neuron`s with exponential current (`LIF`, `QIF`) of time constant tau, tau_syn = tau/2.

    `capacity` is the budget of spikes per neuron, `max_events` that of events of a recurrent network until `duration`.
    """

    neuron: LIF | QIF
    duration: float
    capacity: int = 12
    max_events: int = 1024

    @property
    def membrane_time_constant(self) -> Any:
        """tau."""
        return self.neuron.membrane_time_constant

    def __call__(self, weights: TwinWeights, spikes: Spikes) -> Train:
        """The network on the input spikes of one trial."""
        if any(block is not None for block in weights.recurrent):
            return self._recurrent(weights, spikes)
        states = tuple(initial_states(self.neuron, jnp.zeros(block.shape[0])) for block in weights.inputs)
        layers = simulate_layers(
            Layered(self.neuron, weights.inputs), states, spikes, self.duration, capacity=self.capacity,
            layer=time_reversed_layer,
        )  # fmt: skip
        status = tuple(layer.status for layer in layers)
        return _train(layers[-1].times, tuple(layer.counts for layer in layers), status)

    def _recurrent(self, weights: TwinWeights, spikes: Spikes) -> Train:
        network, ends = self.population(weights)
        states = initial_states(self.neuron, jnp.zeros(network.size))
        solution = time_reversed_simulate(network, states, spikes, self.duration, max_events=self.max_events)
        counts = tuple(jnp.split(solution.counts, ends[:-1]))
        over = jnp.where(jnp.any(solution.counts > self.capacity), int(Flag.BUDGET_EXHAUSTED), 0)
        times = solution.spike_times(self.capacity)[network.size - counts[-1].shape[0] :]
        status = (solution.status, Status(over, solution.status.time, self.capacity, "capacity"))
        return _train(times, counts, status)

    def population(self, weights: TwinWeights) -> tuple[Recurrent, list[int]]:
        """All layers as one recurrent network, and where each of them ends."""
        sizes = [block.shape[0] for block in weights.inputs]
        ends = np.cumsum(sizes).tolist()
        network = Layered(self.neuron, weights.inputs).as_recurrent()
        matrix = network.weights
        for end, size, block in zip(ends, sizes, weights.recurrent, strict=True):
            if block is not None:
                matrix = matrix.at[end - size : end, end - size : end].set(block)
        return eqx.tree_at(lambda one: one.weights, network, matrix), ends


def _train(times: Float[Array, "neurons spikes"], counts: tuple[Int[Array, " _"], ...], status: PyTree) -> Train:
    real = jnp.isfinite(times)
    return Train(
        jnp.where(real, times, 0), real.astype(times.dtype), tuple(n.astype(times.dtype) for n in counts), status
    )


class Surrogate(eqx.Module):
    """On a grid of `steps` steps: the same neurons, with the slope that `spike` gives its spikes.

    An input acts in the step in which it arrives, a recurrent spike in the step after it. The reset is to zero, and the
    derivative does not feel it unless `reset_felt`.
    """

    membrane_time_constant: float
    duration: float
    steps: int
    spike: Callable[[Float[Array, " neurons"]], Float[Array, " neurons"]] = Heaviside()
    reset_felt: bool = False

    @property
    def dt(self) -> float:
        """Length of a step."""
        return self.duration / self.steps

    def __call__(self, weights: TwinWeights, spikes: Spikes) -> Train:
        """The network on the input spikes of one trial."""
        reset = ResetToZero() if self.reset_felt else Detached(ResetToZero())
        tau = self.membrane_time_constant
        cell = GridLIF(tau, tau / 2, self.dt, spike=self.spike, reset=reset)
        layers = tuple(
            Layer(cell, Dense(block), None if loop is None else Dense(loop))
            for block, loop in zip(weights.inputs, weights.recurrent, strict=True)
        )
        arriving = counts_on_grid(spikes, weights.inputs[0].shape[1], self.dt, self.steps)
        run = run_on_grid(GridNetwork(layers), arriving)
        ends = self.dt * jnp.arange(1, self.steps + 1, dtype=run.readout.dtype)
        counts = tuple(output.sum(0) for output in run.outputs)
        return Train(jnp.broadcast_to(ends, run.readout.T.shape), run.readout.T, counts, run.status)


Method = Exact | Surrogate


class Classification(eqx.Module):
    """Cross-entropy with `gain` times the readout's mean voltages as logits, by one of the two methods.

    Mean voltages are small numbers: a gain gives the readout weights that a step of an optimiser can reach.
    """

    method: Method
    gain: float = 1.0

    def __call__(
        self, weights: TwinWeights, batch: tuple[Spikes, Int[Array, " trials"]], key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], tuple[PyTree, Float[Array, "trials classes"]]]:
        """Mean loss over the trials; the status and the logits."""
        del key
        spikes, labels = batch
        trains = jax.vmap(functools.partial(self.method, weights))(spikes)
        method = self.method
        means = jax.vmap(lambda train: train.mean_voltage(method.membrane_time_constant, method.duration))(trains)
        logits = self.gain * means @ weights.readout.T
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, (trains.status, logits)


class SpikeTiming(eqx.Module):
    """Squared distance of the first neurons' filtered trains from those of the targets, by one of the two methods.

    `targets` `[neurons, spikes]` are times (inf: none) for the first neurons of the last layer. Both trains are
    filtered by a leaky membrane of the network's time constants and compared at `samples` equal distances: a van Rossum
    distance (van Rossum 2001) with a continuous kernel, in units of what a silent network would have.
    """

    method: Method
    targets: Float[Array, "targets spikes"]
    samples: int = 100

    def __call__(
        self, weights: TwinWeights, batch: Spikes, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], tuple[PyTree, Float[Array, ""]]]:
        """Mean loss over the trials; the status and the mean number of spikes of these neurons."""
        del key
        trains = jax.vmap(functools.partial(self.method, weights))(batch)
        tau, rows = self.method.membrane_time_constant, self.targets.shape[0]
        at = jnp.linspace(0, self.method.duration, self.samples + 1)[1:]
        wanted = _train(self.targets, (), ()).voltages(tau, at)
        found = jax.vmap(lambda train: train.voltages(tau, at)[:rows])(trains)
        loss = jnp.mean((found - wanted) ** 2) / jnp.mean(wanted**2)
        return loss, (trains.status, trains.counts[-1][:, :rows].mean())


def twin_weights(
    key: Key[Array, ""], channels: int, sizes: tuple[int, ...], classes: int, *, mean: float, spread: float, loop: float
) -> TwinWeights:
    """Normal weights: into each layer of this `mean` and `spread`, both divided by its inputs' number, sqrt of it.

    Recurrent weights have variance loop^2/neurons and no self-connections (none at all if `loop` is 0); the readout
    has variance 1.
    """
    first, second, third = jax.random.split(key, 3)
    below = (channels, *sizes[:-1])
    inputs = tuple(
        mean / pre + spread / np.sqrt(pre) * jax.random.normal(one, (post, pre))
        for one, post, pre in zip(jax.random.split(first, len(sizes)), sizes, below, strict=True)
    )
    loops = tuple(
        loop / np.sqrt(size) * jax.random.normal(one, (size, size)) * (1 - jnp.eye(size)) if loop else None
        for one, size in zip(jax.random.split(second, len(sizes)), sizes, strict=True)
    )
    return TwinWeights(inputs, loops, jax.random.normal(third, (classes, sizes[-1])) / np.sqrt(sizes[-1]))
