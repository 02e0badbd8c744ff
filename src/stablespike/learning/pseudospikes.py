"""Pseudospikes: times after the trial for spikes that did not come, smooth continuations of the ordinary ones.

A neuron that owes its n-th spike at the trial end T gets t = T + k Theta - phi with k = n minus its ordinary spikes,
where phi and Theta are the phase and period with which it would go on (Klos & Memmesheimer 2025). In scheme 2 each
layer first feels the trial-end rates r = phi/Theta of the layer below through its weights, so that gradients reach
every layer even of a silent network; in scheme 1 nothing arrives.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.network import Network
from stablespike.dynamics.neurons.neuron import Scalar, over_neurons
from stablespike.dynamics.run import Run


def continued_spike_times(
    times: Float[Array, "neurons spikes"],
    phases: Float[Array, " neurons"],
    periods: Float[Array, "*neurons"],
    duration: Scalar,
) -> Float[Array, "neurons spikes"]:
    """Ordinary spike `times` (inf = none, ascending) completed by pseudospikes T + k Theta - phi, k = 1, 2, ..."""
    ordinary = jnp.isfinite(times)
    owed = jnp.cumsum(~ordinary, axis=1).astype(times.dtype)
    pseudo = duration + owed * jnp.broadcast_to(periods, phases.shape)[:, None] - phases[:, None]
    return jnp.where(ordinary, times, pseudo)


def spike_times_beyond(
    network: Network, run: Run, until: Scalar, spikes: int, *, coupled: bool = True
) -> tuple[Float[Array, "_ _"], ...]:
    """First `spikes` spike times of every neuron of every layer, pseudospikes included (never inf).

    Of a run by events `until` the end of one trial. Scheme 2 (`coupled`): rates are passed from layer to layer; within
    a layer with a loop they are taken before any input through it, then coupled in one step.
    """
    ends = zip(run.layers, _trial_ends(network, run, coupled), strict=True)
    return tuple(continued_spike_times(sent.spike_times(spikes), *end, until) for sent, end in ends)


def continuous_counts(network: Network, run: Run, *, coupled: bool = True) -> tuple[Float[Array, " neurons"], ...]:
    """Number of spikes plus the phase in periods: a count that grows continuously, also when a spike enters the trial.

    For every layer. Divided by the duration it is a rate with a gradient, for `count_error`. Scheme 2 (`coupled`) or 1.
    """
    ends = zip(run.layers, _trial_ends(network, run, coupled), strict=True)
    return tuple(sent.counts.astype(phases.dtype) + phases / periods for sent, (phases, periods) in ends)


def _trial_ends(network: Network, run: Run, coupled: bool) -> list[tuple[Array, Array]]:
    """Phases and periods with which the neurons of each layer go on after the trial."""
    ends: list[tuple[Array, Array]] = []
    pulse = jnp.zeros(())
    for layer, sent, state in zip(network.layers, run.layers, run.states, strict=True):
        dense = isinstance(layer.inputs, Dense) and isinstance(layer.loop, Dense | None)
        if sent.signals is not None or not dense:
            raise ValueError("pseudospikes continue runs by events of networks with Dense connections only.")
        if ends and coupled:
            pulse = layer.inputs.weights @ (ends[-1][0] / ends[-1][1])
        continuation = over_neurons(layer.neuron, "trial_end_phase")
        end = continuation(state, pulse)
        if coupled and layer.loop is not None:
            end = continuation(state, pulse + layer.loop.weights @ (end[0] / end[1]))
        ends.append(end)
    return ends
