"""A network on a grid that must recall a cue after a delay, trained with surrogates of any sharpness.

Which of a few groups of channels spiked much at the beginning is asked at the end; in between all channels spike alike.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Key

import stablespike as ss
from stablespike.dynamics.grid.resets import Detached, ResetBySubtraction
from stablespike.learning.classify import Labelled
from stablespike.learning.readouts import last_in_time
from stablespike.learning.training import TrainingError
from stablespike.tasks.poisson import poisson_train

RESET = Detached(ResetBySubtraction())  # the derivative is that of the membrane alone


class Recall(NamedTuple):
    """The task and its network. Times in tau, rates in spikes per tau and channel."""

    delay: float = 10.0
    cue: float = 1.0
    answer: float = 1.0
    classes: int = 4
    channels: int = 40
    cue_rate: float = 6.0
    background: float = 1.0
    neurons: int = 100
    loop: float = 1.5  # deviation of recurrent weights, times the root of the neurons
    spread: float = 3.0  # the same of input weights, times the root of the channels
    gain: float = 10.0  # of the readout's voltages

    @property
    def duration(self) -> float:
        """Of a trial."""
        return self.cue + self.delay + self.answer


class Training(NamedTuple):
    """Adam with a rate that falls to 0 by half a cosine; gradients longer than `norm` are shortened to it."""

    trials: int = 2048
    tests: int = 512
    epochs: int = 10
    batch_size: int = 64
    rate: float = 3e-3
    norm: float = 1.0


class Flossed(NamedTuple):
    """How the exponents are brought to 0 before training: the `leading` ones, in so many `steps` of Adam."""

    leading: int = 10
    steps: int = 60
    rate: float = 5e-3
    norm: float = 0.1
    memory: float = 0.8


def recall_trials(generator: np.random.Generator, recall: Recall, count: int) -> Labelled:
    """Input spikes in single precision and labels of so many trials."""
    labels, group = generator.integers(0, recall.classes, count), recall.channels // recall.classes
    trains = []
    for label in labels:
        early, within = poisson_train(generator, recall.cue_rate, group, recall.cue)
        late, after = poisson_train(generator, recall.background, recall.channels, recall.duration - recall.cue)
        trains.append((np.concatenate([early, late + recall.cue]), np.concatenate([within + group * label, after])))
    room = max(times.size for times, _ in trains)
    times = np.stack([np.pad(times, (0, room - times.size), constant_values=np.inf) for times, _ in trains])
    sources = np.stack([np.pad(sources, (0, room - sources.size)) for _, sources in trains])
    return ss.Spikes(jnp.asarray(times, jnp.float32), jnp.asarray(sources)), jnp.asarray(labels)


def recall_network(key: Key[Array, ""], recall: Recall) -> ss.Network:
    """The network at the start, in single precision."""
    keys, neurons = jax.random.split(key, 3), recall.neurons
    inputs = ss.normal_by_fan_in(keys[0], neurons, recall.channels, recall.spread)
    loop = ss.normal_by_fan_in(keys[1], neurons, neurons, recall.loop)
    readout = ss.normal_by_fan_in(keys[2], recall.classes, neurons, 1.0)
    dense = [ss.Dense(weights.astype(jnp.float32)) for weights in (inputs, loop, readout)]
    return ss.Network(ss.Layer(ss.LIF(1.0), dense[0], dense[1]), ss.Layer(ss.LeakyReadout(1.0), dense[2]))


def on_grid(steps: int, slope: ss.SuperSpike | ss.PerTime) -> ss.Grid:
    """So many steps a tau."""
    return ss.Grid(1 / steps, slope, reset=RESET)


def hidden_of(network: ss.Network) -> ss.Network:
    """The network without its readout."""
    return ss.Network(network.layers[0])


def a_few(trials: Labelled, count: int = 8) -> ss.Spikes:
    """Inputs of the first trials: enough to average over."""
    return jax.tree.map(lambda leaf: leaf[:count], trials[0])


def critical_sharpness_of(network: ss.Network, trials: Labelled, recall: Recall, steps: int) -> float:
    """The sharpness of SuperSpike at which the hidden layer's gradients neither fade nor explode on these inputs."""
    on = on_grid(steps, ss.SuperSpike(10.0))
    return ss.critical_sharpness(hidden_of(network), a_few(trials), recall.duration, on=on, lags=_lags(recall, steps))


