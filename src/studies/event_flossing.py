"""Chaotic exact networks whose Lyapunov exponents are brought to zero, and what that does to a memory over a delay.

Gradient flossing has been described for rate networks (Engelken 2023) and for surrogates. Here the exponents are those
of QIF networks run event by event, and so is their gradient.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Key

import stablespike as ss
from stablespike.dynamics.status import SimulationError
from stablespike.learning.classify import Labelled
from stablespike.learning.readouts import last_in_time
from stablespike.learning.training import TrainingError
from stablespike.stability.steps import EventWindow
from studies.critical_sharpness import Recall, recall_trials
from studies.gradients_through_time import growth_of_gradients
from studies.strong_coupling import Coupling, coupled_network, inputs_of

ROOM = 4  # spikes of a neuron in a window of one tau for which there is room, in the mean over neurons
FRESH = 10_000  # seeds of the inputs on which is measured lie above those on which is flossed


class Flossed(NamedTuple):
    """How exponents are brought to 0: the `leading` ones, in so many `steps` of Adam, on new input in each.

    A run lasts `windows` of one tau, of which `transient` are not counted. `memory` is the part of the trajectory's
    derivative that is handed on from one window to the next (`Flossing`): 1 is the exact gradient, through the
    network's own chaos; 0 holds the states at the windows' ends.
    """

    leading: int = 2
    memory: float = 0.0
    steps: int = 150
    rate: float = 0.05
    norm: float = 1.0
    windows: int = 30
    transient: int = 5


class Training(NamedTuple):
    """Adam with a rate that falls to 0 by half a cosine; the gradient of a trial is shortened to `limit`."""

    trials: int = 1024
    tests: int = 512
    epochs: int = 20
    batch_size: int = 32
    rate: float = 1e-2
    limit: float = 1.0


def task_of(delay: float, channels: int = 20) -> Recall:
    """The task: which of four groups of channels spiked much, asked after a delay in which all spike alike."""
    return Recall(delay=delay, channels=channels, cue_rate=8.0, background=2.0)


def recalling_network(key: Key[Array, ""], coupling: Coupling, recall: Recall) -> ss.Network:
    """Recurrent QIF neurons, coupled as is said, and a readout."""
    own, up = jax.random.split(key)
    weights = ss.normal_by_fan_in(up, recall.classes, coupling.neurons, 1.0).astype(float)
    hidden = coupled_network(own, "QIF", coupling).layers[0]
    return ss.Network(hidden, ss.Layer(ss.LeakyReadout(1.0), ss.Dense(weights)))


def step_of(network: ss.Network) -> EventWindow:
    """The hidden layer as a step of one tau."""
    step = ss.as_step(ss.Network(network.layers[0]), on=ss.Events(ROOM), window=1.0)
    assert isinstance(step, EventWindow)
    return step


def drives_of(step: EventWindow, coupling: Coupling, seed: int, windows: int) -> ss.Spikes:
    """Poisson input, window by window, in arrays whose size depends on the coupling only.

    Raises `ValueError` for a window beyond eight deviations of its number of spikes.
    """
    found = step.drives(inputs_of(coupling, seed, windows), windows)
    mean = coupling.rate * coupling.channels
    missing = math.ceil(mean + 8 * math.sqrt(mean)) - found.times.shape[1]
    if missing < 0:
        raise ValueError(f"a window has {found.times.shape[1]} input spikes, far above the mean of {mean:g}.")
    times = jnp.pad(found.times, ((0, 0), (0, missing)), constant_values=jnp.inf)
    return ss.Spikes(times, jnp.pad(found.sources, ((0, 0), (0, missing))))


def flossed(
    network: ss.Network, coupling: Coupling, settings: Flossed, seed: int
) -> tuple[ss.Network, list[dict[str, Any]]]:
    """The network after flossing, and a row for each step: loss, leading exponent, norm of the gradient.

    Recurrent weights alone are moved: input weights could drown the recurrence. Raises `SimulationError` for an
    exhausted budget and `TrainingError` for gradients that are not finite.
    """
    step, key = step_of(network), jax.random.key(seed)
    loss = ss.network_flossing(ss.Flossing(settings.leading, transient=settings.transient, memory=settings.memory), key)
    rate = optax.cosine_decay_schedule(settings.rate, settings.steps)
    adam = optax.chain(optax.clip_by_global_norm(settings.norm), optax.adam(rate))
    init, update = ss.gradient_training(loss, optax.chain(optax.masked(optax.set_to_zero(), _held), adam))
    state, course = init(step, key), []
    for number in range(settings.steps):
        drives = drives_of(step, coupling, FRESH // 2 * seed + number, settings.windows)
        state, infos = ss.descend(update, state, drives, steps=1, chunk=1)
        values = {"loss": infos.loss, "exponent": infos.extra[:, 0], "gradient": infos.gradient_norm}
        course.append({"step": number} | {name: float(value[0]) for name, value in values.items()})
    return ss.Network(state.parameters.network.layers[0], network.layers[1]), course


def _held(tree: Any) -> Any:
    """True for all but the recurrent weights."""
    held = jax.tree.map(lambda _: True, tree)
    return eqx.tree_at(lambda one: one.network.layers[0].loop.weights, held, False)


def measured(
    network: ss.Network, coupling: Coupling, seed: int, windows: int, transient: int, delay: int
) -> dict[str, Any]:
    """Exponents per tau on input that was not flossed on, rate, gradients over `delay` windows; or why there are none.

    `norm` is the root mean square of the gradient after the delay of a loss with gradient 1 at its end.
    """
    step, freedoms = step_of(network), 2 * network.layers[0].size
    drives = drives_of(step, coupling, 10**6 + seed, windows)
    options = {"transient": transient, "count": freedoms, "blocks": 5, "duration": step.duration}
    try:
        found = ss.lyapunov_spectrum(step, step.rest(), drives, key=jax.random.key(seed), **options)
        growth = growth_of_gradients(step, inputs_of(coupling, 2 * 10**6 + seed, delay), delay)
    except (SimulationError, ValueError) as error:
        return {"reason": str(error)}
    exponents = np.asarray(found.exponents)
    return {
        "exponent": float(exponents[0]),
        "error": float(found.standard_errors[0]),
        "positive": float((exponents > 0).mean()),
        "near": int((np.abs(exponents) < 0.5).sum()),
        "rate": growth.rate,
        "norm": float(growth.norm[-1]),
        "reason": "",
    }


def trials_of(recall: Recall, generator: np.random.Generator, count: int) -> Labelled:
    """Trials of the task in double precision."""
    spikes, labels = recall_trials(generator, recall, count)
    return ss.Spikes(jnp.asarray(spikes.times, float), spikes.sources), labels


def trained(network: ss.Network, recall: Recall, settings: Training, seed: int) -> dict[str, Any]:
    """Accuracy on trials that were not trained on, after training by the exact gradient, and why there is none."""
    generator = np.random.default_rng(seed)
    trials, tests = (trials_of(recall, generator, count) for count in (settings.trials, settings.tests))
    budget = ss.Events(math.ceil(ROOM * recall.duration))
    score = ss.Outputs(last_in_time, recall.gain)
    loss = ss.classify(recall.duration, score=score, on=budget, limit=settings.limit)
    updates = settings.epochs * (settings.trials // settings.batch_size)
    init, step = ss.gradient_training(loss, optax.adam(optax.cosine_decay_schedule(settings.rate, updates)))
    begin = init(network, jax.random.key(seed))
    try:
        state, history = ss.fit(step, begin, trials, epochs=settings.epochs, batch_size=settings.batch_size)
        accuracy = float(ss.accuracy_on(loss, state.parameters, tests)["test_accuracy"])
    except (TrainingError, SimulationError) as error:
        return {"accuracy": 1 / recall.classes, "loss": math.nan, "stopped": str(error)}
    return {"accuracy": accuracy, "loss": float(history[-1]["loss"]), "stopped": ""}


class Start(NamedTuple):
    """A network before training: the strength of its recurrence, and how it was flossed (`leading` 0: not at all)."""

    loop: float
    neurons: int = 32
    leading: int = 0
    memory: float = 0.0

    @property
    def name(self) -> str:
        """As in tables."""
        floss = f", {self.leading} flossed, memory {self.memory:g}" if self.leading else ""
        return f"strength {self.loop:g}{floss}"


def _recurrent(network: ss.Network) -> np.ndarray:
    loop = network.layers[0].loop
    assert loop is not None
    return np.asarray(loop.weights)


def key_of(name: str) -> str:
    """The name of a start among numbers, where a dot leads into the parts of one."""
    return name.replace(".", "_")


def tables_of(
    start: Start, seed: int, delays: Sequence[float], settings: Flossed, training: Training, measuring: dict[str, int]
) -> list[pd.DataFrame]:
    """What a start is (one row), how it was flossed, and what networks learn from it (a row for each delay)."""
    jax.clear_caches()
    coupling = Coupling(start.loop, start.neurons)
    course: list[dict[str, Any]]
    network, course = recalling_network(jax.random.key(seed), coupling, task_of(0.0)), []
    names = {"start": start.name, "loop": start.loop, "leading": start.leading, "memory": start.memory, "seed": seed}
    before, stopped = _recurrent(network), ""
    if start.leading:
        chosen = settings._replace(leading=start.leading, memory=start.memory)
        try:
            network, course = flossed(network, coupling, chosen, seed)
        except (TrainingError, SimulationError) as error:
            stopped = str(error)
    moved = float(np.linalg.norm(_recurrent(network) - before) / np.linalg.norm(before))
    row = names | {"moved": moved, "flossing_stopped": stopped} | measured(network, coupling, seed, **measuring)
    learned = [names | {"delay": delay} | trained(network, task_of(delay), training, seed) for delay in delays]
    course = course or [{"step": -1, "loss": math.nan, "exponent": math.nan, "gradient": math.nan}]
    return [pd.DataFrame([row]), pd.DataFrame([names | one for one in course]), pd.DataFrame(learned)]


def starts_of(
    neurons: int, strongest: float, others: Sequence[float], counts: Sequence[int], memories: Sequence[float]
) -> list[Start]:
    """Networks as they are, the strongest first, then flossed: each count without memory, the first with each other."""
    plain = [Start(loop, neurons) for loop in (strongest, *others)]
    frozen = [Start(strongest, neurons, count) for count in counts]
    return plain + frozen + [Start(strongest, neurons, counts[0], memory) for memory in memories]
