"""Pseudospikes: times after the trial for spikes that did not come, smooth continuations of the ordinary ones.

A neuron that owes its n-th spike at the trial end T gets t = T + k Theta - phi with k = n minus its ordinary spikes,
where phi and Theta are the phase and period with which it would go on (Klos & Memmesheimer 2025). In scheme 2 each
layer first feels the trial-end rates r = phi/Theta of the layer below through its weights, so that gradients reach
every layer even of a silent network; in scheme 1 nothing arrives.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from stablespike.dynamics.engines.events import Solution
from stablespike.dynamics.engines.layers import LayerSolution
from stablespike.dynamics.network import Layered, Recurrent
from stablespike.dynamics.neurons.neuron import over_neurons


def continued_spike_times(
    times: Float[Array, "neurons spikes"],
    phases: Float[Array, " neurons"],
    periods: Float[Array, "*neurons"],
    duration,
) -> Float[Array, "neurons spikes"]:
    """Ordinary spike `times` (inf = none, ascending) completed by pseudospikes T + k Theta - phi, k = 1, 2, ..."""
    ordinary = jnp.isfinite(times)
    owed = jnp.cumsum(~ordinary, axis=1).astype(times.dtype)
    pseudo = duration + owed * jnp.broadcast_to(periods, phases.shape)[:, None] - phases[:, None]
    return jnp.where(ordinary, times, pseudo)


def layered_spike_times(
    network: Layered, solutions: tuple[LayerSolution, ...], duration, spikes: int, *, coupled: bool = True
) -> tuple[Float[Array, "_ _"], ...]:
    """First `spikes` spike times of every neuron of every layer, pseudospikes included (never inf).

    `coupled`: scheme 2 (rates passed from layer to layer), else scheme 1. One trial; `vmap` for more.
    """
    pulse, rates, tables = jnp.zeros(()), jnp.zeros(()), []
    for index, solution in enumerate(solutions):
        if index and coupled:
            pulse = network.weights[index] @ rates
        phases, periods = over_neurons(network.layer_neuron(index), "trial_end_phase")(solution.state, pulse)
        rates = phases / periods
        tables.append(continued_spike_times(solution.spike_times(spikes), phases, periods, duration))
    return tuple(tables)


def recurrent_spike_times(
    network: Recurrent, solution: Solution, duration, spikes: int, *, coupled: bool = True
) -> Float[Array, "neurons spikes"]:
    """First `spikes` spike times of every neuron of a recurrent network, pseudospikes included (never inf).

    Scheme 2 (`coupled`): presynaptic rates are taken before any trial-end input, then coupled in one step.
    """
    phases, periods = _trial_end(network, solution, coupled)
    return continued_spike_times(solution.spike_times(spikes), phases, periods, duration)


def continuous_counts(network: Recurrent, solution: Solution, *, coupled: bool = True) -> Float[Array, " neurons"]:
    """Number of spikes plus the phase in periods: a count that grows continuously, also when a spike enters the trial.

    Divided by the duration it is a rate with a gradient, for `count_error`. Scheme 2 (`coupled`) or 1.
    """
    phases, periods = _trial_end(network, solution, coupled)
    return solution.counts.astype(phases.dtype) + phases / periods


def _trial_end(network, solution, coupled):
    """Phases and periods with which the neurons go on after the trial."""
    continuation = over_neurons(network.neuron, "trial_end_phase")
    phases, periods = continuation(solution.state, 0.0)
    if coupled:
        phases, periods = continuation(solution.state, network.weights @ (phases / periods))
    return phases, periods
