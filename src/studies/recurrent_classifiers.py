"""Classifiers of recorded spikes with several recurrent layers on a time grid."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLeakyReadout
from stablespike.dynamics.grid.network import GridNetwork, Layer
from stablespike.dynamics.grid.resets import Detached, Reset, ResetToZero
from stablespike.learning.grid_initialisation import Drive, fluctuation_driven, normal_by_fan_in
from studies.spoken_digits import Inputs, Neurons

GATED = Detached(ResetToZero())


def recurrent_classifier(
    key: Key[Array, ""],
    neurons: Neurons,
    inputs: Inputs,
    sizes: Sequence[int],
    *,
    distance: float,
    recurrence: float,
    hidden_rate: float,
    reset: Reset = GATED,
) -> GridNetwork:
    """Recurrent layers of these `sizes` one above the other and a leaky readout, in single precision.

    Weights from below are normal, of mean 0, so that membranes without spikes would fluctuate with standard deviation
    1/`distance` of the threshold; for this a layer is expected to spike at `hidden_rate` (per second and neuron).
    Recurrent weights are normal, of variance recurrence^2/size, those of the readout of variance 1/size. Raises
    `ValueError` without a layer.
    """
    if not sizes or min(sizes) < 1:
        raise ValueError(f"a classifier needs at least one layer of at least one neuron, not sizes {list(sizes)}.")
    cell, tau = dataclasses.replace(neurons.cell(neurons.dt), reset=reset), neurons.readout_time_constant
    *keys, last = jax.random.split(key, 2 * len(sizes) + 1)
    layers, drive = [], Drive(inputs.channels, inputs.rate)
    for size, first, second in zip(sizes, keys[::2], keys[1::2], strict=True):
        (weights,) = fluctuation_driven(first, cell, size, (drive,), distance=distance)
        loop = normal_by_fan_in(second, size, size, recurrence)
        layers.append(Layer(cell, _single(weights), _single(loop)))
        drive = Drive(size, hidden_rate)
    out = _single(normal_by_fan_in(last, inputs.classes, sizes[-1]))
    return GridNetwork((*layers, Layer(GridLeakyReadout(tau, neurons.dt, tau / 2), out)))


def _single(weights):
    return Dense(weights.astype(jnp.float32))
