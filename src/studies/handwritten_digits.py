"""Classification by the first output spike, with exact gradients through a feed-forward phase network."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, Num, PyTree

from stablespike.dynamics.engines.layers import LayerSolution, simulate_layer, simulate_layers
from stablespike.dynamics.network import Layered
from stablespike.dynamics.neurons.neuron import over_neurons
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import raise_unless_ok
from stablespike.learning.initialisation import uniform_by_fan_in
from stablespike.learning.losses import first_spike_cross_entropy, first_to_spike
from stablespike.learning.pseudospikes import layered_spike_times
from stablespike.learning.training import fit, gradient_training


class PhaseClassifier(eqx.Module):
    """Feed-forward network of phase neurons with trainable initial `phases`; the output that spikes first is the
    answer.

    Input comes in volleys: simultaneous pulses of several channels, which act as one pulse with the summed weight.
    """

    network: Layered
    phases: tuple[Float[Array, "_"], ...]

    def initial_states(self) -> tuple[Float[Array, "_ _"], ...]:
        """States of all layers at their initial phases."""
        return tuple(_states_at(self.network.layer_neuron(layer), phases) for layer, phases in enumerate(self.phases))


def _states_at(neuron, phases):
    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, neuron)
    return jax.vmap(lambda one, phase: one.state_at_phase(phase), in_axes=(axes, 0))(neuron, phases)


def phase_classifier(key: Key[Array, ""], neuron, sizes: tuple[int, ...], initial_phase: float) -> PhaseClassifier:
    """Classifier with `sizes` (input, hidden ..., classes), weights U(+-0.5/sqrt(fan-in)), all phases
    `initial_phase`.
    """
    network = Layered(neuron, uniform_by_fan_in(key, sizes))
    return PhaseClassifier(network, tuple(jnp.full(size, float(initial_phase)) for size in sizes[1:]))


class ClassifierTask(eqx.Module):
    """How a trial runs: `volley_times` `[volleys]`, trial `duration`, spikes per neuron `capacity`, the gradient rule
    `layer`.

    `flip_probability` is the chance of flipping each input channel in training; `late_cost` that of the loss.
    """

    volley_times: Float[Array, " volleys"]
    duration: float = 2.0
    capacity: int = eqx.field(default=4, static=True)
    late_cost: float = 0.01
    flip_probability: float = 0.0
    layer: Callable[..., LayerSolution] = eqx.field(default=simulate_layer, static=True)


def run_trial(
    model: PhaseClassifier, task: ClassifierTask, active: Num[Array, "volleys channels"]
) -> tuple[LayerSolution, ...]:
    """Simulate one trial; `active[v, c]` is 1 if channel c takes part in volley v."""
    pulses = model.network.weights[0] @ active.T.astype(model.network.weights[0].dtype)
    volleys = Layered(model.network.neuron, (pulses, *model.network.weights[1:]))
    inputs = Spikes(task.volley_times, jnp.arange(task.volley_times.shape[0]))
    return simulate_layers(
        volleys, model.initial_states(), inputs, task.duration, capacity=task.capacity, layer=task.layer
    )


def classification_loss(
    model: PhaseClassifier,
    task: ClassifierTask,
    batch: tuple[Num[Array, "trials volleys channels"], Int[Array, " trials"]],
    key: Key[Array, ""],
) -> tuple[Float[Array, ""], tuple[PyTree, None]]:
    """Mean first-spike cross-entropy over a batch (pseudospikes by scheme 2), with the simulations' status."""
    active, labels = batch
    if task.flip_probability:
        active = jnp.logical_xor(active, jax.random.bernoulli(key, task.flip_probability, active.shape))

    def single(one, label):
        solutions = run_trial(model, task, one)
        times = layered_spike_times(model.network, solutions, task.duration, 1)[-1][:, 0]
        loss = first_spike_cross_entropy(times, label, late_cost=task.late_cost, duration=task.duration)
        return loss, _status(solutions)

    losses, status = jax.vmap(single)(active, labels)
    return losses.mean(), (status, None)


def _status(solutions):
    return tuple(solution.status for solution in solutions)


