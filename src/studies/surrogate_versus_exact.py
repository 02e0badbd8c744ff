"""One network, two derivatives: the same neurons, weights, inputs and losses, spike by spike and on a time grid.

Exact: neurons are simulated event by event, and spike times are differentiated. Surrogate: the same (LIF) neurons step
in time, and the spike gets a made-up slope. What is read out, leaky voltages or filtered trains, is the same function
of the spikes for both, so that losses agree as the step goes to zero, and what differs is the derivative.
"""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.network import Layer, Network
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.run import Run, Trains
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.dynamics.ways import Events, Grid
from stablespike.learning.gradients.rules import Recorded, Rule
from stablespike.learning.pseudospikes import spike_times_beyond
from stablespike.learning.surrogates import SuperSpike
from stablespike.learning.training import fit, gradient_training
from stablespike.simulation import simulate
from stablespike.stability.gradient_statistics import alignment

Labelled = tuple[Spikes, Int[Array, " trials"]]
Sent = Float[Array, "neurons spikes"]


class ReadNetwork(eqx.Module):
    """A `network` of `LIF` or `QIF` neurons, and the weights `[classes, neurons]` with which its last layer is read.

    The readouts are leaky membranes with the time constants of these neurons.
    """

    network: Network
    readout: Float[Array, "classes neurons"]


class Method(eqx.Module):
    """How a network is run `until` the end of a trial, and with which derivative: as `simulate` is told."""

    until: float
    on: Events | Grid
    gradient: Rule | None = None

    def __call__(self, network: Network, spikes: Spikes) -> Run:
        """The network on the input spikes of one trial."""
        return simulate(network, spikes, self.until, on=self.on, gradient=self.gradient)


def surrogate(until: float, steps: int, sharpness: Any) -> Method:
    """On a grid of `steps` steps, with SuperSpike of this sharpness; the derivative does not feel the reset."""
    return Method(until, Grid(until / steps, SuperSpike(sharpness)), Recorded())


def mean_voltage(times: Sent, sizes: Sent, time_constant: float, duration: float) -> Float[Array, " neurons"]:
    """Average from 0 to `duration` T of a leaky membrane's voltage: (tau/2T)(1 - x)^2 of each spike of size 1.

    x = exp(-(T - t_spike)/tau), the integral of the response x - x^2 with tau_syn = tau/2.
    """
    x = jnp.exp(-(duration - times) / time_constant)
    return time_constant / (2 * duration) * jnp.sum(sizes * (1 - x) ** 2, -1)


def voltages(
    times: Sent, sizes: Sent, time_constant: float, at: Float[Array, " samples"]
) -> Float[Array, "neurons samples"]:
    """The voltage of such a membrane, the sum of x - x^2 over the spikes before, at some times."""
    since = at - times[..., None]
    x = jnp.exp(-jnp.maximum(since, 0) / time_constant)
    return jnp.sum(jnp.where(since > 0, sizes[..., None] * (x - x**2), 0), -2)


def _time_constant(network: Network) -> Any:
    return network.layers[-1].neuron.membrane_time_constant


class Classification(eqx.Module):
    """Cross-entropy with `gain` times the readout's mean voltages as logits, by one of the methods.

    Mean voltages are small numbers: a gain gives the readout weights that a step of an optimiser can reach.
    """

    method: Method
    gain: float = 1.0

    def __call__(
        self, parameters: ReadNetwork, batch: Labelled, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], tuple[Status, Float[Array, "trials classes"]]]:
        """Mean loss over the trials; the status and the logits."""
        del key
        spikes, labels = batch

        def one(trial: Spikes) -> tuple[Array, Status]:
            run = self.method(parameters.network, trial)
            tau = _time_constant(parameters.network)
            return mean_voltage(*run.output.weighted(), tau, self.method.until), run.status

        means, status = jax.vmap(one)(spikes)
        logits = self.gain * means @ parameters.readout.T
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, (status, logits)


