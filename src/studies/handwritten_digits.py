"""Classification by the first output spike, with exact gradients through a feed-forward phase network."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, Num

import stablespike as ss
from stablespike.dynamics.neurons.neuron import over_neurons
from stablespike.learning.gradients.rules import Rule
from stablespike.learning.initialisation import uniform_by_fan_in
from stablespike.learning.losses import first_spike_cross_entropy, first_to_spike
from stablespike.learning.pseudospikes import spike_times_beyond


class PhaseClassifier(eqx.Module):
    """Feed-forward network of phase neurons with trainable initial `phases`; the output that spikes first is the
    answer.

    Input comes in volleys: simultaneous pulses of several channels, which act as one pulse with the summed weight.
    """

    network: ss.Network
    phases: tuple[Float[Array, "_"], ...]

    def initial_states(self) -> tuple[Float[Array, "_ _"], ...]:
        """States of all layers at their initial phases."""
        return tuple(
            _states_at(layer.neuron, phases) for layer, phases in zip(self.network.layers, self.phases, strict=True)
        )


def _states_at(neuron: Any, phases: Array) -> Array:
    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, neuron)
    return jax.vmap(lambda one, phase: one.state_at_phase(phase), in_axes=(axes, 0))(neuron, phases)


def phase_classifier(key: Key[Array, ""], neuron: Any, sizes: tuple[int, ...], initial_phase: float) -> PhaseClassifier:
    """Classifier with `sizes` (input, hidden ..., classes), weights U(+-0.5/sqrt(fan-in)), all phases
    `initial_phase`.
    """
    network = ss.Network(*(ss.Layer(neuron, ss.Dense(weights)) for weights in uniform_by_fan_in(key, sizes)))
    return PhaseClassifier(network, tuple(jnp.full(size, float(initial_phase)) for size in sizes[1:]))


class ClassifierTask(eqx.Module):
    """How a trial runs: `volley_times` `[volleys]`, trial `duration`, spikes per neuron `capacity`, `gradient` rule.

    Called, it is the loss: mean first-spike cross-entropy over a batch (pseudospikes by scheme 2), with the status.
    `flip_probability` is the chance of flipping each input channel in training; `late_cost` that of the loss.
    """

    volley_times: Float[Array, " volleys"]
    duration: float = 2.0
    capacity: int = eqx.field(default=4, static=True)
    late_cost: float = 0.01
    flip_probability: float = 0.0
    gradient: Rule | None = None

    def __call__(
        self,
        model: PhaseClassifier,
        batch: tuple[Num[Array, "trials volleys channels"], Int[Array, " trials"]],
        key: Key[Array, ""],
    ) -> tuple[Float[Array, ""], tuple[ss.Status, None]]:
        """The loss, in the form that `gradient_training` takes."""
        active, labels = batch
        if self.flip_probability:
            active = jnp.logical_xor(active, jax.random.bernoulli(key, self.flip_probability, active.shape))

        def single(one: Array, label: Array) -> tuple[Array, ss.Status]:
            run, times = _answered(model, self, one)
            return first_spike_cross_entropy(times, label, late_cost=self.late_cost, duration=self.duration), run.status

        losses, status = jax.vmap(single)(active, labels)
        return losses.mean(), (status, None)


def run_trial(model: PhaseClassifier, task: ClassifierTask, active: Num[Array, "volleys channels"]) -> ss.Run:
    """Simulate one trial; `active[v, c]` is 1 if channel c takes part in volley v."""
    first, *above = model.network.layers
    pulses = first.inputs.weights @ active.T.astype(first.inputs.dtype)
    volleys = ss.Network(ss.Layer(first.neuron, ss.Dense(pulses)), *above)
    inputs = ss.Spikes(task.volley_times, jnp.arange(task.volley_times.shape[0]))
    return ss.simulate(
        volleys, inputs, task.duration, on=ss.Events(task.capacity), gradient=task.gradient,
        initial=model.initial_states(),
    )  # fmt: skip


def _answered(model: PhaseClassifier, task: "ClassifierTask", active: Array) -> tuple[ss.Run, Array]:
    """A trial and the first spike times of its outputs, pseudospikes included."""
    run = run_trial(model, task, active)
    return run, spike_times_beyond(model.network, run, task.duration, 1)[-1][:, 0]


@eqx.filter_jit
def _trial_statistics(
    model: PhaseClassifier, task: ClassifierTask, active: Array
) -> tuple[Array, Array, Array, ss.Status]:
    def single(one: Array) -> tuple[Array, Array, Array, ss.Status]:
        run, times = _answered(model, task, one)
        hidden = jnp.concatenate([trains.counts for trains in run.layers[:-1]])
        ordinary = first_to_spike(run.output.spike_times(1)[:, 0])
        return first_to_spike(times), ordinary, hidden, run.status

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
        ss.raise_unless_ok(status)
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
    run_trial(model, task, active)  # raises what is unknown below

    def at(time: Array) -> Array:
        cut = eqx.tree_at(lambda t: t.duration, task, time)
        return over_neurons(model.network.layers[-1].neuron, "voltage")(run_trial(model, cut, active).states[-1])

    return jax.lax.map(at, times)


def halving_schedule(learning_rate: float, steps: int, halvings: int) -> optax.Schedule:
    """Learning rate halved `halvings` times at equal distances over `steps` steps."""
    return optax.exponential_decay(learning_rate, max(steps // (halvings + 1), 1), 0.5, staircase=True)


def spike_rows(run: ss.Run, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """All spikes of one trial as rows `layer` (from `names`), `neuron` (within its layer) and `time`, for plotting."""
    return [
        {"layer": name, "neuron": neuron, "time": time}
        for name, trains in zip(names, run.layers, strict=True)
        for neuron, times in enumerate(trains.times.tolist())
        for time in times
        if time < float("inf")
    ]