@eqx.filter_jit
def _trial_statistics(model, task, active):
    def single(one):
        solutions = run_trial(model, task, one)
        times = layered_spike_times(model.network, solutions, task.duration, 1)[-1][:, 0]
        hidden = jnp.concatenate([solution.counts for solution in solutions[:-1]])
        ordinary = first_to_spike(solutions[-1].spike_times(1)[:, 0])
        return first_to_spike(times), ordinary, hidden, _status(solutions)

    return jax.vmap(single)(active)


def evaluate_classifier(
    model: PhaseClassifier,
    task: ClassifierTask,
    active: Num[Array, "trials volleys channels"],
    labels: Int[Array, " trials"],
    *,
    batch_size: int = 1000,
) -> dict[str, float]:
    """Test error with pseudospikes and with ordinary spikes only, silent fraction and spikes per hidden neuron and
    trial.

    A hidden neuron is silent if it spikes in none of the trials; without pseudospikes a trial in which no output spikes
    counts as an error. Raises `SimulationError` if a simulation failed.
    """
    parts = [
        _trial_statistics(model, task, active[start : start + batch_size])
        for start in range(0, active.shape[0], batch_size)
    ]
    for *_, status in parts:
        raise_unless_ok(status)
    answers, ordinary, hidden = (jnp.concatenate(column) for column in list(zip(*parts, strict=True))[:3])
    return {
        "error": float(jnp.mean(answers != labels, dtype=float)),
        "error_ordinary": float(jnp.mean(ordinary != labels, dtype=float)),
        "silent_fraction": float(jnp.mean(hidden.sum(0) == 0, dtype=float)),
        "spikes_per_neuron": float(hidden.mean(dtype=float)),
    }


def output_voltages(
    model: PhaseClassifier,
    task: ClassifierTask,
    active: Num[Array, "volleys channels"],
    times: Float[Array, " samples"],
) -> Float[Array, "samples neurons"]:
    """Voltages of the output neurons at `times`, for plotting (infinite at a spike)."""
    *below, _ = run_trial(model, task, active)
    del below

    def at(time):
        cut = eqx.tree_at(lambda t: t.duration, task, time)
        state = run_trial(model, cut, active)[-1].state
        return over_neurons(model.network.layer_neuron(len(model.phases) - 1), "voltage")(state)

    return jax.lax.map(at, times)


def train_classifier(
    model: PhaseClassifier,
    task: ClassifierTask,
    optimiser: optax.GradientTransformation,
    train: tuple[Num[Array, "trials volleys channels"], Int[Array, " trials"]],
    test: tuple[Num[Array, "others volleys channels"], Int[Array, " others"]],
    key: Key[Array, ""],
    **options,
) -> tuple[PhaseClassifier, list[dict[str, Any]]]:
    """Train on `train` = (active, labels), evaluate on `test` after every epoch; `options` are those of `fit`.

    Returns the trained model and the history: per epoch mean loss, gradient norm and the numbers of
    `evaluate_classifier`, starting with the untrained model.
    """
    quiet = dataclasses.replace(task, flip_probability=0.0)
    init, step = gradient_training(
        lambda parameters, batch, used: classification_loss(parameters, task, batch, used), optimiser
    )
    state, history = fit(
        step,
        init(model, key),
        train,
        evaluate=lambda parameters: evaluate_classifier(parameters, quiet, *test),
        **options,
    )
    return state.parameters, history


def halving_schedule(learning_rate: float, steps: int, halvings: int) -> optax.Schedule:
    """Learning rate halved `halvings` times at equal distances over `steps` steps."""
    return optax.exponential_decay(learning_rate, max(steps // (halvings + 1), 1), 0.5, staircase=True)


def spike_rows(solutions: tuple[LayerSolution, ...], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """All spikes of one trial as rows `layer` (from `names`), `neuron` (within its layer) and `time`, for plotting."""
    return [
        {"layer": name, "neuron": neuron, "time": time}
        for name, solution in zip(names, solutions, strict=True)
        for neuron, times in enumerate(solution.times.tolist())
        for time in times
        if time < float("inf")
    ]