class SpikeTiming(eqx.Module):
    """Squared distance of the first neurons' filtered trains from those of the targets, by one of the methods.

    `targets` `[neurons, spikes]` are times (inf: none) for the first neurons of the last layer. Both trains are
    filtered by a leaky membrane of the network's time constants and compared at `samples` equal distances: a van Rossum
    distance (van Rossum 2001) with a continuous kernel, in units of what a silent network would have.
    """

    method: Method
    targets: Float[Array, "targets spikes"]
    samples: int = 100

    def __call__(
        self, network: Network, batch: Spikes, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], tuple[Status, Float[Array, ""]]]:
        """Mean loss over the trials; the status and the mean number of spikes of these neurons."""
        del key
        tau, (rows, most) = _time_constant(network), self.targets.shape
        at = jnp.linspace(0, self.method.until, self.samples + 1)[1:]
        targets = Trains(jnp.isfinite(self.targets).sum(-1), most, table=self.targets)
        wanted = voltages(*targets.weighted(), tau, at)

        def one(trial: Spikes) -> tuple[Array, Status, Array]:
            run = self.method(network, trial)
            found = voltages(*run.output.weighted(), tau, at)[:rows]
            return found, run.status, run.output.counts[:rows].astype(found.dtype)

        found, status, counts = jax.vmap(one)(batch)
        loss = jnp.mean((found - wanted) ** 2) / jnp.mean(wanted**2)
        return loss, (status, counts.mean())


class SpikeTimes(eqx.Module):
    """Mean squared distance of the first neurons' spike times from the targets, pseudospikes included, by events.

    `targets` `[neurons, spikes]` ascend; inf asks for no further spike, and a spike that comes nevertheless is pushed
    out of the trial. A neuron that owes a spike is told so by its pseudospike, which `SpikeTiming` can't tell it.
    """

    method: Method
    targets: Float[Array, "targets spikes"]

    def __call__(
        self, network: Network, batch: Spikes, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], tuple[Status, Float[Array, ""]]]:
        """Mean loss over the trials; the status and the mean number of spikes of these neurons."""
        del key
        rows, most = self.targets.shape
        wanted = jnp.pad(self.targets, ((0, 0), (0, 1)), constant_values=jnp.inf)
        until = self.method.until

        def one(trial: Spikes) -> tuple[Array, Status, Array]:
            run = self.method(network, trial)
            times = spike_times_beyond(network, run, until, most + 1)[-1][:rows]
            away = jnp.where(jnp.isfinite(wanted), times - wanted, jnp.minimum(times - until, 0))
            return jnp.mean(away**2), run.status, run.output.counts[:rows].astype(times.dtype)

        losses, status, counts = jax.vmap(one)(batch)
        return losses.mean(), (status, counts.mean())


def random_network(
    key: Key[Array, ""],
    neuron: LIF | QIF,
    channels: int,
    sizes: tuple[int, ...],
    *,
    mean: float,
    spread: float,
    loop: float,
) -> Network:
    """Normal weights: into each layer of this `mean` and `spread`, both divided by its inputs' number, sqrt of it.

    Recurrent weights have variance loop^2/neurons and no self-connections (none at all if `loop` is 0).
    """
    first, second, _ = jax.random.split(key, 3)
    keys = zip(jax.random.split(first, len(sizes)), jax.random.split(second, len(sizes)), strict=True)
    layers = []
    for (one, other), post, pre in zip(keys, sizes, (channels, *sizes[:-1]), strict=True):
        inputs = Dense(mean / pre + spread / np.sqrt(pre) * jax.random.normal(one, (post, pre)))
        within = loop / np.sqrt(post) * jax.random.normal(other, (post, post)) * (1 - jnp.eye(post)) if loop else None
        layers.append(Layer(neuron, inputs, None if within is None else Dense(within)))
    return Network(*layers)


def read_network(
    key: Key[Array, ""], neuron: LIF | QIF, channels: int, sizes: tuple[int, ...], classes: int, **options: float
) -> ReadNetwork:
    """A `random_network` (with its `options`) and readout weights of variance 1/neurons."""
    network, last = random_network(key, neuron, channels, sizes, **options), jax.random.split(key, 3)[2]
    return ReadNetwork(network, jax.random.normal(last, (classes, sizes[-1])) / np.sqrt(sizes[-1]))


