"""What spikes of sparse networks cost against their size, their neurons and couplings, and with a gradient: rows."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from stablespike.dynamics.engines.sparse import SparseNetwork, no_inputs, simulate_sparse
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import AbstractNeuron, initial_states
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.sparse_weights import SparseWeights, fixed_in_degree
from stablespike.dynamics.spikes import Spikes
from stablespike.learning.gradients.sparse import adjoint_memory, differentiable_sparse
from studies.benchmarks.balanced_networks import (
    balanced_drive,
    balanced_lif,
    balanced_qif,
    balanced_weights,
    control_spikes_per_second,
    spikes_per_second,
)
from studies.benchmarks.harness import cost

Row = dict[str, Any]
IN_DEGREE, CHANNELS, SPREAD = 100, 1000, 0.05
CONTROL_PRODUCT = 2e8  # neurons times spikes for which the control, which moves all neurons at each spike, is run


def size_rows(sizes: list[int], *, spikes: int, repeats: int) -> list[Row]:
    """Workload P: spikes per second of processor time for each size, and of the loop over all neurons (LIF)."""
    rows = []
    for size in sizes:
        generator = np.random.default_rng(0)
        weights = balanced_weights(generator, size, IN_DEGREE)
        for kind, make in (("LIF", balanced_lif), ("QIF", balanced_qif)):
            network, states = make(weights, IN_DEGREE, generator)
            speeds, rate = spikes_per_second(network, states, spikes, repeats=repeats)
            row = {"neuron": kind, "neurons": size, "rate_hz": rate, "spikes_per_s": float(np.median(speeds))}
            row |= {"slowest": min(speeds), "fastest": max(speeds), "us_per_spike": 1e6 / float(np.median(speeds))}
            if kind == "LIF":
                some = max(20, min(spikes, int(CONTROL_PRODUCT / size)))
                control = float(np.median(control_spikes_per_second(network, states, some, repeats=repeats)))
                row |= {"control_per_s": control}
            rows.append(row)
    return rows


def slope(rows: list[Row], kind: str) -> tuple[float, float]:
    """Exponent b of a fit of (time per spike) ~ N^b, and its standard error (nan for less than three sizes)."""
    points = [(np.log(row["neurons"]), np.log(row["us_per_spike"])) for row in rows if row["neuron"] == kind]
    x, y = np.array(points).T
    x = x - x.mean()
    exponent = float(x @ y / (x @ x))
    left = y - y.mean() - exponent * x
    free = len(x) - 2
    return exponent, float(np.sqrt(left @ left / free / (x @ x))) if free > 0 else float("nan")


def populations(size: int, *, several: bool) -> dict[str, tuple[AbstractNeuron, float, float]]:
    """Neurons by name and coupling, with the weights of recurrent (inhibitory) and of input connections.

    Those with delta pulses have the drive of workload P, those with an exponential current need input.
    """
    spread = jnp.asarray(1 + SPREAD * np.random.default_rng(5).uniform(-1, 1, size)) if several else 1.0
    drive, inhibition = balanced_drive(IN_DEGREE), -1 / np.sqrt(IN_DEGREE)
    return {
        "LIF, delta": (OscillatoryLIF(0.01, (1 + drive) * spread, 0.95), inhibition, 0.0),
        "QIF, delta": (Theta(0.01, (drive + 0.25) * spread), inhibition, 0.0),
        "LIF, current": (LIF(0.01 * spread, 1.0), inhibition, 8.0),
        "QIF, current": (QIF(0.01 * spread), inhibition, 8.0),
    }


def combination_rows(size: int, *, spikes: int) -> list[Row]:
    """One row for each neuron, coupling and homogeneity: spikes per second of processor time, and with a gradient.

    The gradient is that of the sum of the spike times in all weights and initial states.
    """
    rows = []
    for several in (False, True):
        generator = np.random.default_rng(0)
        base = fixed_in_degree(generator, size, IN_DEGREE, -1 / np.sqrt(IN_DEGREE))
        for name, (neuron, weight, input_weight) in populations(size, several=several).items():
            values = weight * generator.uniform(0.5, 1.5, base.connections) if several else np.array([weight])
            weights = SparseWeights(base.starts, base.targets, jnp.asarray(values), size)
            inlets = fixed_in_degree(generator, size, 10, input_weight, channels=CHANNELS) if input_weight else None
            network = SparseNetwork(neuron, weights, inlets)
            states = initial_states(neuron, jnp.asarray(generator.uniform(0, 0.9, size)))
            inputs = _volleys(generator, size, spikes) if input_weight else no_inputs(float)
            rows.append(
                {"neuron": name, "heterogeneous": several, "neurons": size} | _costs(network, states, inputs, spikes)
            )
    return rows


def _volleys(generator: np.random.Generator, size: int, spikes: int) -> Spikes:
    """Input spikes, each to one neuron in a hundred, ten times as many as if every hit neuron spiked."""
    count = max(10, 1000 * spikes // size)
    times = np.sort(generator.uniform(0, 1e-4 * count, count))
    return Spikes(jnp.asarray(times), jnp.asarray(generator.integers(0, CHANNELS, count)))


def _costs(network: SparseNetwork, states: Array, inputs: Spikes, spikes: int) -> dict[str, Any]:
    """Processor time of a forward run and of value and gradient, on the same spikes."""
    varied, fixed = eqx.partition((network, states), _weights_and_states(network, states))

    @eqx.filter_jit
    def forward(varied: Any, fixed: Any, inputs: Spikes) -> Array:
        network, states = eqx.combine(varied, fixed)
        return simulate_sparse(network, states, inputs, max_spikes=spikes).spikes.times

    @eqx.filter_jit
    def gradient(varied: Any, fixed: Any, inputs: Spikes) -> Any:
        def loss(varied: Any) -> Array:
            network, states = eqx.combine(varied, fixed)
            return jnp.sum(differentiable_sparse(network, states, inputs, max_spikes=spikes).spikes.times)

        return eqx.filter_value_and_grad(loss)(varied)

    network_there, states_there = eqx.combine(varied, fixed)
    found = simulate_sparse(network_there, states_there, inputs, max_spikes=spikes)  # says what is wrong
    once = cost((forward, (varied, fixed, inputs)), repeats=3, compiled=False).processor_median
    both = cost((gradient, (varied, fixed, inputs)), repeats=3, compiled=False).processor_median
    row = {"spikes": spikes, "duration_s": float(found.status.time), "spikes_per_s": spikes / once}
    row |= {"with_gradient_per_s": spikes / both, "gradient_to_forward": both / once}
    return row | {"records_gb": adjoint_memory(network, spikes) / 1e9}


def _weights_and_states(network: SparseNetwork, states: Array) -> Any:
    """Which arrays are differentiated: the values of the weights, and the states."""
    nothing = jax.tree.map(lambda _: False, (network, states))
    return eqx.tree_at(lambda one: (one[0].weights.values, one[1]), nothing, (True, True))
