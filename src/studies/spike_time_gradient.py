"""How the first spike of one neuron depends on one number: spike times, exact derivatives, and where the spike ends."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.network import Layer, Network
from stablespike.dynamics.neurons.neuron import AbstractNeuron
from stablespike.dynamics.spikes import in_order
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.dynamics.ways import Events
from stablespike.learning.gradients.rules import Recorded
from stablespike.simulation import simulate

# Sweeps run in batches of one size, so that each neuron is compiled once.
BATCH = 128

# From the swept number to the weights and the times of the input spikes.
Inputs = Callable[[Any], tuple[Sequence[Any], Sequence[Any]]]


class Sweep(eqx.Module):
    """First spike times of a neuron at the `values` `[points]` of a swept number.

    `times` `[points]` in the unit of the time constants, inf where the neuron stays silent; `gradients` `[points]`: the
    derivatives of the times with respect to the swept number, without meaning where there is no spike.
    """

    values: Float[Array, " points"]
    times: Float[Array, " points"]
    gradients: Float[Array, " points"]

    @property
    def spiked(self) -> Bool[Array, " points"]:
        """True where the neuron spikes within the trial."""
        return jnp.isfinite(self.times)


def sweep_first_spike(neuron: AbstractNeuron, inputs: Inputs, values: Any, duration: float) -> Sweep:
    """First spike times of a neuron that rests at V = 0, and their exact derivatives, at all `values` `[points]`.

    `inputs(value)` gives weights and times of the input spikes, in any order. The derivative is taken by reverse mode
    through the simulated events, then through `inputs`. A trial that goes wrong raises `SimulationError`.
    """
    values = jnp.ravel(jnp.asarray(values, float))
    (weights, times), (weight_slopes, time_slopes) = jax.vmap(
        lambda value: jax.jvp(lambda x: tuple(map(_vector, inputs(x))), (value,), (jnp.ones_like(value),))
    )(values)
    padding = -values.size % BATCH
    batches = [
        jnp.pad(part, ((0, padding), (0, 0)), mode="edge").reshape(-1, BATCH, part.shape[1])
        for part in (weights, times)
    ]
    results = []
    for batch_weights, batch_times in zip(*batches, strict=True):
        *result, status = _first_spikes(neuron, batch_weights, batch_times, duration)
        raise_unless_ok(status)
        results.append(result)
    spike_times, by_weight, by_time = (jnp.concatenate(parts)[: values.size] for parts in zip(*results, strict=True))
    gradients = (by_weight * weight_slopes + by_time * time_slopes).sum(1)
    return Sweep(values, spike_times, gradients)


def _vector(numbers: Any) -> Float[Array, " inputs"]:
    return jnp.stack([jnp.asarray(number, float) for number in numbers])


@eqx.filter_jit
def _first_spikes(
    neuron: AbstractNeuron, weights: Array, times: Array, duration: Any
) -> tuple[Array, Array, Array, Status]:
    """First spike times `[points]` and their derivatives with respect to weights and times of the inputs."""

    def first_spike(weights: Array, times: Array) -> tuple[Array, Status]:
        network, inputs = Network(Layer(neuron, Dense(weights[None]))), in_order(times, jnp.arange(times.size))
        run = simulate(network, inputs, duration, on=Events(16), gradient=Recorded())
        return run.output.spike_times(1)[0, 0], run.status

    differentiated = jax.value_and_grad(first_spike, argnums=(0, 1), has_aux=True)
    (spike_times, status), (by_weight, by_time) = jax.vmap(differentiated)(weights, times)
    return spike_times, by_weight, by_time, status


def finite_differences(
    neuron: AbstractNeuron, inputs: Inputs, values: Any, steps: Any, duration: float
) -> Float[Array, " points"]:
    """Derivatives of the first spike time by central differences of fourth order, with `steps` h `[points]`.

    (8 (t(+h) - t(-h)) - (t(+2h) - t(-2h))) / 12 h; `ValueError` where the spike is missing at one of the four places.
    """
    values, steps = jnp.asarray(values, float), jnp.asarray(steps, float)
    places = values + jnp.asarray([-2.0, -1.0, 1.0, 2.0])[:, None] * steps
    found = sweep_first_spike(neuron, inputs, places, duration)
    if not bool(found.spiked.all()):
        raise ValueError("A finite difference reaches across the end of the spike: take smaller steps.")
    far_left, left, right, far_right = found.times.reshape(places.shape)
    return (8 * (right - left) - (far_right - far_left)) / (12 * steps)


def edge_of_spiking(
    neuron: AbstractNeuron, inputs: Inputs, silent: float, spiking: float, duration: float
) -> tuple[float, float]:
    """Neighbouring numbers, silent first, spiking second: the neuron's last spike, to a rounding or two.

    The search starts from a silent and a spiking value, in either order; `ValueError` if they are not. Between them the
    spike should end once: of several edges it finds one.
    """
    while True:
        values = jnp.linspace(silent, spiking, BATCH)
        spiked = sweep_first_spike(neuron, inputs, values, duration).spiked
        if bool(spiked[0]) or not bool(spiked[-1]):
            raise ValueError(f"The neuron must be silent at {silent} and spike at {spiking}.")
        first = int(jnp.argmax(spiked))
        last = silent, spiking
        silent, spiking = float(values[first - 1]), float(values[first])
        if abs(spiking - silent) >= abs(last[1] - last[0]):
            return last
