"""Networks that classify recorded spikes, event by event or on a time grid, trained by the package's loop.

Both get padded `Spikes` `[trials, events]` with labels; what tells them apart is the simulation and its gradient.

Readout: a leaky membrane without threshold for every class and each of a few times, at which it is looked at; the score
of a class is the sum over these times. So the order of what happened in a trial counts, as in a linear classifier of
binned spikes.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLeakyReadout, GridLIF
from stablespike.dynamics.grid.network import GridNetwork, GridRun, Layer
from stablespike.dynamics.grid.neuron import counts_on_grid
from stablespike.dynamics.grid.resets import Detached, ResetToZero
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import raise_unless_ok
from stablespike.learning.gradients.grid_route import run_on_grid_natively
from stablespike.learning.grid_initialisation import Drive, fluctuation_driven, normal_by_fan_in
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from stablespike.learning.training import TrainingInfo, TrainingState, fit, gradient_training
from studies.surrogate_versus_exact import Exact, Train, TwinWeights

Labelled = tuple[Spikes, Int[Array, " _"]]  # trials of their own number for training and test
Scores = tuple[Float[Array, ""], tuple[PyTree, Float[Array, "trials classes"]]]


def sampled_voltages(train: Train, time_constant: float, duration: float, looks: int) -> Float[Array, "looks neurons"]:
    """Voltages of a leaky membrane behind each neuron at `looks` times, evenly up to `duration`.

    A voltage is the sum of x - x^2 over the spikes before, x = exp(-(t - t_spike)/tau), the response for a synapse of
    tau/2, which begins at 0: continuous in all spike times. x and x^2 are summed between two looks, then decay.
    """
    times, sizes, step = train.times, train.sizes, duration / looks
    place = jnp.clip((times / step).astype(int), 0, looks - 1)
    x = jnp.exp((times - step * (place + 1).astype(times.dtype)) / time_constant)
    neurons = jnp.broadcast_to(jnp.arange(x.shape[0])[:, None], x.shape)
    new = jnp.zeros((2, looks, x.shape[0]), x.dtype)
    new = new.at[0, place, neurons].add(sizes * x).at[1, place, neurons].add(sizes * x**2)
    ends = step * jnp.arange(looks, dtype=times.dtype)
    since = ends[:, None] - ends
    decay = jnp.where(since >= 0, jnp.exp(-since / time_constant), 0)
    return decay @ new[0] - decay**2 @ new[1]


class EventClassification(eqx.Module):
    """Cross-entropy of leaky readouts of an event-based network, looked at at `looks` times evenly up to the end.

    The readout's membranes follow the last layer's spikes with `time_constant` tau (synapses: tau/2), without
    threshold; their voltages are functions of spike times, so that the loss has an exact gradient. The readout's
    weights are `[looks classes, neurons]`, all classes of the first time first.
    """

    method: Exact
    time_constant: float
    looks: int = 1

    def __call__(self, weights: TwinWeights, batch: Labelled, key: Key[Array, ""] | None = None) -> Scores:
        """Mean loss over the trials; the status and the scores of the classes."""
        del key
        trains = jax.vmap(lambda one: self.method(weights, one))(batch[0])
        options = self.time_constant, self.method.duration, self.looks
        voltages = jax.vmap(lambda train: sampled_voltages(train, *options))(trains)
        scores = jnp.einsum("tkn,kcn->tc", voltages, weights.readout.reshape(self.looks, -1, voltages.shape[-1]))
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, batch[1]).mean()
        return loss, (trains.status, scores)


class SumOfLooks(eqx.Module):
    """Score of each class from outputs `[steps, looks classes]`: the sum of its first at the first time, and so on."""

    looks: int

    def __call__(self, outputs: Float[Array, "steps outputs"]) -> Float[Array, " classes"]:
        """The scores of one trial; times are the ends of steps, as evenly as these allow."""
        steps = np.rint(outputs.shape[0] * np.arange(1, self.looks + 1) / self.looks).astype(int) - 1
        return outputs.reshape(outputs.shape[0], self.looks, -1)[steps, np.arange(self.looks)].sum(0)


class GridClassification(eqx.Module):
    """Cross-entropy of a `GridNetwork`'s readout, reduced over time by `score`, in `steps` steps up to `duration`.

    An input channel counts once in a step, however often it spikes in it. `route` runs one trial.
    """

    duration: float
    steps: int
    score: Callable[[Float[Array, "steps outputs"]], Float[Array, " classes"]] = SumOfLooks(1)
    route: Callable[[GridNetwork, Float[Array, "steps channels"]], GridRun] = run_on_grid_natively

    def signals(self, spikes: Spikes, channels: int) -> Float[Array, "trials steps channels"]:
        """Input of all trials: 1 where a channel spikes in a step, else 0."""
        dt = self.duration / self.steps
        return jax.vmap(lambda one: jnp.minimum(counts_on_grid(one, channels, dt, self.steps), 1))(spikes)

    def run(self, network: GridNetwork, spikes: Spikes) -> GridRun:
        """The network on the input spikes of all trials."""
        return jax.vmap(lambda one: self.route(network, one))(self.signals(spikes, network.channels))

    def __call__(self, network: GridNetwork, batch: Labelled, key: Key[Array, ""] | None = None) -> Scores:
        """Mean loss over the trials; the status and the scores of the classes."""
        del key
        run = self.run(network, batch[0])
        scores = jax.vmap(self.score)(run.readout)
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, batch[1]).mean()
        return loss, (run.status, scores)


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

    def cell(self, dt: float) -> GridLIF:
        """The neurons on a grid, the reset left out of the derivative."""
        tau, spike = self.membrane_time_constant, SurrogateSpike(SuperSpike(self.sharpness))
        return GridLIF(tau, tau / 2, dt, spike=spike, reset=Detached(ResetToZero()))


FINE = 0.05  # of the membrane time constant: steps on which an event-based neuron's response is summed


def event_classifier(
    key: Key[Array, ""], neurons: Neurons, inputs: Inputs, hidden: int, distance: float
) -> TwinWeights:
    """A feed-forward network of one hidden layer; weights of the readout are normal, of variance 1/(looks hidden).

    Input weights are normal, of mean 0, so that membranes without spikes would fluctuate with standard deviation
    1/`distance` of the threshold (`fluctuation_driven`).
    """
    first, second = jax.random.split(key)
    cell = neurons.cell(FINE * neurons.membrane_time_constant)
    (weights,) = fluctuation_driven(first, cell, hidden, (Drive(inputs.channels, inputs.rate),), distance=distance)
    return TwinWeights((weights,), (None,), _readout(second, neurons, inputs, hidden))


def _readout(key, neurons, inputs, hidden):
    return normal_by_fan_in(key, neurons.looks * inputs.classes, hidden, neurons.looks**-0.5)


def event_classification(neurons: Neurons, duration: float, capacity: int) -> EventClassification:
    """The loss of such a network, with room for `capacity` spikes per neuron and trial."""
    method = Exact(LIF(neurons.membrane_time_constant), duration, capacity)
    return EventClassification(method, neurons.readout_time_constant, neurons.looks)


def grid_classifier(
    key: Key[Array, ""], neurons: Neurons, inputs: Inputs, hidden: int, distance: float, recurrence: float
) -> GridNetwork:
    """A recurrent hidden layer and a leaky readout, in single precision.

    Weights as in `event_classifier`; the recurrent ones are normal, of variance recurrence^2/hidden, which should be
    small enough not to amplify gradients from step to step.
    """
    first, second, third = jax.random.split(key, 3)
    cell, tau = neurons.cell(neurons.dt), neurons.readout_time_constant
    (weights,) = fluctuation_driven(first, cell, hidden, (Drive(inputs.channels, inputs.rate),), distance=distance)
    loop, out = normal_by_fan_in(second, hidden, hidden, recurrence), _readout(third, neurons, inputs, hidden)
    weights, loop, out = (one.astype(jnp.float32) for one in (weights, loop, out))
    above = Layer(GridLeakyReadout(tau, neurons.dt, tau / 2), Dense(out))
    return GridNetwork((Layer(cell, Dense(weights), Dense(loop)), above))


def grid_classification(neurons: Neurons, duration: float) -> GridClassification:
    """The loss of such a network; the last step may reach a little beyond `duration`."""
    steps = math.ceil(duration / neurons.dt - 1e-9)
    return GridClassification(steps * neurons.dt, steps, SumOfLooks(neurons.looks))


class Augmented(eqx.Module):
    """A `loss` on trials that `augment(key, spikes)` changes anew at every step of the training."""

    loss: Callable[..., Scores]
    augment: Callable[[Key[Array, ""], Spikes], Spikes]

    def __call__(self, parameters: PyTree, batch: Labelled, key: Key[Array, ""]) -> Scores:
        """The loss on the changed trials."""
        spikes, labels = batch
        keys = jax.random.split(key, labels.shape[0])
        return self.loss(parameters, (jax.vmap(self.augment)(keys, spikes), labels), key)


def accuracy_on(loss: Callable[..., Scores], parameters: PyTree, trials: Labelled) -> dict[str, Float[Array, ""]]:
    """Part of the trials whose largest score is that of the label, and the loss; raises if a simulation failed."""
    value, (status, scores) = _evaluated(loss, parameters, trials)
    raise_unless_ok(status)
    return {"test_accuracy": jnp.mean(jnp.argmax(scores, -1) == trials[1]), "test_loss": value}


_evaluated = eqx.filter_jit(lambda loss, parameters, trials: loss(parameters, trials))


class SpikeTraining(NamedTuple):
    """How a `loss` is minimised; one object for several networks, such as seeds, so that it is compiled once."""

    loss: Callable[..., Scores]
    init: Callable[..., TrainingState]
    step: Callable[..., tuple[TrainingState, TrainingInfo]]


def spike_training(
    loss: Callable[..., Scores],
    optimiser: optax.GradientTransformation,
    augment: Callable[[Key[Array, ""], Spikes], Spikes] | None = None,
) -> SpikeTraining:
    """Training by the loss's own gradient, on trials that `augment(key, spikes)` changes, if it is given.

    `loss(parameters, (spikes, labels), key)` is `EventClassification` or `GridClassification`.
    """
    return SpikeTraining(loss, *gradient_training(loss if augment is None else Augmented(loss, augment), optimiser))


def train_on_spikes(
    training: SpikeTraining, parameters: PyTree, train: Labelled, test: Labelled, key: Key[Array, ""], **options: Any
) -> tuple[PyTree, list[dict[str, Any]]]:
    """Train one network; the trained parameters and the history.

    The test trials are only looked at after every epoch. `options` go to `fit`: epochs, batch size, checkpoint,
    progress.
    """
    loss, init, step = training
    state, history = fit(
        step, init(parameters, key), train, evaluate=lambda trained: accuracy_on(loss, trained, test), **options
    )
    return state.parameters, history
