"""Workload P: balanced inhibitory sparse networks, how fast they are simulated, and the plain loop as the control."""

from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numba import njit

from stablespike.dynamics.engines.sparse import SparseNetwork, no_inputs, raise_unless_done, run_sparse
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.sparse_weights import SparseWeights, fixed_in_degree
from studies.benchmarks.harness import timed

TAU, RATE = 0.01, 1.0  # time constant in s; rate in Hz that the drive is balanced for


def balanced_drive(in_degree: int) -> float:
    """I = sqrt(K) nu tau with nu = 1 Hz (Monteforte & Wolf 2010, 2012): the rate that results is a few Hz."""
    return np.sqrt(in_degree) * RATE * TAU


def balanced_lif(weights: SparseWeights, in_degree: int, generator: np.random.Generator) -> tuple[SparseNetwork, Array]:
    """P: tau V' = -V + I, threshold 0, reset -1, in the voltage V + 1 of `OscillatoryLIF`; network and states."""
    neuron = OscillatoryLIF(TAU, 1 + balanced_drive(in_degree), 1.0)
    return SparseNetwork(neuron, weights), initial_states(neuron, jnp.asarray(generator.uniform(0, 1, weights.size)))


def balanced_qif(weights: SparseWeights, in_degree: int, generator: np.random.Generator) -> tuple[SparseNetwork, Array]:
    """P: tau V' = V^2 + I, in the voltage V + 1/2 of `Theta`; network and states at random phases."""
    neuron = Theta(TAU, balanced_drive(in_degree) + 0.25)
    phases = jnp.asarray(generator.uniform(0, float(neuron.period), weights.size))
    return SparseNetwork(neuron, weights), jax.vmap(neuron.state_at_phase)(phases)


def balanced_weights(generator: np.random.Generator, size: int, in_degree: int) -> SparseWeights:
    """P: every neuron is inhibited by `in_degree` others with the weight -1/sqrt(in_degree)."""
    return fixed_in_degree(generator, size, in_degree, -1 / np.sqrt(in_degree))


def spikes_per_second(
    network: SparseNetwork, states: Array, spikes: int, *, repeats: int = 3
) -> tuple[list[float], float]:
    """Spikes per second of processor time, of runs that continue each other after a first one, and the rate in Hz."""
    found, rate, silence = [], 0.0, no_inputs(states.dtype)
    for repeat in range(repeats + 1):
        (solution, _), _, passed = timed(run_sparse, network, states, silence, jnp.inf, spikes)
        raise_unless_done(solution)
        states, rate = solution.state, spikes / network.size / float(solution.status.time)
        if repeat:
            found.append(spikes / passed)
    return found, rate


def control_spikes_per_second(network: SparseNetwork, states: Array, spikes: int, *, repeats: int = 3) -> list[float]:
    """The same by `all_neurons_loop`, for a network of `balanced_lif`."""
    neuron, weights = network.neuron, network.weights
    if not isinstance(neuron, OscillatoryLIF):
        raise ValueError("the control is written for the oscillatory LIF neuron.")
    arrays = [np.asarray(one) for one in (weights.starts, weights.targets)]
    given, found = np.asarray(neuron.drive - states[:, 0]) / float(neuron.drive), []
    gate = float(1 - neuron.threshold / neuron.drive)
    for repeat in range(repeats + 1):
        waits = float(neuron.membrane_time_constant) * np.log(given / gate)
        weight = float(weights.values[0]) / float(neuron.drive)
        passed = timed(all_neurons_loop, waits, *arrays, weight, gate, TAU, spikes).processor
        if repeat:
            found.append(spikes / passed)
    return found


@njit(cache=True, error_model="numpy", fastmath={"contract"})
@no_type_check
def all_neurons_loop(waits, starts, targets, weight, gate, tau, spikes):
    """Spike times and sources of a homogeneous LIF network: all neurons are carried from spike to spike.

    `waits` `[neurons]` are the times that each neuron is away from its spike, used up; `weight` is in units of the
    drive.
    """
    times, sources, now = np.empty(spikes), np.empty(spikes, np.int32), 0.0
    period = -tau * np.log(gate)
    i = waits.argmin()
    for spike in range(spikes):
        passed = waits[i]
        now += passed
        times[spike], sources[spike] = now, i
        for j in range(waits.shape[0]):
            waits[j] -= passed
        waits[i] = period
        for c in range(starts[i], starts[i + 1]):
            j = targets[c]
            waits[j] = max(tau * np.log(np.exp(waits[j] / tau) - weight / gate), 0.0)
        i = waits.argmin()
    return times, sources
