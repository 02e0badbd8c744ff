"""Which number, measured before training, tells whether a network will learn to recall over a delay.

Networks of several families are drawn at random, measured, and trained to recall a cue after a delay. Units of
time are tau, the membrane time constant of a neuron that is not slow.
"""

import functools
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key

import stablespike as ss
from stablespike.dynamics.grid.network import GridNetwork
from stablespike.learning.classify import Labelled
from stablespike.learning.gradients.on_grid import as_grid_network
from stablespike.learning.readouts import last_in_time
from stablespike.learning.training import TrainingError
from stablespike.stability.gradient_statistics import dimension_estimate, probed_run
from stablespike.stability.lyapunov import estimate_spectrum, tangent_dimension
from stablespike.tasks.poisson import poisson_spikes
from studies.critical_sharpness import RESET, Flossed, Recall, Training, flossed, on_grid, recall_trials

WINDOW = 0.5  # between two orthonormalisations
TRANSIENT, MEASURED = 10.0, 40.0  # of the run whose exponents are taken
PROBED = 256  # trials whose gradients are looked at


class Drawn(NamedTuple):
    """A network that was drawn: how its recurrence, its surrogate and its neurons are made.

    `loop` is the deviation of recurrent weights times the root of the neurons; time constants of membranes lie between
    1 and `slowest`, evenly by their logarithm; a threshold rises by `adaptation_step` with each spike and falls with
    `adaptation`. So many `flossed` exponents are brought to 0 first.
    """

    delay: float
    loop: float
    sharpness: float
    neurons: int = 100
    layers: int = 1
    steps: int = 10
    orthogonal: bool = False
    slowest: float = 1.0
    adaptation: float = 0.0
    adaptation_step: float = 0.0
    flossed: int = 0


FAMILIES: dict[str, Callable[[np.random.Generator], dict[str, Any]]] = {
    "plain": lambda _: {},
    "orthogonal": lambda _: {"orthogonal": True},
    "slow": lambda draw: {"slowest": _between(draw, 2.0, 40.0)},
    "adaptive": lambda draw: {"adaptation": _between(draw, 3.0, 100.0), "adaptation_step": _between(draw, 0.03, 1.0)},
    "flossed": lambda draw: {"flossed": int(draw.choice([1, 3, 10, 30, 100]))},
    "two layers": lambda _: {"neurons": 50, "layers": 2},
    "sizes": lambda draw: {"neurons": int(draw.choice([30, 200]))},
    "finer grid": lambda _: {"steps": 20},
}