class Alignments(eqx.Module):
    """Surrogate beside exact gradient at each of the sharpnesses: `cosine`, `norm_ratio` (surrogate over exact) and the
    `loss` of the grid, `[sharpnesses]`; the `exact_loss`; `fewest` spikes of a layer in a trial.
    """

    cosine: Float[Array, " sharpnesses"]
    norm_ratio: Float[Array, " sharpnesses"]
    loss: Float[Array, " sharpnesses"]
    exact_loss: Float[Array, ""]
    fewest: Int[Array, ""]


@eqx.filter_jit
def _gradients(
    parameters: ReadNetwork, batch: Labelled, exact: Method, steps: int, sharpnesses: Array
) -> tuple[Any, Any, Array]:
    """Values and gradients by both methods; those of the surrogate for every sharpness."""

    def by(method: Method) -> Any:
        return eqx.filter_value_and_grad(Classification(method), has_aux=True)(parameters, batch)

    counts = jax.vmap(lambda spikes: [one.counts for one in exact(parameters.network, spikes).layers])(batch[0])
    fewest = jnp.min(jnp.stack([layer.sum(-1).min() for layer in counts]))
    return jax.vmap(lambda sharpness: by(surrogate(exact.until, steps, sharpness)))(sharpnesses), by(exact), fewest


def align(parameters: ReadNetwork, batch: Labelled, exact: Method, steps: int, sharpnesses: Any) -> Alignments:
    """Compare the gradients of one network and batch on a grid of `steps` steps, SuperSpike of each sharpness.

    In the weights into the layers and within them: those of the readout need no derivative of a spike. Raises
    `SimulationError` if a simulation failed, `ValueError` if a layer was silent in some trial.
    """
    (grid, slopes), (event, gradient), fewest = _gradients(parameters, batch, exact, steps, jnp.asarray(sharpnesses))
    raise_unless_ok((event[1][0], grid[1][0]))
    if not float(fewest) >= 1:
        raise ValueError("a layer was silent in a trial: drive the network more strongly.")
    each = [jax.tree.map(lambda leaf, k=k: leaf[k], slopes.network) for k in range(len(sharpnesses))]
    cosines = jnp.stack([alignment(other, gradient.network) for other in each])
    ratios = jnp.stack([optax.tree.norm(other) for other in each]) / optax.tree.norm(gradient.network)
    return Alignments(cosines, ratios, grid[0], event[0], fewest)


def train_to_spike(
    loss: SpikeTiming | SpikeTimes,
    judge: Method,
    targets: Float[Array, "targets spikes"],
    network: Network,
    optimiser: optax.GradientTransformation,
    trial: Spikes,
    *,
    rounds: int,
    steps: int,
    key: Key[Array, ""],
) -> list[dict[str, Any]]:
    """Move the first neurons' spikes to their targets by the gradient of `loss`, in `rounds` of `steps` steps.

    After every round the network is judged by the distance of its trains, whatever it was trained by.
    """
    init, update = gradient_training(loss, optimiser)
    repeated, judged = stacked([trial] * steps), eqx.filter_jit(SpikeTiming(judge, targets))

    def distance(network: Network) -> dict[str, Array]:
        value, (status, _) = judged(network, stacked([trial]))
        raise_unless_ok(status)
        return {"distance": value}

    history = fit(update, init(network, key), repeated, epochs=rounds, batch_size=1, evaluate=distance)[1]
    return [{"step": row["epoch"] * steps, "distance": row["distance"]} for row in history]


def latency_trials(times: Float[np.ndarray, "trials channels"], labels: Int[np.ndarray, " trials"]) -> Labelled:
    """Trials in which every channel spikes once, with their labels."""
    spikes = jax.vmap(lambda row: in_order(row, jnp.arange(row.shape[0])))(jnp.asarray(times))
    return spikes, jnp.asarray(labels)


def stacked(trials: list[Spikes]) -> Spikes:
    """Trials of equal room as one batch."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trials)


def clock(parameters: ReadNetwork) -> dict[str, float]:
    """The `seconds` on the clock, for `fit` to write down after every epoch."""
    del parameters
    return {"seconds": time.perf_counter()}
