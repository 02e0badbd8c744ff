"""Networks that classify recorded spikes, event by event or on a time grid.

Readout: a leaky membrane without threshold for every class and each of a few times, at which it is looked at; the score
of a class is the sum over these times. So the order of what happened in a trial counts, as in a linear classifier of
binned spikes.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

import stablespike as ss
from stablespike.dynamics.grid.resets import Detached, Reset, ResetToZero
from stablespike.learning.classify import Classification
from stablespike.learning.gradients.on_grid import whole_steps
from stablespike.learning.grid_initialisation import Drive

Reduce = Callable[[Float[Array, "samples outputs"]], Float[Array, " classes"]]
Augment = Callable[[Key[Array, ""], ss.Spikes], ss.Spikes]
GATED = Detached(ResetToZero())


class SumOfLooks(eqx.Module):
    """Score of each class from outputs `[samples, looks classes]`: the sum of its first at the first look, and so on.

    Samples are those at the looks (by events), or the steps of a grid, whose ends are then looked at, as evenly as they
    allow.
    """

    looks: int

    def __call__(self, outputs: Float[Array, "samples outputs"]) -> Float[Array, " classes"]:
        """The scores of one trial."""
        places = np.rint(outputs.shape[0] * np.arange(1, self.looks + 1) / self.looks).astype(int) - 1
        return outputs.reshape(outputs.shape[0], self.looks, -1)[places, np.arange(self.looks)].sum(0)


class Inputs(NamedTuple):
    """What a network has to expect: input channels, classes, and spikes per channel and second while there is input."""

    channels: int
    classes: int
    rate: float


class Neurons(NamedTuple):
    """Time constants of the LIF neurons and of the readout, step of the grid, all in s; the surrogate's sharpness.

    `looks`: how often in a trial the readout is looked at.
    """

    membrane_time_constant: float
    readout_time_constant: float
    dt: float
    sharpness: float = 10.0
    looks: int = 1

    def cell(self, dt: float) -> ss.GridLIF:
        """The neurons in steps of `dt`: initial weights are scaled by their response."""
        return ss.GridLIF(self.membrane_time_constant, self.membrane_time_constant / 2, dt)

    def network(
        self, layers: Sequence[tuple[Array, Array | None]], readout: Float[Array, "outputs neurons"]
    ) -> ss.Network:
        """Layers of these weights, from below and among their neurons, and the readout above them."""
        neuron = ss.LIF(self.membrane_time_constant)
        hidden = [
            ss.Layer(neuron, ss.Dense(inputs), None if loop is None else ss.Dense(loop)) for inputs, loop in layers
        ]
        return ss.Network(*hidden, ss.Layer(ss.LeakyReadout(self.readout_time_constant), ss.Dense(readout)))

    def readout(self, key: Key[Array, ""], classes: int, hidden: int) -> Float[Array, "outputs neurons"]:
        """Normal weights of the readout, of variance 1/(looks hidden)."""
        return ss.normal_by_fan_in(key, self.looks * classes, hidden, self.looks**-0.5)


FINE = 0.05  # of the membrane time constant: steps on which an event-based neuron's response is summed


def event_classifier(key: Key[Array, ""], neurons: Neurons, inputs: Inputs, hidden: int, distance: float) -> ss.Network:
    """A feed-forward network of one hidden layer; weights of the readout are normal, of variance 1/(looks hidden).

    Input weights are normal, of mean 0, so that membranes without spikes would fluctuate with standard deviation
    1/`distance` of the threshold (`fluctuation_driven`).
    """
    first, second = jax.random.split(key)
    cell, drive = neurons.cell(FINE * neurons.membrane_time_constant), Drive(inputs.channels, inputs.rate)
    (weights,) = ss.fluctuation_driven(first, cell, hidden, (drive,), distance=distance)
    return neurons.network([(weights, None)], neurons.readout(second, inputs.classes, hidden))


def grid_classifier(
    key: Key[Array, ""],
    neurons: Neurons,
    inputs: Inputs,
    sizes: Sequence[int],
    *,
    distance: float,
    recurrence: float,
    hidden_rate: float = 0.0,
) -> ss.Network:
    """Recurrent layers of these `sizes` one above the other and a leaky readout, in single precision.

    Weights from below and of the readout as in `event_classifier`; for this a layer below another is expected to spike
    at `hidden_rate` (per second and neuron). Recurrent weights are normal, of variance recurrence^2/size, which should
    be small enough not to amplify gradients from step to step. Raises `ValueError` without a layer.
    """
    if not sizes or min(sizes) < 1:
        raise ValueError(f"a classifier needs at least one layer of at least one neuron, not sizes {list(sizes)}.")
    *keys, last = jax.random.split(key, 2 * len(sizes) + 1)
    layers, drive = [], Drive(inputs.channels, inputs.rate)
    for size, first, second in zip(sizes, keys[::2], keys[1::2], strict=True):
        (weights,) = ss.fluctuation_driven(first, neurons.cell(neurons.dt), size, (drive,), distance=distance)
        layers.append((weights, ss.normal_by_fan_in(second, size, size, recurrence)))
        drive = Drive(size, hidden_rate)
    layers, readout = jax.tree.map(
        lambda weights: weights.astype(jnp.float32), (layers, neurons.readout(last, inputs.classes, sizes[-1]))
    )
    return neurons.network(layers, readout)


def event_classification(
    neurons: Neurons, duration: float, capacity: int, augment: Augment | None = None
) -> Classification:
    """The loss by events, with room for `capacity` spikes per neuron and trial."""
    on, score = ss.Events(capacity, looks=neurons.looks), ss.Outputs(SumOfLooks(neurons.looks))
    return ss.classify(duration, score=score, on=on, augment=augment)


def grid_classification(
    neurons: Neurons,
    duration: float,
    augment: Augment | None = None,
    *,
    reduce: Reduce | None = None,
    reset: Reset = GATED,
) -> Classification:
    """The loss on a grid, scores being the readout's sum over its looks, or what else `reduce` makes of its steps.

    A channel counts once in a step, however often it spikes in it; the last step may reach a little beyond `duration`.
    """
    on = ss.Grid(neurons.dt, ss.SuperSpike(neurons.sharpness), reset, once=True)
    score = ss.Outputs(SumOfLooks(neurons.looks) if reduce is None else reduce)
    return ss.classify(math.ceil(duration / neurons.dt - 1e-9) * neurons.dt, score=score, on=on, augment=augment)


def grid_of(task: Classification) -> ss.Grid:
    """The grid that a `task` runs on; `ValueError` for one by events."""
    if not isinstance(task.on, ss.Grid):
        raise ValueError("this task runs by events: it has no steps to look at.")
    return task.on


def signals_of(task: Classification, spikes: ss.Spikes, channels: int) -> Float[Array, "trials steps channels"]:
    """What arrives in each step of the grid of a `task`, in all trials."""
    on = grid_of(task)
    steps = whole_steps(task.until, on.dt)
    return jax.vmap(lambda one: on.signals(one, channels, steps))(spikes)