def _between(generator: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is drawn evenly."""
    return float(np.exp(generator.uniform(math.log(low), math.log(high))))


def drawn(family: str, number: int) -> Drawn:
    """The network of this number in a family; no two families share their numbers."""
    generator = np.random.default_rng([zlib.crc32(family.encode()), number])
    delay, loop, sharpness = (
        float(generator.choice([8, 10, 12, 16])),
        _between(generator, 0.3, 4.0),
        _between(generator, 1.0, 100.0),
    )
    return Drawn(delay, loop, sharpness, **FAMILIES[family](generator))


class Subject(eqx.Module):
    """A network, layer by layer: `inputs` `[post, pre]`, `loops` `[post, post]` and the `readout` are trained.

    What else there is stays: the neurons' time constants `[neurons]`, those of their thresholds and the steps of these
    (numbers; 0: none), and the sharpness of the surrogate.
    """

    inputs: tuple[Float[Array, "_ _"], ...]
    loops: tuple[Float[Array, "_ _"], ...]
    readout: Float[Array, "_ _"]
    slow: tuple[Float[Array, " _"], ...]
    adaptation: Float[Array, " 2"] | None
    sharpness: Float[Array, ""]


def subject_of(key: Key[Array, ""], one: Drawn, recall: Recall) -> Subject:
    """The drawn network before flossing, in single precision."""
    inputs, loops, slow, below = [], [], [], recall.channels
    for layer in range(one.layers):
        keys = jax.random.split(jax.random.fold_in(key, layer), 3)
        inputs.append(ss.normal_by_fan_in(keys[0], one.neurons, below, recall.spread))
        loop = ss.normal_by_fan_in(keys[1], one.neurons, one.neurons, one.loop)
        loops.append(one.loop * jnp.linalg.qr(loop)[0] if one.orthogonal else loop)
        slow.append(jnp.exp(jax.random.uniform(keys[2], (one.neurons,)) * math.log(one.slowest)))
        below = one.neurons
    readout = ss.normal_by_fan_in(jax.random.fold_in(key, one.layers), recall.classes, below, 1.0)
    adaptation = jnp.array([one.adaptation, one.adaptation_step]) if one.adaptation else None
    made = Subject(tuple(inputs), tuple(loops), readout, tuple(slow), adaptation, jnp.asarray(one.sharpness))
    return _cast(made, jnp.float32)


def _cast(subject: Subject, dtype: Any) -> Subject:
    return jax.tree.map(lambda leaf: leaf.astype(dtype), subject)


def network_of(subject: Subject, steps: int) -> tuple[ss.Network, ss.Grid]:
    """The network, and the grid that it runs on; neurons and surrogate are constants to the derivative."""
    slow, adaptation, sharpness = jax.lax.stop_gradient((subject.slow, subject.adaptation, subject.sharpness))
    slope = ss.SuperSpike(sharpness)
    on, layers = on_grid(steps, slope), []
    for inputs, loop, membrane in zip(subject.inputs, subject.loops, slow, strict=True):
        neuron: Any = ss.LIF(membrane)
        if adaptation is not None:
            lif = ss.GridLIF(membrane, membrane / 2, on.dt, spike=ss.SurrogateSpike(slope), reset=RESET)
            neuron = ss.AdaptiveGridLIF(lif, adaptation[0], adaptation[1])
        layers.append(ss.Layer(neuron, ss.Dense(inputs), ss.Dense(loop)))
    return ss.Network(*layers, ss.Layer(ss.LeakyReadout(1.0), ss.Dense(subject.readout))), on


def with_flossing(subject: Subject, one: Drawn, trials: Labelled, recall: Recall, key: Key[Array, ""]) -> Subject:
    """The subject, one layer of plain neurons, after its leading exponents were flossed."""
    plain = ss.Layer(ss.LIF(1.0), ss.Dense(subject.inputs[0]), ss.Dense(subject.loops[0]))
    network = ss.Network(plain, ss.Layer(ss.LeakyReadout(1.0), ss.Dense(subject.readout)))
    on = on_grid(one.steps, ss.SuperSpike(one.sharpness))
    after = flossed(network, trials, recall, on, Flossed(one.flossed), key)[0].layers[0]
    changed = tuple((each.weights,) for each in (after.inputs, after.loop) if each is not None)
    return eqx.tree_at(lambda tree: (tree.inputs, tree.loops), subject, changed)


def exponents(subject: Subject, recall: Recall, steps: int, seed: int) -> np.ndarray:
    """All exponents of the hidden layers in nats per tau, under the input that fills the delay."""
    network, on = network_of(subject, steps)
    step = ss.as_step(ss.Network(*network.layers[:-1]), on=on, window=WINDOW)
    length = TRANSIENT + MEASURED
    inputs = poisson_spikes(np.random.default_rng(seed), recall.background, recall.channels, length)
    spikes = ss.Spikes(jnp.asarray(inputs.times), jnp.asarray(inputs.sources))
    drives = step.drives(spikes, round(length / WINDOW)).astype(subject.readout.dtype)
    found = estimate_spectrum(
        step,
        step.rest(),
        drives,
        count=tangent_dimension(step.rest()),
        transient=round(TRANSIENT / WINDOW),
        key=jax.random.key(seed),
    )
    return np.sort(np.asarray(found.exponents))[::-1] / WINDOW


class Probe(NamedTuple):
    """Of one trial: the loss's gradient by the hidden state where the delay begins and where it ends; that by the first
    layer's input weights, the part of it that is owed to the cue; and how often each hidden neuron spikes.
    """

    begin: Float[Array, "*trials state"]
    end: Float[Array, "*trials state"]
    cue: Float[Array, "*trials weights"]
    counts: Float[Array, "*trials neurons"]


def hidden_gradients(grid: GridNetwork, signals: Array, label: Array, recall: Recall) -> Any:
    """The loss's gradient by the state of each hidden layer before each step, states with a leading axis of time."""

    def look(states: Any) -> Array:
        scores = recall.gain * states[-1].cell.voltage[-1]
        return optax.losses.softmax_cross_entropy_with_integer_labels(scores, label)

    def step(state: Any, signal: Array) -> Any:
        return grid.step(state, signal)[0]

    value, pull, _ = probed_run(step, grid.initial_state(), signals, look)
    return pull(jnp.ones_like(value))[0][:-1]


def _probe(grid: GridNetwork, signals: Array, label: Array, recall: Recall, steps: int) -> Probe:
    hidden = hidden_gradients(grid, signals, label, recall)
    moments = [round(time * steps) for time in (recall.cue, recall.cue + recall.delay)]
    begin, end = (ravel_pytree(jax.tree.map(lambda leaf, at=at: leaf[at], hidden))[0] for at in moments)
    first = hidden[0].cell
    by_current = (first if hasattr(first, "current") else first.membrane).current[: moments[0]]
    cue = (
        by_current.T @ signals[: moments[0]]
    )  # what arrives is felt as the current before the step is, but for a factor

    def spiking(state: Any, signal: Array) -> tuple[Any, Array]:
        state = grid.step(state, signal)[0]
        pairs = zip(grid.layers[:-1], state[:-1], strict=True)
        return state, jnp.concatenate([layer.cell.output(one.cell) for layer, one in pairs])

    counts = jax.lax.scan(spiking, grid.initial_state(), signals)[1].sum(0)
    return Probe(begin, end, cue.ravel(), counts)


@eqx.filter_jit
def probed(subject: Subject, trials: Labelled, recall: Recall, steps: int) -> Probe:
    """The probes of all trials, with a leading axis."""
    network, on = network_of(subject, steps)
    grid, length = as_grid_network(network, on), round(recall.duration * steps)

    def one(spikes: ss.Spikes, label: Int[Array, ""]) -> Probe:
        signals = on.signals(spikes, recall.channels, length).astype(subject.readout.dtype)
        return _probe(grid, signals, label, recall, steps)

    return jax.vmap(one)(*trials)


@functools.cache
def training_of(settings: Training, recall: Recall, steps: int) -> tuple[Any, Any, Any]:
    """The pair that trains subjects, and the loss: made once for a task, so that it is compiled once for each shape."""

    def loss(subject: Subject, batch: Labelled, key: Any) -> Any:
        network, on = network_of(subject, steps)
        return ss.classify(recall.duration, score=ss.Outputs(last_in_time, recall.gain), on=on)(network, batch, key)

    rate = optax.cosine_decay_schedule(settings.rate, settings.epochs * (settings.trials // settings.batch_size))
    chain = optax.chain(optax.clip_by_global_norm(settings.norm), optax.adam(rate))
    return *ss.gradient_training(loss, chain), loss


def _trained(
    subject: Subject,
    trials: Labelled,
    tests: tuple[ss.Spikes, Array],
    recall: Recall,
    steps: int,
    settings: Training,
    seed: int,
) -> dict[str, float | str]:
    """Accuracy on new trials, losses of the first and the last epoch, and why a training ended early."""
    init, update, loss = training_of(settings, recall, steps)
    try:
        state, history = ss.fit(
            update,
            init(subject, jax.random.key(seed)),
            trials,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
        )
    except TrainingError as error:
        return {"accuracy": 1 / recall.classes, "first_loss": math.log(recall.classes), "reason": str(error)}
    accuracy = float(ss.accuracy_on(loss, state.parameters, tests)["test_accuracy"])
    return {"accuracy": accuracy, "first_loss": float(history[1]["loss"]), "reason": ""}


def _typical_norm(gradients: Float[np.ndarray, "trials state"]) -> float:
    """log10 of the geometric mean of the trials' norms, so that none of them decides it."""
    return float(np.log10(np.maximum(np.linalg.norm(gradients, axis=-1), 1e-300)).mean())


def _signal(gradients: Float[np.ndarray, "trials weights"]) -> float:
    """Squared norm of the mean gradient over the mean squared norm, without bias: from products of different trials."""
    gram = gradients @ gradients.T / max(np.abs(gradients).max(), 1e-300) ** 2
    own = np.trace(gram)
    return float((gram.sum() - own) / ((len(gram) - 1) * own)) if own > 0 else 0.0


def _measured(subject: Subject, trials: Labelled, recall: Recall, steps: int, seed: int) -> dict[str, float]:
    """What the untrained network is known by, in double precision."""
    spectrum = exponents(subject, recall, steps, seed)
    some = jax.tree.map(lambda leaf: leaf[:PROBED], trials)
    probe = jax.tree.map(np.asarray, probed(subject, some, recall, steps))
    begin, end = (_typical_norm(gradients) for gradients in (probe.begin, probe.end))
    init, step = ss.gradient_dimension(centred=False, dtype=jnp.float64)
    try:
        dimension = dimension_estimate(step(init(), jnp.asarray(probe.begin)))[0]
    except ValueError:  # gradients that are 0, or not finite
        dimension = math.nan
    return {
        "leading": float(spectrum[0]),
        "modes": int((np.abs(spectrum) * recall.delay < 1).sum()),
        "modes_3": int((np.abs(spectrum) * recall.delay < 3).sum()),
        "norm": begin,
        "growth": begin - end,
        "dimension": dimension,
        "signal": _signal(probe.cue),
        "rate": float(probe.counts.mean() / recall.duration),
        "silent": float((probe.counts.sum(0) == 0).mean()),
    }


def _padded(trials: Labelled, unit: int = 256) -> Labelled:
    """The same trials with room for a multiple of `unit` spikes: networks of one shape share their programs."""
    spikes, labels = trials
    more = ((0, 0), (0, -spikes.times.shape[1] % unit))
    return ss.Spikes(jnp.pad(spikes.times, more, constant_values=jnp.inf), jnp.pad(spikes.sources, more)), labels


def tables_of(settings: Training, family: str, number: int, delay: float | None = None) -> list[pd.DataFrame]:
    """A table of one row: what was drawn, what is measured of it, and what training comes to.

    A `delay` that is given takes the place of the one that was drawn.
    """
    if number % 10 == 0 or family == "flossed":
        jax.clear_caches()  # programs of other shapes and numbers: hundreds of them leave no mappings of memory
    one = drawn(family, number)
    one = one._replace(delay=one.delay if delay is None else delay)
    recall = Recall(delay=one.delay, neurons=one.neurons, loop=one.loop)
    seed = zlib.crc32(f"{family} {number}".encode())
    generator = np.random.default_rng(seed)
    trials, tests = (_padded(recall_trials(generator, recall, n)) for n in (settings.trials, settings.tests))
    subject = subject_of(jax.random.key(seed), one, recall)
    if one.flossed:
        subject = with_flossing(subject, one, trials, recall, jax.random.key(seed))
    exact = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), (subject, trials[0].times))
    doubled = (eqx.tree_at(lambda spikes: spikes.times, trials[0], exact[1]), trials[1])
    measured = _measured(exact[0], doubled, recall, one.steps, seed)
    learnt = _trained(subject, trials, tests, recall, one.steps, settings, seed)
    return [pd.DataFrame([{"family": family, "number": number} | one._asdict() | measured | learnt])]
