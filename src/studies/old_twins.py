"""What `spoken_digits` and `network_complexity` still take from the time before `Network` and `simulate`; it goes with it."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from stablespike.dynamics.engines.layers import simulate_layers
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