def exponent_of(network: ss.Network, trials: Labelled, recall: Recall, on: ss.Grid) -> float:
    """The hidden layer's leading exponent on these inputs, by mean field, in nats per tau."""
    lags = _lags(recall, round(1 / float(on.dt)))
    return ss.mean_field_exponent(hidden_of(network), a_few(trials), recall.duration, on=on, lags=lags)


def _lags(recall: Recall, steps: int) -> int:
    return min(8 * steps, int(recall.duration * steps / 2))


def flossed(
    network: ss.Network, trials: Labelled, recall: Recall, on: ss.Grid, settings: Flossed, key: Key[Array, ""]
) -> tuple[ss.Network, np.ndarray]:
    """The network after flossing on its first trial, and the flossed exponents of each step in nats per tau."""
    step = ss.as_step(hidden_of(network), on=on, window=float(on.dt))
    drives = step.drives(jax.tree.map(lambda leaf: leaf[0], trials[0]), round(recall.duration / float(on.dt)))
    loss = ss.network_flossing(ss.Flossing(settings.leading, memory=settings.memory), key)
    rate = optax.cosine_decay_schedule(settings.rate, settings.steps)
    init, update = ss.gradient_training(loss, optax.chain(optax.clip_by_global_norm(settings.norm), optax.adam(rate)))
    state, infos = ss.descend(update, init(step, key), drives, steps=settings.steps, chunk=settings.steps)
    after = state.parameters.network.layers[0]
    return ss.Network(after, network.layers[1]), np.asarray(infos.extra) / float(on.dt)


def trained(
    network: ss.Network,
    trials: Labelled,
    tests: tuple[ss.Spikes, Array],
    recall: Recall,
    on: ss.Grid,
    settings: Training,
    seed: int,
) -> dict[str, float | str]:
    """Accuracy on trials that were not trained on, norm of the first epoch's gradients, and why a training ended early.

    A training whose gradient is not finite is a row with the accuracy of chance: nothing was learnt.
    """
    loss = ss.classify(recall.duration, score=ss.Outputs(last_in_time, recall.gain), on=on)
    updates = settings.epochs * (settings.trials // settings.batch_size)
    rate = optax.cosine_decay_schedule(settings.rate, updates)
    init, step = ss.gradient_training(loss, optax.chain(optax.clip_by_global_norm(settings.norm), optax.adam(rate)))
    try:
        state, history = ss.fit(
            step, init(network, jax.random.key(seed)), trials, epochs=settings.epochs, batch_size=settings.batch_size
        )
    except TrainingError as error:
        return {"accuracy": 1 / recall.classes, "loss": math.nan, "norm": math.inf, "reason": str(error)}
    accuracy = float(ss.accuracy_on(loss, state.parameters, tests)["test_accuracy"])
    norm = float(history[1]["gradient_norm"])
    return {"accuracy": accuracy, "loss": float(history[-1]["loss"]), "norm": norm, "reason": ""}


def table_of_one(
    settings: Training, loop: float, delay: float, steps: int, seed: int, factor: float, leading: int
) -> list[pd.DataFrame]:
    """A table of one row: the critical sharpness, the exponent at the start, and what training came to.

    The sharpness is `factor` times the critical one; with `leading` above 0 so many exponents are flossed before.
    """
    jax.clear_caches()  # every training compiles its own programs: a hundred of them leave no mappings of memory
    recall, generator = Recall(delay=delay, loop=loop), np.random.default_rng(seed)
    trials, tests = (recall_trials(generator, recall, count) for count in (settings.trials, settings.tests))
    network = recall_network(jax.random.key(seed), recall)
    critical = critical_sharpness_of(network, trials, recall, steps)
    on = on_grid(steps, ss.SuperSpike(factor * critical))
    if leading:
        network, _ = flossed(network, trials, recall, on, Flossed(leading), jax.random.key(seed))
    exponent = exponent_of(network, trials, recall, on)
    row = {"loop": loop, "delay": delay, "steps": steps, "seed": seed, "factor": factor, "flossed": leading}
    row |= {"critical": critical, "exponent": exponent}
    return [pd.DataFrame([row | trained(network, trials, tests, recall, on, settings, seed)])]


def named(loop: float, delay: float, steps: int) -> str:
    """The name of a condition among numbers, where a dot leads into the parts of one."""
    return f"loop {loop:g}, delay {delay:g}, {steps} steps".replace(".", "_")


def by_factor(row: pd.Series) -> dict[str, float]:
    """Values by the names of factors, likewise."""
    return {f"{factor:g}".replace(".", "_"): float(value) for factor, value in row.items()}
